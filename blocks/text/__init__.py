"""Making, cutting and searching texts."""
