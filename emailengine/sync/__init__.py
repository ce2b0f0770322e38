"""Mailbox arithmetic: what changed between what we know and what we see. Pure."""
