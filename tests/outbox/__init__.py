"""Tests of `emailengine.outbox`."""
