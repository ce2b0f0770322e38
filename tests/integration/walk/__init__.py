"""The whole daemon against real servers, as a user calls it."""
