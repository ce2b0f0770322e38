"""An IMAP4rev1 server in memory, for tests: small, strict, and written apart from the client it is to test."""
