"""``harness bisect``: the search for the version at which a bound began to fail."""
