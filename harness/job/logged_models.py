"""Models of a version in MLflow: the deployable pipeline, and the explainer that depends on it.

MLflow 3 lists them on its Models page. Versions before it have no such page: there, and on servers of such a
version, they are models among the artifacts of the version's run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.models import Model

from harness.bundles import EXPLAINER
from harness.job.bundle import save_model
from harness.job.deployable import Deployable
from harness.results import VersionResult
from harness.tracked_names import MODEL_TAG, MODELS, PIPELINE, ROLE_TAG

_PARALLEL_UPLOADS = 4
_DEPENDS_ON = "harness.depends_on"
"""Key of an explainer's metadata, and tag of its logged model: the URI of the pipeline that it explains."""


@dataclass(frozen=True)
class LoggedModels:
    """IDs of the models that MLflow 3 lists; ``None`` before MLflow 3."""

    pipeline: str | None = None
    explainer: str | None = None


NOT_LISTED = LoggedModels()
"""What MLflow lists before version 3: nothing."""


@dataclass(frozen=True)
class ModelLog:
    """A log of the models of versions, in the experiment of one run."""

    client: MlflowClient
    experiment_id: str
    is_server: bool
    """Whether MLflow is a server, which gets files one by one, and not folder by folder."""

    def log_folder(self, run_id: str, folder: Path, path: str) -> None:
        """Log a folder as artifacts of a run."""
        log_file = partial(self.client.log_artifact, run_id)
        self._upload(folder, path, log_file, partial(self.client.log_artifacts, run_id))

    def log_models(
        self,
        run_id: str,
        version: VersionResult,
        deployable: Deployable,
        folder: Path,
        *,
        name: str,
        tags: Mapping[str, str],
        scratch: str,
    ) -> LoggedModels:
        """Log the deployable pipeline and the explainer of a version.

        Args:
            run_id: The version's run.
            version: The version.
            deployable: The deployable pipeline.
            folder: Local folder with the saved models of the bundle. Others are saved next to it.
            name: Name of the pipeline in MLflow.
            tags: Tags of both models.
            scratch: Folder of the lake in which the executors write their parts.
        """
        local = folder.with_name(f".{folder.name}-logged")
        pipeline = self._create(run_id, name, version, {**tags, ROLE_TAG: PIPELINE})
        uri = f"runs:/{run_id}/{PIPELINE}" if pipeline is None else f"models:/{pipeline.model_id}"
        save_model(
            deployable.model,
            local / PIPELINE,
            _describe(Model(artifact_path=PIPELINE, run_id=run_id), pipeline),
            scratch,
            signature=deployable.signature,
            input_example=deployable.example,
        )
        self._finish(run_id, pipeline, local / PIPELINE)
        depends_on = {_DEPENDS_ON: uri}
        explainer = self._create(
            run_id, f"{name}_{EXPLAINER}", version, {**tags, ROLE_TAG: EXPLAINER, **depends_on}
        )
        shutil.copytree(folder / EXPLAINER, local / EXPLAINER)
        described = _describe(Model.load(str(local / EXPLAINER)), explainer)
        described.metadata = depends_on
        described.save(str(local / EXPLAINER / "MLmodel"))
        self._finish(run_id, explainer, local / EXPLAINER)
        shutil.rmtree(local)
        self.client.set_tag(run_id, MODEL_TAG, uri)
        if pipeline is None or explainer is None:
            return LoggedModels()
        return LoggedModels(pipeline.model_id, explainer.model_id)

    def remove(self, run: Any) -> None:
        """Remove the models of a run that is repeated."""
        outputs = getattr(run, "outputs", None)
        for model in [] if outputs is None else outputs.model_outputs:
            self.client.delete_logged_model(model.model_id)

    def _create(self, run_id: str, name: str, version: VersionResult, tags: Mapping[str, str]) -> Any | None:
        """Create a model in MLflow, as an output of the run; ``None`` if MLflow has no such models."""
        if not hasattr(MlflowClient, "create_logged_model"):
            return None
        from mlflow.entities import LoggedModelOutput

        try:
            created = self.client.create_logged_model(
                self.experiment_id, name, run_id, dict(tags), dict(version.parameters)
            )
        except mlflow.MlflowException as error:
            if not _is_unknown_request(error):
                raise
            return None
        self.client.log_outputs(run_id, [LoggedModelOutput(created.model_id, step=0)])
        return created

    def _finish(self, run_id: str, model: Any | None, folder: Path) -> None:
        """Upload a saved model."""
        if model is None:
            self.log_folder(run_id, folder, folder.name)
            client: Any = self.client
            client._record_logged_model(run_id, Model.load(str(folder)))  # noqa: SLF001 - as log_model does
            return
        log_file = partial(self.client.log_model_artifact, model.model_id)
        self._upload(folder, "", log_file, partial(self.client.log_model_artifacts, model.model_id))
        self.client.finalize_logged_model(model.model_id, "READY")

    def _upload(
        self,
        folder: Path,
        path: str,
        log_file: Callable[[str, str | None], None],
        log_folder: Callable[[str, str | None], None],
    ) -> None:
        if not self.is_server:
            log_folder(str(folder), path or None)
            return

        def log_one(file: Path) -> None:
            log_file(str(file), str(Path(path, file.parent.relative_to(folder))).removeprefix(".") or None)

        with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
            list(pool.map(log_one, [each for each in folder.rglob("*") if each.is_file()]))


def log_bundle(log: ModelLog, run_id: str, models: Path) -> None:
    """Log the saved models of a bundle as artifacts, in parallel, for later runs and publishing."""
    folders = [path for path in models.iterdir() if path.is_dir()]
    with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
        list(pool.map(lambda path: log.log_folder(run_id, path, f"{MODELS}/{path.name}"), folders))


def _describe(model: Model, logged: Any | None) -> Model:
    """Return the description of a saved model, with its ID if MLflow lists it."""
    if logged is not None:
        model.artifact_path = logged.artifact_location
        model.model_id = model.model_uuid = logged.model_id
    return model


def _is_unknown_request(error: mlflow.MlflowException) -> bool:
    """Return whether a server is older than MLflow 3, and doesn't know the request."""
    return error.error_code == "ENDPOINT_NOT_FOUND" or "failed with error code 404" in str(error)
