"""The local machine: real servers from wheels for `bin/up`, `bin/demo` and `bin/test`. No Django here."""
