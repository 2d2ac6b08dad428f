"""The API, one file for each kind of thing: parse, authorise, one call, answer."""
