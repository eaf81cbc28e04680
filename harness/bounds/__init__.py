"""Bounds of a scenario: the list of all of them, and the judging of each."""
