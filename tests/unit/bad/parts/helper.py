"""A helper that imports internals of the harness."""

from harness.job.prepare import prepare_rows


def prepare_rows(rows):
    return prepare_rows(rows)
