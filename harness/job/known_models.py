"""Models that an earlier run has trained on the same rows in the same way: found in MLflow, not repeated.

When a version is trained, its run in MLflow gets a record: everything measured, the predictions, a digest of
each file of the models. The run's tag ``harness.key`` is set last: a run with that tag has a whole record.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow.spark
from pyspark.ml import PipelineModel

from harness.bundles import CLASSIFIER, DEPENDS_ON, EXPLAINER, FEATURIZER
from harness.errors import JobError
from harness.files import digest_files, sha256_of, write_text
from harness.job.check_version import CheckedVersion
from harness.job.mlflow_tracker import LostArtifactError, Tracker
from harness.job.train_version import TrainedVersion
from harness.pipelines import Explainer
from harness.plan import Plan
from harness.prediction_files import FOLDER, name_file, read_predictions, write_predictions
from harness.predictions import Predictions
from harness.result_digest import add_digest, is_intact
from harness.results import TRAINING_FIELDS, VersionResult
from harness.stored_json import parse_json
from harness.tracked_names import MODELS, TRAINING, TRAINING_PREDICTIONS, TRAINING_RECORD
from harness.work import Work, identify_training

_logger = logging.getLogger(__name__)

_FORMAT = 1
"""Format of the records that this version writes."""


def identify_trainings(
    plan: Plan, checked: Sequence[CheckedVersion], libraries: Mapping[str, str]
) -> dict[str, Work]:
    """Return what determines each model of a run, by the name of its version.

    Args:
        plan: The run.
        checked: All versions.
        libraries: Versions of the libraries with which the job runs.
    """
    first = next((each.fingerprint for each in checked if each.is_trained), "")
    before = ["", *(each.fingerprint for each in checked)]
    return {
        each.name: identify_training(
            plan, fingerprint=each.fingerprint, before=earlier, explained=first, libraries=libraries
        )
        for earlier, each in zip(before, checked, strict=False)
        if each.is_trained
    }


def record_training(trained: TrainedVersion, plan: Plan, tracker: Tracker, folder: Path) -> None:
    """Record a training in its MLflow run, so that no later run repeats it.

    Rows of a table with sensitive columns are not recorded: its predictions would show them.

    Args:
        trained: The version.
        plan: The run.
        tracker: Logs the record.
        folder: Local folder for its files.
    """
    version, explainer = trained.result, trained.models.explainer
    if version.run_id is None or plan.scenario.table.sensitive:
        return
    write_predictions(trained.predictions, folder / TRAINING_PREDICTIONS)
    options = {each.name: getattr(explainer, each.name) for each in dataclasses.fields(explainer)}
    del options["model"]
    record = {
        "format_version": _FORMAT,
        "run_id": plan.run_id,
        "predictions": sha256_of(folder / TRAINING_PREDICTIONS),
        "models": digest_files(trained.models.folder),
        "explainer": options,
        "version": version.model_dump(mode="json", by_alias=True),
    }
    write_text(folder / TRAINING_RECORD, json.dumps(add_digest(record), indent=2) + "\n")
    tracker.record_training(
        version.run_id, version.key, [folder / TRAINING_RECORD, folder / TRAINING_PREDICTIONS]
    )


def find_known_model(
    version: CheckedVersion, work: Work, plan: Plan, tracker: Tracker, folder: Path
) -> TrainedVersion | None:
    """Return a version with the model that an earlier run has trained; ``None`` if no intact one is found.

    If the run is resumed, its own models come first. Others are not used if it is to measure everything
    itself.

    Args:
        version: The version.
        work: What determines its model.
        plan: The run.
        tracker: Finds the earlier run.
        folder: Local folder for the files of the earlier run.
    """
    own, others = tracker.find_trainings(work.key, version.name)
    for run_id in own if plan.fresh else (*own, *others):
        # Other errors end the run: its own training would be deleted and repeated for no good reason.
        skipped = (ValueError, KeyError, JobError) if run_id in own else (Exception,)
        try:
            known = _load(version, work, plan, tracker, run_id, folder)
            if run_id in own:  # What has interrupted the run may have lost some of its files.
                _ = known.models.folder
        except skipped as error:
            _logger.info("the training in the MLflow run %s is not used: %s", run_id, error)
        else:
            return known
    return None


def merge_measurements(result: VersionResult, known: TrainedVersion) -> VersionResult:
    """Return the result of a version in this run, with what an earlier one has measured of its model."""
    return result.model_copy(update={name: getattr(known.result, name) for name in TRAINING_FIELDS})


@dataclass(frozen=True)
class StoredModels:
    """The models of an earlier run, which are copied from MLflow only if they are needed."""

    tracker: Tracker
    run_id: str
    local: Path
    digests: Mapping[str, str]
    """Path of a file to its SHA-256."""
    options: Mapping[str, Any]
    """All of the explainer but its Spark model."""
    scratch: str
    """Folder of the lake through which the executors read them."""

    @cached_property
    def folder(self) -> Path:
        """Local folder of the models.

        Raises:
            JobError: They differ from those that were recorded.
        """
        try:
            copied = self.tracker.download(self.run_id, MODELS, self.local)
        except LostArtifactError:
            copied = None
        if copied is None or digest_files(copied) != self.digests:
            raise JobError(
                f"The models of the MLflow run {self.run_id} were changed after they were trained.",
                remedy="Add --fresh to train all models again.",
            )
        return copied

    @cached_property
    def featurizer(self) -> PipelineModel:
        """The featurizer."""
        return self._read(FEATURIZER)

    @cached_property
    def classifier(self) -> Any:
        """The classifier."""
        return self._read(CLASSIFIER)

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer."""
        return Explainer(model=self._read(EXPLAINER), **self.options)

    def _read(self, name: str) -> PipelineModel:
        # The executors can't read this machine's folder.
        model: PipelineModel = mlflow.spark.load_model(str(self.folder / name), dfs_tmpdir=self.scratch)
        return model


