"""Tests of what crosses the edges."""
