"""Internet messages read and composed (RFC 5322, RFC 2045 to 2049, RFC 2231)."""
