"""The held-out rows whose score differs most between two runs, by the predictions in their folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.prediction_files import read_predictions
from harness.predictions import MOVED_ROWS, Predictions, find_moved_rows
from harness.results import MovedRows, Result, VersionResult


def compare_scores(
    a: Result, b: Result, folders: tuple[Path, Path], count: int = MOVED_ROWS
) -> tuple[MovedRows, ...]:
    """Return, for each version that both runs trained a model on, the rows whose score differs most.

    Args:
        a: One run.
        b: The other run.
        folders: The folders of both runs.
        count: How many rows of a version to return at most.

    Raises:
        PrerequisiteError: A file of predictions can't be read.
    """
    return tuple(_compare_versions(a, b, folders, count))


def _compare_versions(a: Result, b: Result, folders: tuple[Path, Path], count: int) -> Iterator[MovedRows]:
    of_a = {version.name: version for version in a.versions}
    for version in b.versions:
        other = of_a.get(version.name)
        if other is None or {other.status, version.status} != {"trained"}:
            continue
        before, after = _read(other, folders[0]), _read(version, folders[1])
        if before is not None and after is not None:
            yield find_moved_rows(before, after, version.name, version.name, count)
        # If neither run has predictions (an earlier format), there is nothing to compare.
        elif before is not None or after is not None:
            lacking = a if before is None else b
            reason = f"the run {lacking.run_id} has no predictions for it"
            yield MovedRows(version=version.name, since=version.name, compared=0, reason=reason)


def _read(version: VersionResult, folder: Path) -> Predictions | None:
    return None if version.predictions is None else read_predictions(folder / version.predictions.file)
