"""SMTP over a transport: one message handed to one server."""
