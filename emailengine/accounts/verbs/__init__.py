"""What an account can be asked to do, one family a file."""
