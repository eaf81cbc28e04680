"""A workspace that is checked before a run, shared by the tests of those checks."""

from __future__ import annotations

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
