"""The IMAP client against a real server."""
