"""Writing mails."""
