"""The tour of the README."""
