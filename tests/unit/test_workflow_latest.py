"""The link ``latest`` and the state of a run, from its first second to its end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.authoring.scenario_list import list_scenarios
from harness.cli import app
from harness.errors import ExitCode, JobError, PrerequisiteError, ScenarioError
from harness.plan import Plan
from harness.request import Session
from harness.resolve import resolve_plan
from harness.runs import LATEST, RESULT, RunFolder, RunState
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from harness.workflow import open_run_folder
from tests.unit import studies_samples as samples

BEFORE = "20260101-000000-readings-0000"


@pytest.fixture(name="runs")
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of runs, with one that passed."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    run = RunFolder.create(tmp_path / "home" / "runs", BEFORE)
    (run.path / RESULT).write_text(samples.result().to_json(), encoding="utf-8")
    run.make_latest()
    return run.path.parent


def _prepare(folder: Path) -> tuple[Session, Plan]:
    """Return a session for a scenario, and the plan of a run of it."""
    (folder / "scenarios").mkdir()
    loaded = samples.loaded(folder / "scenarios")
    settings = read_settings({"target": "embedded"})
    session = Session(loaded, (loaded,), Embedded(settings), settings, Console(file=io.StringIO()))
    return session, resolve_plan(loaded, settings, session.target)


def _read_newest(folder: Path, runs: Path) -> str:
    [listed] = list_scenarios(folder / "scenarios", runs)
    return listed.newest


def test_latest_points_to_a_run_from_its_first_second(tmp_path: Path, runs: Path) -> None:
    """A run that has just started is the latest one, and it is running; nobody reads the one before."""
    session, plan = _prepare(tmp_path)
    assert "pass" == _read_newest(tmp_path, runs)
    with open_run_folder(session, plan) as folder:
        assert (folder.path.name, RunState.RUNNING) == ((runs / LATEST).readlink().name, folder.state)
        assert "running" == _read_newest(tmp_path, runs)
        compared = CliRunner().invoke(app, ["compare", "latest", BEFORE])
    assert f"The run 'latest' ({plan.run_id}) is still running." in str(compared.exception)


@pytest.mark.parametrize(
    ("error", "shown"), [(KeyboardInterrupt(), "interrupted"), (JobError("It broke."), "error")]
)
def test_a_run_without_an_end_stays_the_latest(
    error: BaseException, shown: str, tmp_path: Path, runs: Path
) -> None:
    """If a job ends without a result, its run stays the latest one, and all who read it learn that."""
    session, plan = _prepare(tmp_path)
    with pytest.raises(type(error)), open_run_folder(session, plan):
        raise error
    assert plan.run_id == (runs / LATEST).readlink().name
    assert shown == _read_newest(tmp_path, runs)
    compared = CliRunner().invoke(app, ["compare", "latest", BEFORE])
    assert ExitCode.NOT_PROVEN == compared.exit_code
    assert f"Nothing was compared. Run {plan.run_id}" in compared.output


@pytest.mark.parametrize("error", [PrerequisiteError("No Java."), ScenarioError(())])
def test_a_run_that_could_not_start_is_not_the_latest(error: Exception, tmp_path: Path, runs: Path) -> None:
    """If a run leaves nothing behind, 'latest' points to the run before again."""
    session, plan = _prepare(tmp_path)
    with pytest.raises(type(error)), open_run_folder(session, plan):
        raise error
    assert (BEFORE, [BEFORE, LATEST]) == (
        (runs / LATEST).readlink().name,
        sorted(path.name for path in runs.iterdir()),
    )


def test_an_unreadable_newest_run_does_not_show_an_older_verdict(tmp_path: Path, runs: Path) -> None:
    """If the newest run can't be read, its scenario is listed as such, not with the verdict before."""
    session, plan = _prepare(tmp_path)
    with open_run_folder(session, plan) as folder:
        (folder.path / RESULT).write_text("{}", encoding="utf-8")
    assert "unreadable" == _read_newest(tmp_path, runs)
