"""IMAP text, both ways."""
