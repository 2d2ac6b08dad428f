"""Lists, dicts and JSON."""
