"""Where values enter and leave a graph, and values that never change."""
