"""The parts of an account against real servers."""
