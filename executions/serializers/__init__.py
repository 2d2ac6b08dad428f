"""How things are shown and taken by the API, one file for each file of `api`."""
