"""The rows whose score moved most from each version to the next, and the files with all predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from harness.files import sha256_of
from harness.job.author_steps import attribute_to_author
from harness.job.explain import explain
from harness.job.predict_rows import hide_sensitive
from harness.job.train_version import TrainedVersion, select_raw_rows
from harness.prediction_files import name_file, write_predictions
from harness.predictions import Predictions, find_moved_rows, list_moved_keys
from harness.results import MovedRows, StoredPredictions
from harness.scenario.model import Scenario


def list_unexplained_keys(trained: Sequence[TrainedVersion]) -> dict[str, list[str]]:
    """Return, for each version, the rows that moved most to or from it and that are not explained yet."""
    keys: dict[str, list[str]] = {each.result.name: [] for each in trained}
    for before, after in pairwise(trained):
        moved = list_moved_keys(before.predictions, after.predictions)
        for each in (before, after):
            keys[each.result.name] += [key for key in moved if key not in each.weights]
    return {name: list(dict.fromkeys(of_version)) for name, of_version in keys.items()}


def explain_rows(trained: TrainedVersion, keys: Sequence[str], scenario: Scenario) -> TrainedVersion:
    """Return the version with the explanations of more rows among its predictions."""
    # The weights of a row depend a little on the rows that are explained with it: the samples are other ones.
    is_known = set(keys) == trained.others.keys()
    weights = trained.others if is_known else _explain(trained, keys, scenario)
    return replace(trained, predictions=trained.predictions.add_weights(weights))


def _explain(trained: TrainedVersion, keys: Sequence[str], scenario: Scenario) -> Mapping[str, list[float]]:
    raw = select_raw_rows(trained, scenario, keys)
    with attribute_to_author(scenario.pipeline.use, "explain"):
        return explain(trained.models.explainer, trained.models.featurizer.transform(raw)).weights


def find_moves(trained: Sequence[TrainedVersion], scenario: Scenario) -> Mapping[str, MovedRows]:
    """Return the rows whose score moved most, by the version that they moved to."""
    shown = [(each.result.name, hide_sensitive(each.predictions, scenario)) for each in trained]
    return {name: find_moved_rows(old, new, since, name) for (since, old), (name, new) in pairwise(shown)}


def store_predictions(
    predictions: Predictions, scenario: Scenario, version: str, folder: Path
) -> tuple[Path, StoredPredictions]:
    """Write the predictions of a version below a folder, and return the file and its description."""
    shown = hide_sensitive(predictions, scenario)
    name = name_file(version)
    write_predictions(shown, folder / name)
    stored = StoredPredictions(
        file=name, sha256=sha256_of(folder / name), rows=len(shown.rows), held_out=shown.held_out
    )
    return folder / name, stored
