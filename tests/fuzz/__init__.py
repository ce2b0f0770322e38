"""Octets that the wire layer has to bear: a coverage-guided fuzzer, and what it found worth keeping."""
