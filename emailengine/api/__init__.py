"""The REST API: access, routes, errors."""
