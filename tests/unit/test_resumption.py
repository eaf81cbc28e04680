"""Which runs can be resumed after they ended without a verdict, and the messages about the others."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.bounds.judge import judge_versions
from harness.cli import app
from harness.errors import ExitCode, JobError, PrerequisiteError, ScenarioError, UsageError
from harness.events import FinishedStep, Listener
from harness.files import file_lock, try_lock
from harness.job.step_record import StepRecord
from harness.plan import Plan
from harness.report import HTML
from harness.request import Session
from harness.resolve import resolve_plan
from harness.results import Failure, Result, Verdict
from harness.resumption import find_interrupted_run, make_request
from harness.runs import JUNIT, LOG, PLAN, RESULT, RESUMING, STEPS, RunFolder, list_runs
from harness.scenario.read_step import Read
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from harness.workflow import execute, resume
from tests.unit.studies_samples import loaded, measured, result

TABLE = "abfss://lake@account.dfs.core.windows.net/readings"
BUILT = FinishedStep("ingest", "one", {"number": 0})


class Breaking(Embedded):
    """The embedded target whose job finishes a step, and then fails until a test changes that."""

    error: BaseException | None = JobError("The job's JVM was ended by signal 9 (SIGKILL).")
    plans: list[Plan] = []  # noqa: RUF012 - of all tests

    def prepare(self, plan: Plan) -> None:
        """Need nothing."""

    def run(self, folder: Path, listener: Listener) -> Result:
        """Fail, or return a result."""
        del listener
        run = RunFolder(folder)
        self.plans.append(run.read_plan())
        (folder / LOG).write_text(f"part {len(self.plans)}", encoding="utf-8")
        run.record_step(BUILT)
        if Breaking.error is not None:
            raise Breaking.error
        versions = judge_versions(self.plans[-1].scenario, (measured("one"),), {})
        return result(*versions, run_id=folder.name)


@pytest.fixture(name="session")
def _session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return a session whose job breaks."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Breaking, "error", Breaking.error)
    monkeypatch.setattr(Breaking, "plans", [])
    monkeypatch.setattr("harness.targets.embedded.embedded_target.Embedded", Breaking)
    scenario = loaded(tmp_path, [{"name": "one", "expect": {"rows": 300}}])
    settings = read_settings({"target": "embedded"})
    return Session(scenario, (scenario,), Breaking(settings), settings, Console(file=io.StringIO()))


@pytest.fixture(name="run")
def _run(session: Session) -> RunFolder:
    """Return a run that broke."""
    with pytest.raises(JobError):
        execute(session, session.single_combination)
    [run] = list_runs(session.settings.runs)
    return run


def go_on(run: RunFolder) -> ExitCode:
    """Go on with a run, as the command does."""
    return resume(run.path.name, Console(file=io.StringIO()))


def plan_again(session: Session, **changes: Any) -> Plan:
    """Return the plan of another run of the same scenario."""
    return resolve_plan(session.single_combination, session.settings, session.target).model_copy(
        update=changes
    )


def test_the_same_scenario_goes_on_by_itself(session: Session, run: RunFolder) -> None:
    """The next command goes on with the broken run, in its folder, with the steps that it had finished."""
    Breaking.error = None
    outcome = execute(session, session.single_combination)
    assert [run.path] == [each.path for each in list_runs(session.settings.runs)] == [outcome.folder]
    first, second = Breaking.plans
    assert (False, ()) == (first.is_resumed, first.finished)
    assert (True, (BUILT,), run.path.name) == (second.is_resumed, second.finished, second.run_id)
    assert (None, Verdict.PASS) == (run.read_result().failure, run.read_result().verdict)
    shown = session.console.file.getvalue().replace("\n", " ")  # type: ignore[attr-defined]
    assert f"Resuming run {run.path.name}, which stopped at " in shown
    assert ["part 1", "part 2"] == [(run.path / name).read_text() for name in ("job-1.log", LOG)]


def test_a_run_that_breaks_again_goes_on_again(session: Session, run: RunFolder) -> None:
    """Each part adds to the record, and leaves a result that says why it ended."""
    with pytest.raises(JobError):
        execute(session, session.single_combination)
    assert run.read_result().failure is not None
    assert all((run.path / name).exists() for name in (JUNIT, HTML))
    Breaking.error = None
    assert ExitCode.PASS == go_on(run)
    assert [0, 1, 2] == [len(each.finished) for each in Breaking.plans]


def test_a_missing_prerequisite_does_not_remove_the_run(run: RunFolder) -> None:
    """If the target isn't ready, the run stays, and can go on later; a mistake in the data removes it."""
    Breaking.error = PrerequisiteError("Java is missing.")
    with pytest.raises(PrerequisiteError):
        go_on(run)
    assert [BUILT, BUILT] == list(run.finished_steps)
    Breaking.error = ScenarioError([])
    with pytest.raises(ScenarioError):
        go_on(run)
    assert not run.path.exists()


