"""IMAP over a transport: one connection, its commands, one session."""
