"""Taking lists apart, putting them together, waiting."""
