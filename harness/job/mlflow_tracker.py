"""Tracking in MLflow: a parent run for the scenario, and a child run with its dataset for each version."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.entities import Dataset, DatasetInput, InputTag, LifecycleStage, Metric, Param, Run, RunTag
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from harness.errors import PrerequisiteError, format_first_line
from harness.events import Listener
from harness.files import exclusive_lock
from harness.job.deployable import Deployable
from harness.job.logged_models import NOT_LISTED, LoggedModels, ModelLog, log_bundle
from harness.job.tracking_requests import Patience, TrackingRequests, make_patient
from harness.metrics import CHAMPION_METRICS, EXPLAINER_METRICS
from harness.plan import Environment, Plan
from harness.prediction_files import FOLDER
from harness.results import Approval, GridPoint, Result, Verdict, VersionResult
from harness.storage.tracking_server import is_server, make_unanswered_error
from harness.storage.tracking_store import find_store_file, make_deleted_error, require_usable_store
from harness.storage.uris import SQLITE, remove_password
from harness.table_names import is_table_name
from harness.tracked_names import (
    APPROVAL_TAG,
    APPROVED_FROM_TAG,
    APPROVED_TABLE_TAG,
    APPROVED_VERSION_TAG,
    BEFORE_TAG,
    BUNDLE_TAG,
    CODE,
    FINGERPRINT_TAG,
    HARNESS_TAG,
    KEY_TAG,
    LIBRARIES_TAG,
    REUSED_TAG,
    RUN_TAG,
    SCENARIO,
    TABLE_TAG,
    TARGET_TAG,
    TRAINING,
    VERSION_TAG,
    name_explanation_metric,
)

PICTURES = "pictures"
"""Folder of the report's pictures among the parent run's artifacts."""
_NAME_TAG = "harness.version_name"
_PARALLEL_UPLOADS = 4
_PATIENCE = Patience()
# A request to MLflow may have 100 parameters and 1,000 metrics.
_BATCH_SIZE = 100
_MOST_RUNS = 50_000
"""The most runs that MLflow returns at once."""
_UNUSABLE_CODES = ("TEMPORARILY_UNAVAILABLE", "RESOURCE_DOES_NOT_EXIST")
_REFUSAL = re.compile(r"failed with error code (40[13])\b")
_NOT_IN_TAG = re.compile(r"[^\w\-. :/]")
_DETAILS = {
    "data_schema",
    "nulls",
    "changes",
    "distributions",
    "grid",
    "roc",
    "calibration",
    "coefficients",
    "explanations",
}
"""Fields of a version's result that its run's ``details.json`` has."""
_COLUMN_TYPES = {
    "boolean": "boolean",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "binary": "binary",
    "date": "datetime",
    "timestamp": "datetime",
}


class LostArtifactError(ValueError):
    """A run in MLflow lacks an artifact that it should have."""


class Tracker:
    """The MLflow runs of one scenario run. Several threads may log versions at once."""

    def __init__(
        self, plan: Plan, listener: Listener = lambda _event: None, patience: Patience = _PATIENCE
    ) -> None:
        """Open the tracking store and the experiment; create them if they don't exist.

        Args:
            plan: The run.
            listener: Receives a notice if the server doesn't answer.
            patience: How long to wait for it.

        Raises:
            PrerequisiteError: The store can't be opened or written to, or the experiment is deleted.
        """
        self._plan = plan
        environment = plan.environment
        uri = environment.tracking_uri
        mlflow.set_tracking_uri(uri)
        self._requests = TrackingRequests(uri, listener, patience)
        try:
            with _lock_store(uri):
                require_usable_store(uri, environment.experiment)
                self._client = MlflowClient(uri, environment.registry_uri)
                self.client = make_patient(self._client, self._requests)
                self._experiment_id = self._open_experiment(environment.experiment, environment.artifacts)
        except Exception as error:
            if not _is_store_error(error):
                raise
            raise _open_error(remove_password(uri), format_first_line(error).rstrip(".")) from error
        self._models = ModelLog(self.client, self._experiment_id, is_server(uri))
        self._open: list[str] = []
        self._before: dict[str, int] = {}
        self.parent_run_id: str | None = None

    def start(self, versions: Iterable[VersionResult] = (), finished: Collection[str] = ()) -> None:
        """Start the parent run, or open it again if the run is resumed.

        Args:
            versions: All versions of the scenario.
            finished: The versions' runs that this run had finished by then. It repeats the others, which are
                deleted.
        """
        self._before = {after.name: before.version for before, after in pairwise(versions)}
        scenario = self._plan.scenario
        self.parent_run_id = (self._plan.is_resumed and self._reopen_runs(finished)) or self._start_run(
            scenario.name, {MLFLOW_RUN_NOTE: scenario.description}
        )
        self._log(self.parent_run_id, params={"seed": scenario.seed, "versions": len(scenario.versions)})
        scenario_json = scenario.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.client.log_dict(self.parent_run_id, scenario_json, SCENARIO)
        for path, text in self._plan.code.items():
            self.client.log_text(self.parent_run_id, text, f"{CODE}/{path}")

    def start_version(self, version: VersionResult) -> str:
        """Start the child run of a version with the dataset that it reads, and return the run's id."""
        data = {
            "data_path": self._plan.table_uri,
            **({"data_name": self._plan.table_name} if self._plan.table_name else {}),
            "data_version": version.version,
            "data_fingerprint": version.fingerprint,
        }
        tags = {
            **{f"harness.{name}": str(value) for name, value in data.items()},
            _NAME_TAG: version.name,
            MLFLOW_PARENT_RUN_ID: self.parent_run_id or "",
            **_make_commit_tags(version),
        }
        if version.name in self._before:
            tags[BEFORE_TAG] = str(self._before[version.name])
        run_id = self._start_run(f"{self._plan.scenario.name}/{version.name}", tags)
        self._log(run_id, params={**data, "data_rows": version.rows}, metrics=_make_change_metrics(version))
        dataset = [self._make_dataset(version)]
        try:
            self.client.log_inputs(run_id, dataset)
        except mlflow.MlflowException:
            # Another version logged the same dataset at the same time; now it exists.
            self.client.log_inputs(run_id, dataset)
        return run_id

    def log_models(
        self, run_id: str, version: VersionResult, deployable: Deployable, models: Path
    ) -> LoggedModels:
        """Log the deployable pipeline of a version, and its explainer, as models that MLflow lists.

        Args:
            run_id: The version's run.
            version: The version.
            deployable: The deployable pipeline.
            models: Local folder with the saved models of the bundle.
        """
        plan = self._plan
        tags = {RUN_TAG: plan.run_id, TABLE_TAG: plan.scenario.table.name}
        tags |= {VERSION_TAG: str(version.version), FINGERPRINT_TAG: version.fingerprint}
        return self._models.log_models(
            run_id,
            version,
            deployable,
            models,
            name=f"{plan.scenario.name}_{version.name}",
            tags=tags,
            scratch=plan.scratch_uri,
        )

    def log_version(
        self, run_id: str, version: VersionResult, models: Path, logged: LoggedModels = NOT_LISTED
    ) -> None:
        """Log everything measured on a version, and the saved models of its bundle.

        Args:
            run_id: The version's run.
            version: The version.
            models: Local folder with the saved models.
            logged: The models that MLflow lists, which get the metrics too.
        """
        metrics = {name: value for name, value in version.metrics.items() if value is not None}
        for segment, measured in version.segments.items():
            named = {f"segment/{segment}/{name}": value for name, value in measured.items()}
            metrics |= {name: value for name, value in named.items() if value is not None}
        for point in version.grid:
            if point.cv_roc_auc is not None:
                metrics[_name_grid_metric(point)] = point.cv_roc_auc
        of_explainer = {name: metrics.pop(name) for name in EXPLAINER_METRICS if name in metrics}
        for slot, explained in version.explanations.items():
            of_explainer[name_explanation_metric(slot, "mean")] = explained.mean
            of_explainer[name_explanation_metric(slot, "mean_per_sd")] = explained.mean_per_sd
        self._log(run_id, params=version.parameters)
        self._log(run_id, metrics=metrics, of_model=self._refer(logged.pipeline, version))
        self._log(run_id, metrics=of_explainer, of_model=self._refer(logged.explainer, version))
        details = version.model_dump(mode="json", by_alias=True, include=_DETAILS)
        self.client.log_dict(run_id, details, "details.json")
        log_bundle(self._models, run_id, models)

    def log_champion(self, version: VersionResult) -> None:
        """Log the champion's metrics on a version to its run, unless that is an earlier one."""
        metrics = {name: version.metrics.get(name) for name in CHAMPION_METRICS}
        measured = {name: value for name, value in metrics.items() if value is not None}
        if version.run_id is not None and not version.reused_from and measured:
            self._log(version.run_id, metrics=measured)

    def log_predictions(self, version: VersionResult, file: Path) -> None:
        """Log the file with the predictions of a version to its run, unless that is an earlier one."""
        if version.run_id is not None and not version.reused_from:
            self.client.log_artifact(version.run_id, str(file), FOLDER)

    def record_training(self, run_id: str, key: str, files: Iterable[Path]) -> None:
        """Log what a later run needs to use a training, then the key by which it finds it."""
        for file in files:
            self.client.log_artifact(run_id, str(file), TRAINING)
        self._tag(run_id, {KEY_TAG: key})

    def find_trainings(self, key: str, version: str) -> tuple[list[str], list[str]]:
        """Return the runs that have recorded a training with a key, the newest first.

        Args:
            key: The key.
            version: The version to train.

        Returns:
            The runs of this version in an earlier part of this run, and those of other runs.
        """
        found = self.client.search_runs(
            [self._experiment_id], f"tags.`{KEY_TAG}` = '{key}'", order_by=["attributes.start_time DESC"]
        )
        own, others = list[str](), list[str]()
        for run in found:
            tags = run.data.tags
            if tags.get(RUN_TAG) != self._plan.run_id:
                others.append(str(run.info.run_id))
            elif tags.get(_NAME_TAG) == version:
                own.append(str(run.info.run_id))
        return own, others

    def link_version(self, version: VersionResult) -> None:
        """Name the earlier run that has a version's model in the parent run."""
        self._tag(self.parent_run_id or "", {REUSED_TAG + version.name: version.run_id or ""})

    def find_bundle(self, run_id: str) -> str | None:
        """Return the URI of the bundle that was published from a run, if there was one."""
        bundle: str | None = self.client.get_run(run_id).data.tags.get(BUNDLE_TAG)
        return bundle

    def list_files(self, run_id: str, folder: str) -> list[str]:
        """Return the paths of the artifacts in a folder of a run; the empty path is that of all of them."""
        return [str(each.path) for each in self.client.list_artifacts(run_id, folder or None)]

    def download(self, run_id: str, path: str, folder: Path) -> Path:
        """Copy an artifact, or a folder of them, to a local folder, and return its path there.

        Raises:
            LostArtifactError: The run has no such artifact.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self.client.download_artifacts(run_id, path, str(folder)))
        except (mlflow.MlflowException, OSError) as error:
            if path in self.list_files(run_id, path.rpartition("/")[0]):
                raise
            raise LostArtifactError(f"the MLflow run {run_id} has no artifact '{path}'") from error

    def finish_version(self, version: VersionResult, verdict: Verdict) -> None:
        """Close a version's run with its verdict and, if it was published, its bundle."""
        if version.run_id is None:
            return
        bundle = {} if version.bundle is None else {BUNDLE_TAG: version.bundle}
        if version.reused_from:
            # Its other tags belong to the run that trained it.
            if bundle:
                self._tag(version.run_id, bundle)
            return
        note = _describe_version(version, verdict)
        self._tag(version.run_id, {"harness.verdict": str(verdict), MLFLOW_RUN_NOTE: note, **bundle})
        self._end(version.run_id, "FINISHED")

    def finish(self, result: Result) -> None:
        """Close the parent run with the verdict."""
        if self.parent_run_id is None:
            return
        self._tag(self.parent_run_id, {"harness.verdict": str(result.verdict)})
        self._log(
            self.parent_run_id, metrics={f"seconds/{name}": value for name, value in result.timings.items()}
        )
        self._end(self.parent_run_id, "FINISHED")

    def record_approval(self, approval: Approval, run_id: str | None) -> None:
        """Record what was approved, or why nothing was, in the parent run and in that of the version."""
        tags = {APPROVAL_TAG: approval.text}
        if run_id is not None:
            self._tag(run_id, tags)
        if approval.is_approved:
            tags |= {
                APPROVED_TABLE_TAG: approval.table,
                APPROVED_FROM_TAG: approval.source,
                APPROVED_VERSION_TAG: str(approval.version),
            }
        self._tag(self.parent_run_id or "", tags)

    def log_pictures(self, pictures: Mapping[str, str]) -> None:
        """Log the report's pictures to the parent run.

        Args:
            pictures: Name of a file to its SVG.
        """
        parent = self.parent_run_id
        if parent is None:
            return
        with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
            list(
                pool.map(
                    lambda name: self.client.log_text(parent, pictures[name], f"{PICTURES}/{name}"), pictures
                )
            )

    def stop_waiting(self) -> None:
        """Don't wait any longer for a server that doesn't answer: the run has failed."""
        self._requests.stop()

    def abandon(self, status: str) -> None:
        """Mark every run that is still open as ``FAILED`` or ``KILLED``, children first.

        If all are closed already, the last step has failed, and the parent run hasn't passed either.
        """
        if not self._open and self.parent_run_id is not None:
            self._tag(self.parent_run_id, {"harness.verdict": str(Verdict.NOT_PROVEN)})
            self.client.set_terminated(self.parent_run_id, status)
        for run_id in reversed(list(self._open)):
            self._end(run_id, status)

    def _open_experiment(self, name: str, artifacts: str | None) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            if experiment.lifecycle_stage == LifecycleStage.DELETED:
                uri = self._plan.environment.tracking_uri
                raise make_deleted_error(remove_password(uri), name, experiment.experiment_id)
            return str(experiment.experiment_id)
        try:
            return str(self.client.create_experiment(name, artifact_location=artifacts))
        except mlflow.MlflowException:
            # Another run created it in the meantime.
            experiment = self.client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def _start_run(self, name: str, tags: Mapping[str, str]) -> str:
        plan = self._plan
        tags = {
            MLFLOW_RUN_NAME: name,
            MLFLOW_SOURCE_NAME: plan.scenario_file or plan.scenario.name,
            MLFLOW_SOURCE_TYPE: "JOB",
            RUN_TAG: plan.run_id,
            "harness.scenario": plan.scenario.name,
            "harness.scenario_sha256": plan.scenario_sha256,
            **({MLFLOW_GIT_COMMIT: plan.git_commit} if plan.git_commit else {}),
            **_make_code_tags(plan),
            HARNESS_TAG: plan.harness_version,
            LIBRARIES_TAG: plan.environment.libraries,
            TARGET_TAG: plan.environment.target,
            TABLE_TAG: plan.scenario.table.name,
            **_make_parameter_tags(plan),
            **tags,
        }

        def create() -> Run:
            return self._client.create_run(self._experiment_id, run_name=name, tags=tags)

        def create_again() -> Run:
            # The server may have created it, and only its answer was lost.
            return self._find_run(name) or create()

        run_id = str(self._requests.send(create, create_again).info.run_id)
        self._open.append(run_id)
        return run_id

    def _reopen_runs(self, finished: Collection[str]) -> str | None:
        """Open this plan's runs again, and return the parent run; ``None`` if it has not been started."""
        own = f"tags.`{RUN_TAG}` = '{self._plan.run_id}'"
        parent = None
        for run in self.client.search_runs([self._experiment_id], own, max_results=_MOST_RUNS):
            run_id = str(run.info.run_id)
            if MLFLOW_PARENT_RUN_ID not in run.data.tags:
                parent = run_id
            elif run_id not in finished:
                self._models.remove(run)
                self.client.delete_run(run_id)
                continue
            self.client.update_run(run_id, "RUNNING")
            self._open.append(run_id)
        # Runs are closed in the reverse order, versions first.
        self._open.sort(key=lambda run_id: run_id != parent)
        return parent

    def _find_run(self, name: str) -> Run | None:
        own = f"tags.`{RUN_TAG}` = '{self._plan.run_id}' and tags.`{MLFLOW_RUN_NAME}` = '{name}'"
        found = self._client.search_runs([self._experiment_id], own, max_results=1)
        return found[0] if found else None

    def _end(self, run_id: str, status: str) -> None:
        self.client.set_terminated(run_id, status)
        self._open.remove(run_id)

    def _make_dataset(self, version: VersionResult) -> DatasetInput:
        """Return the Delta table at this version. MLflow's own digests don't identify data; ours does."""
        # As text, because MLflow drops the number 0: it checks whether a version is true.
        number: Any = str(version.version)
        table = self._plan.table_uri
        # Unity Catalog makes its lineage from the name.
        place = {"delta_table_name" if is_table_name(table) else "path": table}
        source = DeltaDatasetSource(**place, delta_table_version=number)
        dataset = Dataset(
            name=self._plan.scenario.table.name,
            digest=version.fingerprint,
            source_type="delta_table",
            source=json.dumps(source.to_dict()),
            schema=_make_column_specs(version.data_schema),
            profile=json.dumps({"num_rows": version.rows}),
        )
        return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])

    def _log(
        self,
        run_id: str,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        of_model: Mapping[str, str] | None = None,
    ) -> None:
        now = int(time.time() * 1000)
        all_params = [Param(name, str(value)) for name, value in (params or {}).items()]
        all_metrics = [
            Metric(name, value, now, 0, **(of_model or {})) for name, value in (metrics or {}).items()
        ]
        for start in range(0, max(len(all_params), len(all_metrics)), _BATCH_SIZE):
            batch = slice(start, start + _BATCH_SIZE)
            self.client.log_batch(run_id, metrics=all_metrics[batch], params=all_params[batch])

    def _refer(self, model_id: str | None, version: VersionResult) -> dict[str, str]:
        """Return what makes a metric one of a model on the version's rows; empty before MLflow 3."""
        if model_id is None:
            return {}
        table = self._plan.scenario.table.name
        return {"model_id": model_id, "dataset_name": table, "dataset_digest": version.fingerprint}

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def translate_store_error(error: BaseException, environment: Environment) -> PrerequisiteError | None:
    """Return the error to report if the store was deleted or changed during the run, else ``None``."""
    if not _is_store_error(error):
        return None
    uri = environment.tracking_uri
    file = find_store_file(uri)
    # A new connection creates the file again, without a table.
    if file is not None and not (file.exists() and file.stat().st_size):
        return PrerequisiteError(
            f"MLflow's store {file} was deleted during the run.", remedy="Keep it until a run has ended."
        )
    try:
        require_usable_store(uri, environment.experiment)
    except PrerequisiteError as changed:
        return changed
    if (refused := _find_refusal(remove_password(uri), str(error))) is not None:
        return refused
    code = getattr(error, "error_code", None)
    if code in _UNUSABLE_CODES or "must be in the 'active' state" in str(error):
        return PrerequisiteError(
            f"MLflow at {remove_password(uri)} rejects the run: {format_first_line(error)}",
            remedy="Run again. Don't delete the run, or what is stored of it, before it has ended.",
        )
    return None


