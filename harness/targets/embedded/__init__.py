"""The embedded target: Spark in one process on this machine."""
