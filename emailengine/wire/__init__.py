"""Protocol text: bytes in, values out; no transport, no clock, no reactor."""