@pytest.mark.parametrize("change", ["fresh", "code", "steps", "running", "verdict", "lake"])
def test_other_runs_do_not_go_on(
    session: Session, run: RunFolder, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with other work, in another lake, without a step, with a verdict, or one that still runs."""
    plan = plan_again(session)
    assert find_interrupted_run(session.settings.runs, plan, session.target) == run
    with file_lock(run.path / PLAN if change == "running" else run.path / RESULT):
        match change:
            case "fresh":
                plan = plan_again(session, fresh=True)
            case "code":
                plan = plan_again(session, harness_version="0.2.0")
            case "lake":
                plan = plan_again(session, environment=plan.environment.model_copy(update={"lake": "/other"}))
            case "steps":
                (run.path / STEPS).unlink()
            case "verdict":
                (run.path / RESULT).write_text(result(measured("one")).to_json(), encoding="utf-8")
        assert find_interrupted_run(session.settings.runs, plan, session.target) is None
    monkeypatch.setattr(
        "harness.resumption.Settleable", int
    )  # A run on Databricks may go on without its command.
    assert find_interrupted_run(session.settings.runs, plan_again(session), session.target) is None


def test_what_has_changed_is_named(session: Session, run: RunFolder, tmp_path: Path) -> None:
    """A run with another scenario, other data or another lake can't go on; the message has the difference."""
    file = Path(session.loaded.document.file)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("seed: 3", "seed: 4"), encoding="utf-8")
    with pytest.raises(
        UsageError, match=f"Can't resume run {run.path.name}: this has changed since it ran: seed"
    ):
        go_on(run)
    file.write_text(text, encoding="utf-8")
    data = tmp_path / "readings.csv"
    data.write_text(data.read_text(encoding="utf-8") + "2,0,21,51,bad\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has changed since it ran: the content of a source"):
        go_on(run)
    assert len(Breaking.plans) == 1
    assert run.read_result().failure is not None


def test_a_changed_store_is_named(
    session: Session, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is not in another lake."""
    del session
    monkeypatch.setenv("HARNESS_LAKE", str(tmp_path / "other"))
    with pytest.raises(UsageError, match=r"has changed since it ran: lake is .*other, was .*lake"):
        go_on(run)


def test_runs_without_a_reason_to_go_on_are_refused(
    session: Session, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running one, one of a study, one with a verdict: one message each, with exit code 2."""
    with file_lock(run.path / PLAN), pytest.raises(UsageError, match="is still running"):
        go_on(run)
    studied = run.read_plan().model_copy(update={"parameters": {"train": "one"}})
    (run.path / PLAN).write_text(studied.model_dump_json(by_alias=True), encoding="utf-8")
    with pytest.raises(UsageError, match="is part of a study of the scenario readings"):
        go_on(run)
    (run.path / RESULT).write_text(result(measured("one")).to_json(), encoding="utf-8")
    refused = CliRunner().invoke(app, ["resume", "latest"])
    assert isinstance(refused.exception, UsageError)
    assert "has ended with the verdict 'pass'" in str(refused.exception)
    monkeypatch.chdir(session.settings.home)
    unknown = CliRunner().invoke(app, ["resume", "nothing"])
    assert isinstance(unknown.exception, PrerequisiteError)


def test_a_failure_without_a_verdict_is_described(session: Session, run: RunFolder) -> None:
    """An interrupted run has a result with its failure until it goes on."""
    del session
    assert Failure.of(JobError("The job's JVM was ended by signal 9 (SIGKILL).")) == run.read_result().failure


def test_only_one_command_resumes_a_run(session: Session, run: RunFolder) -> None:
    """Of two commands at once, the second is refused, and changes nothing."""
    before = run.read_result()
    with try_lock(run.path / RESUMING) as is_first:
        with pytest.raises(UsageError, match="Another command is resuming"):
            go_on(run)
        assert is_first
    assert before == run.read_result()
    Breaking.error = None
    assert ExitCode.PASS == go_on(run)
    del session


def test_a_full_disk_does_not_remove_what_is_resumed(
    session: Session, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the plan of a run that is resumed can't be written, its steps stay."""
    del session
    full = PrerequisiteError("The disk is full.")

    def fail(_path: Path, _text: str) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr("harness.workflow.write_text", fail)
        with pytest.raises(PrerequisiteError, match="The disk is full"):
            go_on(run)
    assert [BUILT] == list(run.finished_steps)
    Breaking.error = None
    assert ExitCode.PASS == go_on(run)


def test_a_run_on_another_table_is_requested_again(session: Session, run: RunFolder) -> None:
    """The table and the versions of the command line are part of the request, not of a study."""
    del session
    plan = run.read_plan()
    table = plan.scenario.table.model_copy(
        update={"uri": TABLE, "source": None, "versions": (Read(version=3),)}
    )
    scenario = plan.scenario.model_copy(update={"table": table})
    parameters = {"table.uri": TABLE, "table.versions": "3"}
    changed = plan.model_copy(update={"scenario": scenario, "parameters": parameters})
    (run.path / PLAN).write_text(changed.model_dump_json(by_alias=True), encoding="utf-8")
    request = make_request(run)
    assert request.table is not None
    assert (TABLE, ()) == (request.table.uri, request.only)


def test_a_replay_is_not_resumed(session: Session, run: RunFolder) -> None:
    """A replay is started again, because MLflow has its inputs."""
    del session
    plan = run.read_plan().model_copy(update={"probe": ("7",)})
    (run.path / PLAN).write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")
    with pytest.raises(UsageError, match="is a replay"):
        go_on(run)


def test_forgotten_steps_stay_forgotten() -> None:
    """What was finished before the table was lost does not count in a later part either."""
    reported: list[FinishedStep] = []
    record = StepRecord([BUILT], reported.append)
    record.forget()
    record.finish("check", "one", {"rows": 1})
    assert [None, {"rows": 1}] == [record.find("ingest", "one"), record.find("check", "one")]
    later = StepRecord([BUILT, *reported])
    assert [None, {"rows": 1}] == [later.find("ingest", "one"), later.find("check", "one")]
