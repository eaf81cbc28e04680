"""A fourth target, registered by a test, which runs a scenario without any other change."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.files import write_text
from harness.loading.loader import load_scenario
from harness.plan import Environment
from harness.resolve import resolve_plan
from harness.results import Verdict
from harness.runs import PLAN, RunFolder
from harness.setting_types import SettingSpec
from harness.settings import read_settings
from harness.targets.base import open_target
from harness.targets.embedded.embedded_target import Embedded
from harness.targets.registry import TARGETS
from harness.targets.target_definition import TargetDefinition
from tests.embedded.small import UNPUBLISHED, write_scenario

pytestmark = pytest.mark.spark


class Borrowed(Embedded):
    """The embedded target with another name and an additional setting."""

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return the embedded environment with the experiment of this target's setting."""
        experiment = self._settings["targets.borrowed.experiment"]
        environment = super().environment(source_bytes, store)
        return environment.model_copy(update={"target": "borrowed", "experiment": experiment})


def test_a_fourth_target_runs_a_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is registered only by its definition is opened, planned for and run like any other."""
    definition = TargetDefinition(
        name="borrowed",
        title="borrowed",
        implementation=f"{__name__}:{Borrowed.__name__}",
        is_local=True,
        settings=(SettingSpec("targets.borrowed.experiment", "loan", "MLflow experiment"),),
    )
    monkeypatch.setitem(TARGETS, definition.name, definition)
    settings = read_settings(
        {"target": "borrowed"}, folder=tmp_path, environ={"HARNESS_HOME": str(tmp_path / "home")}
    )
    target = open_target(settings)
    plan = resolve_plan(load_scenario(write_scenario(tmp_path, UNPUBLISHED)), settings, target)
    folder = RunFolder.create(settings.runs, plan.run_id)
    write_text(folder.path / PLAN, plan.model_dump_json(by_alias=True))
    target.prepare(plan)
    result = target.run(folder.path, lambda _event: None)
    assert ("borrowed", Verdict.PASS) == (result.target, result.verdict)
    assert "loan" == folder.read_plan().environment.experiment
