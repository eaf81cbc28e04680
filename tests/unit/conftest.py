"""What several unit tests share: a workspace that is checked before a run, and a home with MLflow's store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# The Databricks SDK takes 0.7 s to import, which the tests that don't need it should not wait for.
if TYPE_CHECKING:
    from harness.targets.checks import Check
    from tests.unit.doctor_samples import RunChecks, Workspace


@pytest.fixture(name="workspace")
def _workspace() -> Workspace:
    from tests.unit.doctor_samples import Workspace

    return Workspace()


@pytest.fixture(name="run_checks")
def _run_checks(tmp_path: Path, workspace: Workspace) -> RunChecks:
    """Return a function that runs the checks of the Databricks target, by subject."""
    from harness.settings import read_settings
    from harness.targets.databricks.databricks_target import Databricks
    from tests.unit.doctor_samples import VOLUME

    def run_checks(toml: str = "", **chosen: str) -> dict[str, Check]:
        (tmp_path / "harness.toml").write_text(toml, encoding="utf-8")
        names = {"files": VOLUME, **chosen}
        environ = {f"HARNESS_TARGETS_DATABRICKS_{name.upper()}": value for name, value in names.items()}
        target = Databricks(read_settings(folder=tmp_path, environ=environ), print)
        vars(target)["workspace"] = workspace
        return {check.subject: check for check in target.checks()}

    return run_checks


@pytest.fixture(name="empty_store", scope="session")
def _empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store of MLflow: its tables take seconds to create."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(name="tracked_folder")
def _tracked_folder(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a home for embedded runs that has an empty store of MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HARNESS_TARGET", "embedded")
    (tmp_path / "home").mkdir()
    shutil.copy(empty_store, tmp_path / "home" / "mlflow.db")
    return tmp_path
