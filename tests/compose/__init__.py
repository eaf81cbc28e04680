"""Tests of the Compose target, which share one stack."""
