"""The estimate of a run's time and memory: from an earlier run, or from the size of the data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.authoring.plan_preview import PlanPreview, Training, preview_run
from harness.loading.loader import load_scenario
from harness.report.terminal.command_tables import show_plan
from harness.scenario.model import Scenario
from harness.settings import Settings, read_settings
from tests.unit import report_samples as samples

MB = 1_000_000


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return read_settings(folder=tmp_path, environ={})


@pytest.fixture(name="scenario")
def _scenario() -> Scenario:
    return load_scenario("scenarios/three_versions.yaml").scenario


def show_time(planned: PlanPreview) -> str:
    """Return the lines about time and memory."""
    text = io.StringIO()
    show_plan(Console(file=text, width=300), planned)
    lines = text.getvalue().splitlines()
    return "\n".join(line for line in lines if line.startswith(("Time:", "Memory:")))


def write_run(settings: Settings, scenario: Scenario, run_id: str, *, name: str = "", **changes: Any) -> None:
    """Write a run that has trained a model at every version."""
    versions = tuple(
        samples.version(each.name, at, run_id=f"{run_id}-{each.name}")
        for at, each in enumerate(scenario.versions)
    )
    values = {"run_id": run_id, "scenario": name or scenario.name, "duration_s": 100.0, "versions": versions}
    result = samples.result().model_copy(update={**values, **changes})
    plan = samples.plan().model_copy(update={"run_id": run_id})
    folder = settings.runs / run_id
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json(by_alias=True))
    (folder / "result.json").write_text(result.model_dump_json(by_alias=True))


def test_time_and_memory_grow_with_the_data(settings: Settings, scenario: Scenario) -> None:
    """The line has both, and says from what; memory is limited by the heap."""
    small = preview_run(scenario, settings, data_bytes=2 * MB)
    large = preview_run(scenario, settings, data_bytes=80 * MB)
    assert "about 1 min, give or take a factor of 2 (estimated from 2.0 MB" in show_time(small)
    assert "Memory: up to 2.2 GB." in show_time(small)
    assert "about 3 min" in show_time(large)
    limited = read_settings(folder=Path(), environ={"HARNESS_DRIVER_MEMORY": "2g"})
    huge = preview_run(scenario, limited, data_bytes=2000 * MB)
    assert "about 49 min" in show_time(huge)
    assert "Memory: up to 3.2 GB." in show_time(huge)
    assert huge.values()["estimate"]["data_bytes"] == 2000 * MB


def test_an_earlier_run_says_more(settings: Settings, scenario: Scenario) -> None:
    """The newest run with as many trainings counts, if it was measured to its end."""
    write_run(settings, scenario, "20260301-101500-x-0001", duration_s=80.0)
    write_run(settings, scenario, "20260301-101500-x-0002")
    write_run(settings, scenario, "20260301-101500-x-0003", failure=samples.failure())
    write_run(settings, scenario, "20260301-101500-x-0004", reused_from="x")
    write_run(settings, scenario, "20260301-101500-x-0005", name="other")
    write_run(settings, scenario, "20260301-101500-x-0006", versions=())
    assert "Time: about 1 min 40 s, as in run 20260301-101500-x-0002." == show_time(
        preview_run(scenario, settings)
    )
    known = {"january": Training(known_run="earlier")}
    fewer = preview_run(scenario, settings, trainings=known, data_bytes=2 * MB)
    assert "estimated" in show_time(fewer)


def test_what_is_not_known_is_not_estimated(settings: Settings, scenario: Scenario) -> None:
    """Data elsewhere has no known size; a cluster's time is not that of this machine."""
    assert not show_time(preview_run(scenario, settings))
    cloud = read_settings(folder=Path(), environ={"HARNESS_TARGET": "databricks"})
    assert preview_run(scenario, cloud, data_bytes=MB).estimate is None