def _load(
    version: CheckedVersion, work: Work, plan: Plan, tracker: Tracker, run_id: str, folder: Path
) -> TrainedVersion:
    record_folder = tracker.download(run_id, TRAINING, folder)
    record = parse_json((record_folder / TRAINING_RECORD).read_bytes())
    if not is_intact(record):
        raise ValueError("it was edited")
    if record["format_version"] != _FORMAT or record["version"]["key"] != work.key:
        raise ValueError("it is that of another training")
    if not {f"{name}/MLmodel" for name in DEPENDS_ON} <= record["models"].keys():
        raise ValueError("it lacks a model")
    if sha256_of(record_folder / TRAINING_PREDICTIONS) != record["predictions"]:
        raise ValueError("its predictions were changed")
    predictions = read_predictions(record_folder / TRAINING_PREDICTIONS)
    if predictions is None:
        raise ValueError("it has no predictions")
    measured = VersionResult.model_validate(record["version"])
    origin = "" if record["run_id"] == plan.run_id else str(record["run_id"])
    known = measured.model_copy(update={"name": version.name, "run_id": run_id, "reused_from": origin})
    models = StoredModels(tracker, run_id, folder, record["models"], record["explainer"], plan.scratch_uri)
    weights = _list_weights(predictions)
    later = _find_weights_of_moved_rows(measured, tracker, run_id, folder)
    others = {key: found for key, found in later.items() if key not in weights}
    return TrainedVersion(known, version.table, weights, predictions, models, others)


def _find_weights_of_moved_rows(
    version: VersionResult, tracker: Tracker, run_id: str, folder: Path
) -> dict[str, list[float]]:
    """Return the weights of all rows that the earlier run explained; none if it was killed before."""
    name = name_file(version.name)
    if name not in tracker.list_files(run_id, FOLDER):
        return {}
    stored = read_predictions(tracker.download(run_id, name, folder))
    return {} if stored is None else _list_weights(stored)


def _list_weights(predictions: Predictions) -> dict[str, list[float]]:
    return {row.key: list(row.weights) for row in predictions.rows if row.weights is not None}
