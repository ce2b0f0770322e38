"""IMAP commands, one family a file."""
