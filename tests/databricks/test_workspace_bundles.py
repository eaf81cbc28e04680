"""Bundles of removed runs in a workspace, whose MLflow is a real server."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.bundles import publish
from harness.errors import ExitCode
from harness.files import write_text
from harness.storage.model_store import FolderStore
from tests.databricks.command import FILES, Command
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.tracking import TrackingServer
from tests.databricks.submissions import HOME
from tests.unit.studies_samples import make_plan, measured, result, store_run

RUN, OTHER = "20260301-101500-readings-7f3a", "20260302-101500-readings-0b1c"
STORE = f"{FILES}/models"


class Workspace:
    """A workspace with MLflow and a model store in a volume, and a home with runs on it."""

    def __init__(self, quick: StandIn, tracking: TrackingServer, home: Path) -> None:
        self.quick = quick
        self.command = Command(quick, home)
        self.client = MlflowClient(tracking.url)
        self.experiment_path = f"{HOME}/bundles-{home.parent.name}"
        self.experiment = self.client.create_experiment(self.experiment_path)

    def publish(self, *, keep_as: str = RUN, store: str = STORE) -> tuple[str, Path]:
        """Keep a run with a bundle; return the id of its training, and the bundle's folder."""
        training = self.client.create_run(self.experiment, tags={"harness.run_id": keep_as}).info.run_id
        plan = make_plan(run_id=keep_as)
        environment = {
            "target": "databricks",
            "lake": f"{FILES}/lake",
            "model_store": store,
            "tracking_uri": "databricks",
            "experiment": self.experiment_path,
        }
        plan = plan.model_copy(update={"environment": plan.environment.model_copy(update=environment)})
        models = self.command.home / "trained" / training
        write_text(models / "classifier" / "MLmodel", training)
        version = measured("one").model_copy(update={"run_id": training})
        local = publish(FolderStore(self.quick.local(STORE)), models, version, plan, lambda _: None)
        name = "/".join(Path(local).parts[-2:])
        bundle = f"{store}/{name}"
        self.client.set_tag(training, "harness.bundle", bundle)
        kept = result(version.model_copy(update={"bundle": bundle}), run_id=keep_as)
        store_run(self.command.home / "runs", plan, kept)
        return training, Path(local)


@pytest.fixture(name="workspace")
def _workspace(quick: StandIn, tracking: TrackingServer, tmp_path: Path) -> Iterator[Workspace]:
    quick.reset()
    yield Workspace(quick, tracking, tmp_path / ".harness")
    shutil.rmtree(quick.local(STORE), ignore_errors=True)
    quick.reset()


def test_the_bundles_of_a_removed_run_are_removed(workspace: Workspace) -> None:
    """A removed run loses its bundles, whose record in MLflow no longer names them; others are untouched."""
    training, removed = workspace.publish()
    other, kept = workspace.publish(keep_as=OTHER)
    done = workspace.command.run("clean", "--keep-runs", "1")
    assert 0 == done.returncode, done.stderr
    assert "1 run removed, with their tables.\n1 bundle removed.\n" == done.stdout
    assert (False, True) == (removed.exists(), (kept / "manifest.json").exists())
    tags = [workspace.client.get_run(each).data.tags.get("harness.bundle") for each in (training, other)]
    assert [None, f"{STORE}/{kept.parent.name}/{kept.name}"] == tags


def _register(workspace: Workspace, training: str, bundle: Path) -> str:
    name = f"readings-{bundle.name}"
    workspace.client.create_registered_model(name)
    workspace.client.create_model_version(name, f"runs:/{training}/models", training)
    return "its model is registered in MLflow"


def _use_elsewhere(workspace: Workspace, training: str, bundle: Path) -> str:
    del bundle
    workspace.client.create_run(
        workspace.experiment, tags={"harness.run_id": OTHER, "harness.reused.march": training}
    )
    return f"another run uses its models: {OTHER}"


def _belong_elsewhere(workspace: Workspace, training: str, bundle: Path) -> str:
    del workspace, training
    manifest = bundle / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"run_id": OTHER}))
    return f"it belongs to the run {OTHER}"


@pytest.mark.parametrize("use", [_register, _use_elsewhere, _belong_elsewhere])
def test_a_bundle_that_somebody_uses_stays(
    workspace: Workspace, use: Callable[[Workspace, str, Path], str]
) -> None:
    """A bundle stays if somebody else uses or owns it; the output says why."""
    training, bundle = workspace.publish()
    reason = use(workspace, training, bundle)
    done = workspace.command.run("clean", "--keep-runs", "0")
    assert 0 == done.returncode, done.stderr
    assert f"stays: {reason}." in done.stdout + done.stderr
    assert (bundle / "classifier" / "MLmodel").exists()


@pytest.mark.parametrize(("hours", "is_left"), [(0, True), (2, False)])
def test_a_broken_copy_is_removed_with_its_run(workspace: Workspace, hours: int, is_left: bool) -> None:
    """A copy without a manifest is removed with its run, unless somebody may still be making it."""
    _, bundle = workspace.publish()
    (bundle / "manifest.json").unlink()
    moment = time.time() - hours * 3600
    for file in bundle.rglob("*"):
        os.utime(file, (moment, moment))
    done = workspace.command.run("clean", "--keep-runs", "0")
    assert 0 == done.returncode, done.stderr
    assert is_left == bundle.exists()


def test_bundles_in_an_account_without_a_credential_stay(workspace: Workspace) -> None:
    """Without a credential for the model store, the run is removed, and the output names the store."""
    store = "abfss://models@unreachable.dfs.core.windows.net/harness"
    workspace.publish(store=store)
    done = workspace.command.run("clean", "--keep-runs", "0")
    assert 0 == done.returncode, done.stderr
    assert f"The bundles in {store} stay: this machine has no credential for it." in done.stdout + done.stderr
    assert not (workspace.command.home / "runs" / RUN).exists()


def test_a_refused_request_keeps_the_run(workspace: Workspace) -> None:
    """If the workspace's MLflow refuses the request, the run stays with its bundles."""
    _, bundle = workspace.publish()
    workspace.quick.faults.throttle(1000, status=501, prefix="/api/2.0/mlflow/")
    done = workspace.command.run("clean", "--keep-runs", "0")
    assert ExitCode.PREREQUISITE_MISSING == done.returncode
    assert "Traceback" not in done.stderr
    assert (True, True) == (bundle.exists(), (workspace.command.home / "runs" / RUN).exists())
