"""Tests of the network floor."""
