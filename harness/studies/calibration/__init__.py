"""``harness calibrate``: propose bounds from repeated runs."""
