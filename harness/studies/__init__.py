"""Studies: one scenario run several times, and what the runs say together."""
