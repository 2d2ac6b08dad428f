"""Finding things out."""
