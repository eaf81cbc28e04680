"""What a run leaves in a workspace, and its removal; the job is quick, without Spark."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import Run

from harness.errors import InterruptedRunError, JobError, PrerequisiteError
from harness.events import Event
from harness.files import write_text
from harness.runs import PLAN
from harness.settings import read_settings
from harness.targets.databricks import job_runs
from harness.targets.databricks.databricks_target import Databricks
from tests.databricks.command import FILES, besides_polling
from tests.databricks.following import FAILS, RUN, Bench, make_bench, successful_program
from tests.databricks.standin.server import StandIn

CALLS_AT_MOST = 25
SCRATCH = "/Volumes/main/default/harness/through"


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Restore Python's handling of Ctrl-C, independent of the test's own process."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _models_through(bench: Bench, scratch: str) -> Path:
    """Transfer the run's models through a volume with an existing file; return the folder."""
    environment = bench.plan.environment.model_copy(update={"scratch": scratch})
    bench.plan = bench.plan.model_copy(update={"environment": environment})
    write_text(bench.folder / PLAN, bench.plan.model_dump_json(by_alias=True))
    folder = bench.workspace.local(bench.plan.scratch_uri)
    write_text(folder / "5c1f" / "stages" / "part-0", "half a model")
    return folder


def test_a_run_needs_few_requests(bench: Bench) -> None:
    """A run needs few requests, including uploads and everything that happens once."""
    for file in bench.workspace.volumes.rglob("until-*/**/*"):
        if file.is_file():
            file.unlink()
    bench.workspace.calls.clear()
    bench.run(successful_program())
    assert CALLS_AT_MOST >= len(besides_polling(bench.workspace.calls)), bench.workspace.calls


def test_the_checks_leave_nothing_in_a_workspace(bench: Bench) -> None:
    """The checks leave neither a file nor a folder in the workspace."""
    volumes = bench.workspace.volumes
    before = sorted(volumes.rglob("*"))
    assert "failed" not in {check.state for check in bench.target.checks()}
    assert before == sorted(volumes.rglob("*"))
    assert [True, True] == ["harness-probe-" in call for call in bench.workspace.calls if "/fs/" in call]


def test_a_file_that_can_not_be_written_is_reported_before_the_run(bench: Bench) -> None:
    """A volume that allows folders but not files is detected before the run."""
    bench.workspace.faults.throttle(1, status=501, prefix=f"/api/2.0/fs/files{FILES}/harness-probe")
    failed = [check for check in bench.target.checks() if check.state == "failed"]
    assert ["files"] == [check.subject for check in failed]
    assert "can't upload" in failed[0].finding


@pytest.mark.parametrize(
    "text", [successful_program(), FAILS], ids=["a run that passes", "a run that breaks"]
)
def test_models_in_a_transfer_volume_are_removed(bench: Bench, text: str) -> None:
    """Models in a transfer volume are removed with the run's uploads, and nothing else is."""
    folder = _models_through(bench, SCRATCH)
    other = folder.parent / "of-another-run"
    other.mkdir(exist_ok=True)
    try:
        bench.run(text)
    except JobError:
        assert text == FAILS
    assert (False, True, []) == (folder.exists(), other.is_dir(), bench.left_behind())


def test_models_in_the_uploads_are_removed_with_them(bench: Bench) -> None:
    """Models that were transferred through the uploads are removed with them."""
    folder = _models_through(bench, f"{bench.target.upload_folder}/runs")
    bench.run(successful_program())
    assert (False, []) == (folder.exists(), bench.left_behind())
    removed = [call for call in bench.workspace.calls if call.endswith(f"/runs/{RUN}") and "DELETE" in call]
    assert 1 == len(removed)


def test_models_of_a_failed_run_can_be_kept(quick: StandIn, tmp_path: Path, bench: Bench) -> None:
    """With KEEP=1, the models of a failed run are kept."""
    kept = make_bench(quick, tmp_path / "kept", bench.target.workspace, keep=True)
    folder = _models_through(kept, SCRATCH)
    with pytest.raises(JobError):
        kept.run(FAILS)
    assert folder.is_dir()
    kept.target._remove_all(kept.target._run_folder(RUN), kept.plan.scratch_uri)
    assert (False, []) == (folder.exists(), kept.left_behind())


def test_a_scratch_folder_that_remains_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that can't be removed is reported; the result and the rest of the clean-up are unaffected."""
    _models_through(bench, SCRATCH)
    delete = bench.target.workspace.files.delete

    def refused(path: str) -> None:
        if path.startswith(SCRATCH):
            raise ValueError("No right to it.")
        delete(path)

    monkeypatch.setattr(bench.target.workspace.files, "delete", refused)
    bench.run(successful_program())
    assert [True] == [
        line.startswith(f"{SCRATCH}/{RUN} was not removed: ") for line in bench.messages if SCRATCH in line
    ]
    assert [] == bench.left_behind()


