"""``harness bisect``: find the version at which a bound began to fail."""
