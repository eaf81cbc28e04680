"""Bounds of a scenario: the list of all of them, and how each is judged."""
