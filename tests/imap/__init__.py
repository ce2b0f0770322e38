"""Tests of the IMAP client."""
