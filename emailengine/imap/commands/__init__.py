"""Commands of IMAP, one family a file: the text to send, whose responses are whose, and the value they make."""
