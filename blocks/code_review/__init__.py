"""Reading, judging and commenting changes of code."""
