"""For the one language that the console has."""
