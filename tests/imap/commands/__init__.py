"""IMAP commands as values."""
