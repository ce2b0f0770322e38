"""IMAP responses read and commands written (RFC 9051, RFC 3501)."""
