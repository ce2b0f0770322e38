"""Tests of the tools that everything waits, limits and counts with."""
