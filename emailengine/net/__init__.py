"""Dialling: names, addresses, TLS policies, deadlines."""
