"""How Django writes moments: as the console's own pages do."""
