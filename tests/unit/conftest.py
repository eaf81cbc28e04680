"""A workspace that is looked at before a run, which the tests of its lines share."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.settings import read_settings
from harness.targets.checks import Check
from harness.targets.databricks.databricks_target import Databricks
from tests.unit.doctor_samples import VOLUME, Look, Workspace


@pytest.fixture(name="workspace")
def _workspace() -> Workspace:
    return Workspace()


@pytest.fixture(name="look")
def _look(tmp_path: Path, workspace: Workspace) -> Look:
    """Every line of the Databricks target, by what it is about."""

    def look(toml: str = "", **chosen: str) -> dict[str, Check]:
        (tmp_path / "harness.toml").write_text(toml, encoding="utf-8")
        names = {"files": VOLUME, **chosen}
        environ = {f"HARNESS_TARGETS_DATABRICKS_{name.upper()}": value for name, value in names.items()}
        target = Databricks(read_settings(folder=tmp_path, environ=environ), print)
        vars(target)["workspace"] = workspace
        return {check.what: check for check in target.checks()}

    return look
