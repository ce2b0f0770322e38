"""The routes of the API, one area a file."""
