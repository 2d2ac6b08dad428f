"""What those are told who watch an execution: read from its rows, numbered when somebody asks, handed to many readers at once."""