def _is_store_error(error: BaseException) -> bool:
    """Return whether an error is one of MLflow, or of the database that it stores runs in."""
    return isinstance(error, mlflow.MlflowException) or type(error).__module__.startswith("sqlalchemy.")


def _find_refusal(uri: str, reason: str) -> PrerequisiteError | None:
    """Return the error for a server that asks for a login, or refuses the one that it got."""
    refusal = _REFUSAL.search(reason)
    if refusal is None:
        return None
    return PrerequisiteError(
        f"MLflow at {uri} refuses the request: {refusal.group(1)}.",
        remedy="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to a "
        "login that may write to the experiment.",
    )


def _open_error(uri: str, reason: str) -> PrerequisiteError:
    if uri.startswith(SQLITE):
        return PrerequisiteError(
            f"Can't open MLflow's store {uri.removeprefix(SQLITE)}: {reason}.",
            remedy="Check the file, or set HARNESS_TRACKING_URI to another store.",
        )
    if (refused := _find_refusal(uri, reason)) is not None:
        return refused
    return make_unanswered_error(uri, reason)


def _lock_store(uri: str) -> AbstractContextManager[None]:
    """Lock a SQLite store: MLflow creates its tables without a lock, so two runs at once would break it."""
    if not uri.startswith(SQLITE):
        return nullcontext()
    file = Path(uri.removeprefix(SQLITE))
    return exclusive_lock(file.with_name(f".{file.name}.lock"))


