"""One actor for each account, the roster of all of them, and what they can be asked."""
