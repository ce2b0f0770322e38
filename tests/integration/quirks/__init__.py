"""The daemon against an IMAP server that misbehaves as real ones do."""
