"""Parity: whether two runs of one scenario agree, such as a local one and one in the cloud."""
