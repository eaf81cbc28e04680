"""Parity: the agreement of two runs of one scenario, such as a local run and a cloud run."""