def _name_grid_metric(point: GridPoint) -> str:
    parameters = "/".join(f"{name}_{value:g}" for name, value in point.parameters.items())
    return f"grid/{parameters}/cv_roc_auc"


def _make_parameter_tags(plan: Plan) -> dict[str, str]:
    """Return tags for the values that differ from the scenario file; MLflow limits names of tags."""
    return {
        f"harness.parameter.{re.sub(_NOT_IN_TAG, '_', name)}": value
        for name, value in plan.parameters.items()
    }


def _make_code_tags(plan: Plan) -> dict[str, str]:
    """Return tags for the scenario's custom pipeline, if it uses one."""
    if plan.code_sha256 is None:
        return {}
    return {
        "harness.pipeline": str(plan.scenario.pipeline.use),
        "harness.pipeline_sha256": plan.code_sha256,
    }


def _make_commit_tags(version: VersionResult) -> dict[str, str]:
    """Return tags for the version's Delta commit."""
    if version.commit is None:
        return {}
    commit = version.commit
    return {
        "harness.operation": commit.operation,
        "harness.commit_time": commit.time.isoformat(),
        "harness.protocol_reader": str(commit.reader),
        "harness.protocol_writer": str(commit.writer),
    }


def _make_change_metrics(version: VersionResult) -> dict[str, float]:
    """Return metrics for the rows changed since the previous version; none if that is unknown."""
    counts = version.changes.model_dump() if version.changes else {}
    return {f"rows_{what}": float(count) for what, count in counts.items()}


def _make_column_specs(schema: Mapping[str, str]) -> str | None:
    """Return the schema in MLflow's format; ``None`` if MLflow doesn't have one of the types."""
    specs = [
        {"type": _COLUMN_TYPES[data_type], "name": name, "required": True}
        for name, data_type in schema.items()
        if data_type in _COLUMN_TYPES
    ]
    return json.dumps({"mlflow_colspec": specs}) if len(specs) == len(schema) else None


def _describe_version(version: VersionResult, verdict: Verdict) -> str:
    """Describe the version and its verdict for the reader of the run's page."""
    auc = version.metrics.get("test_roc_auc")
    measured = "could not be measured" if auc is None else f"is {auc:.4f}"
    passed = sum(bound.verdict is Verdict.PASS for bound in version.bounds)
    published = (
        f"Its bundle was published to `{version.bundle}`."
        if version.bundle
        else "Its bundle was not published."
    )
    return (
        f"Trained on Delta version **{version.version}** ({version.name}): {version.rows:,} rows, "
        f"fingerprint `{version.fingerprint}`.\n\n"
        f"The ROC AUC on the held-out rows {measured}. Verdict: **{verdict}** "
        f"({passed} of {len(version.bounds)} bounds hold). {published}\n"
    )