def test_models_are_transferred_through_the_uploads(bench: Bench, tmp_path: Path) -> None:
    """Without a model volume, models are transferred through the run's uploads."""
    names = {"FILES": FILES, "LAKE": "abfss://lake@dls.dfs.core.windows.net"}
    environ = {f"HARNESS_TARGETS_DATABRICKS_{name}": value for name, value in names.items()}
    target = Databricks(read_settings(folder=tmp_path, environ=environ), print)
    target.__dict__["workspace"] = bench.target.workspace
    environment = target.environment(None, "models")
    plan = bench.plan.model_copy(update={"environment": environment})
    assert target._run_folder(RUN) == plan.scratch_uri


def test_a_run_is_removed_from_its_planned_lake(bench: Bench, tmp_path: Path) -> None:
    """A run's tables are removed from its planned lake, whatever lake is set now."""
    environ = {
        "HARNESS_TARGETS_DATABRICKS_FILES": FILES,
        "HARNESS_TARGETS_DATABRICKS_LAKE": f"{FILES}/new-lake",
        "HARNESS_HOME": str(tmp_path),
    }
    environment = bench.plan.environment.model_copy(update={"lake": f"{FILES}/old-lake"})
    plan = bench.plan.model_copy(update={"environment": environment})
    write_text(bench.folder / PLAN, plan.model_dump_json(by_alias=True))
    old, new = (bench.workspace.local(f"{FILES}/{lake}/runs/{RUN}") for lake in ("old-lake", "new-lake"))
    for folder in (old, new):
        write_text(folder / "small" / "0.json", "{}")
    target = Databricks(read_settings(folder=tmp_path, environ=environ), print)
    target.__dict__["workspace"] = bench.target.workspace
    target.remove_run(RUN)
    assert (False, True) == (old.exists(), new.is_dir())


def test_a_run_without_a_plan_is_removed_from_the_current_lake(bench: Bench) -> None:
    """The tables of a run without a plan are removed from the current lake."""
    (bench.folder / PLAN).unlink()
    table = bench.workspace.local(f"{FILES}/lake/runs/{RUN}/small")
    table.mkdir(parents=True)
    bench.target.remove_run(RUN)
    assert not table.exists()


def test_a_cluster_that_does_not_start_is_shown_as_failed(bench: Bench) -> None:
    """A cluster that does not start is shown as failed, not as done."""
    bench.workspace.faults.fail_cluster("No quota for this size.")
    with pytest.raises(PrerequisiteError, match="didn't start"):
        bench.run(successful_program())
    assert [Event("cluster", "started")] == [each for each in bench.events if each.state != "running"]
    assert bench.events[-1].detail.startswith("failed: ")
    assert "No quota for this size." in bench.events[-1].detail


@pytest.mark.usefixtures("default_signals")
def test_ctrl_c_pressed_twice_still_cancels_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pressing Ctrl-C twice still cancels the run."""
    bench.workspace.faults.delay_cluster(1000)
    cancel, look = bench.target.workspace.jobs.cancel_run, job_runs.has_started

    def pressed_first(run: Run) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return look(run)

    def pressed_again(run_id: int) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return cancel(run_id)

    monkeypatch.setattr(job_runs, "has_started", pressed_first)
    monkeypatch.setattr(bench.target.workspace.jobs, "cancel_run", pressed_again)
    with pytest.raises(InterruptedRunError, match=r"Interrupted\. The run was cancelled"):
        bench.run(successful_program())
    assert any("Cancelling the run" in line for line in bench.messages)
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


@pytest.mark.usefixtures("default_signals")
def test_two_ctrl_c_during_the_submission_leave_nothing_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressing Ctrl-C twice during the submission still cancels the run."""
    bench.workspace.faults.delay_cluster(1000)
    submit = bench.target.workspace.jobs.submit

    def pressed(**asked: object) -> object:
        response = submit(**asked)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGINT)
        return response

    monkeypatch.setattr(bench.target.workspace.jobs, "submit", pressed)
    with pytest.raises(KeyboardInterrupt):
        bench.run(successful_program())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_colors_of_a_traceback_do_not_reach_the_terminal(bench: Bench) -> None:
    """Color codes in a notebook's traceback don't reach the terminal."""
    with pytest.raises(JobError, match="ValueError: red") as caught:
        bench.run(r"raise ValueError('\x1b[31mred\x1b[0m')")
    assert "\x1b" not in caught.value.message
