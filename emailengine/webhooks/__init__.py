"""Events on their way to the customer's server."""
