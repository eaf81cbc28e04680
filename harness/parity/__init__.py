"""Comparison of two runs of one scenario, such as a local one and one in the cloud."""
