"""Outgoing HTTP with deadlines, size limits and an address policy."""
