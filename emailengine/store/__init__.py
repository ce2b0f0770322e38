"""What survives a restart: Redis, one script for each change."""
