"""Faults on purpose, many of them: ``make test-faults``."""
