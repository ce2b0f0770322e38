"""The emailengine command and its sub-commands."""
