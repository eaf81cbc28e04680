"""Faults of data, as SQL: what can be wrong with the rows that a version adds."""
