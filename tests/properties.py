"""Hypothesis for the tests, without its time limit: a busy machine is not a mistake."""

from hypothesis import HealthCheck, assume, example, given, settings, strategies as st

__all__ = ["HealthCheck", "assume", "example", "given", "settings", "st"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
