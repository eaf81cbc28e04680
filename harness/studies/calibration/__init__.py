"""``harness calibrate``: bounds proposed from repeated runs with different seeds."""
