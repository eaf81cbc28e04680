"""Proof of a gate: faults are injected into the rows of a version, and the bounds must catch them."""
