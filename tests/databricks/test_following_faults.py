"""Interrupted runs and failing workspaces: the messages, and what is left behind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.service.jobs import Run

from harness.errors import ExitCode, InterruptedRunError, JobError, LostRunError, PrerequisiteError
from harness.runs import PLAN
from harness.targets.databricks import job_runs, workspace_files as remote
from harness.targets.databricks.cluster import list_cluster_libraries, make_cluster_spec
from tests.databricks.conftest import connect
from tests.databricks.following import RUN, Bench, make_bench, successful_program
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import USER
from tests.embedded.small import write_table
from tests.unit import report_samples as samples


def test_the_cluster_does_not_start(bench: Bench) -> None:
    """A cluster that does not start is reported with the workspace's message and exit code 3."""
    bench.workspace.faults.fail_cluster("No quota for this size.")
    with pytest.raises(PrerequisiteError, match=r"The run didn't start: .*No quota for this size"):
        bench.run(successful_program())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_the_run_is_cancelled_from_outside(bench: Bench) -> None:
    """A run that is cancelled by somebody else leads to exit code 130."""
    bench.workspace.faults.delay_cluster(50)
    bench.workspace.faults.cancel_outside(2)
    with pytest.raises(InterruptedRunError, match="The run was cancelled") as caught:
        bench.run(successful_program())
    assert ExitCode.INTERRUPTED == caught.value.exit_code
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_ctrl_c_cancels_the_run_and_waits_for_its_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C cancels the run and waits until it has ended."""
    bench.workspace.faults.delay_cluster(1000)
    follow, calls = job_runs.await_run, list[int]()

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return follow(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(job_runs, "await_run", interrupted)
    with pytest.raises(InterruptedRunError, match="The run was cancelled"):
        bench.run(successful_program())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_ctrl_c_during_the_submission_leaves_nothing_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C during the submission cancels the run, which is found by its token."""
    bench.workspace.faults.delay_cluster(1000)
    submit, calls = job_runs.submit, list[int]()

    def interrupted(client: WorkspaceClient, job: job_runs.RunSpec) -> int:
        run_id = submit(client, job)
        calls.append(run_id)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return run_id

    monkeypatch.setattr(job_runs, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.run(successful_program())
    assert len(set(calls)) == 1
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_run_that_can_not_be_followed_is_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that can no longer be followed for lack of permission is cancelled."""
    bench.workspace.faults.delay_cluster(1000)
    look = job_runs.has_started

    def refused(run: Run) -> bool:
        look(run)
        raise PrerequisiteError("The workspace denies permission to look at the events.")

    monkeypatch.setattr(job_runs, "has_started", refused)
    with pytest.raises(JobError, match=r"denies permission .* The run was cancelled"):
        bench.run(successful_program())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_the_run_times_out(bench: Bench) -> None:
    """A run that exceeds its time limit is reported with the setting of the limit."""
    client, settings = bench.target.workspace, bench.target._settings
    bench.run(successful_program())
    wheel, *_ = bench.workspace.volumes.rglob("*.whl")
    path = "/Volumes/" + wheel.relative_to(bench.workspace.volumes).as_posix()
    job = job_runs.RunSpec(
        "late",
        make_cluster_spec(settings, USER, "late"),
        list_cluster_libraries(path, settings),
        ["plan"],
        timedelta(seconds=1),
    )
    bench.workspace.faults.delay_cluster(1000)
    ended = job_runs.await_run(client, job_runs.submit(client, job), lambda _run: None)
    fault = job_runs.make_run_error(ended, None)
    assert (JobError, True) == (type(fault), "exceeded its time limit" in fault.message)
    assert "TIME_LIMIT_MIN" in str(fault.remedy)
    assert bench.is_quiet()


@pytest.mark.parametrize("status", [500, 504])
def test_server_errors_are_waited_out(bench: Bench, status: int) -> None:
    """Server errors of the workspace are waited out, and the run continues."""
    bench.workspace.faults.throttle(3, status=status, prefix="/api/2.2/jobs/runs/get", after=1)
    bench.run(successful_program())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_credential_that_can_not_be_renewed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential that can't be renewed is reported, and attach can follow the run."""
    bench.workspace.faults.delay_cluster(1000)
    jobs = bench.target.workspace.jobs

    def refused(_run_id: int) -> Run:
        raise ValueError("invalid_client: the secret has expired")

    monkeypatch.setattr(jobs, "get_run", refused)
    expected = r"Authentication to the workspace .* failed: .*the secret has expired"
    with pytest.raises(LostRunError, match=expected):
        bench.run(successful_program())
    assert [PLAN] == [Path(name).name for name in bench.left_behind()]


def test_unreadable_events_are_not_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unreadable events do not prevent the result."""
    read = remote.VolumeFiles.read

    def refused(self: remote.VolumeFiles, path: str) -> bytes | None:
        if path.endswith("events.jsonl"):
            raise PrerequisiteError("No events.")
        return read(self, path)

    monkeypatch.setattr(remote.VolumeFiles, "read", refused)
    bench.run(successful_program())
    assert "ingest" not in [each.step for each in bench.events]


def test_an_unavailable_log_is_not_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unavailable log is reported in a line and does not prevent the result."""

    def refused(_client: WorkspaceClient, _run: Run) -> None:
        raise PrerequisiteError("No output.")

    monkeypatch.setattr(job_runs, "read_output", refused)
    bench.run(successful_program())
    assert "The run's log is not available: No output." in bench.messages


def test_a_run_is_followed_again_after_its_token_expired(bench: Bench) -> None:
    """After a token has expired, the run can be followed to its end with a new one."""
    bench.workspace.faults.delay_cluster(4)
    bench.workspace.faults.expire_token(prefix="/api/2.2/jobs/runs/get", after=2)
    with pytest.raises(LostRunError, match="refuses the credential") as caught:
        bench.run(successful_program())
    assert f"'harness attach {RUN}' follows it to its verdict" in str(caught.value.remedy)
    assert ExitCode.PREREQUISITE_MISSING == caught.value.exit_code
    bench.workspace.token = "renewed"
    bench.target.__dict__["workspace"] = connect(bench.workspace)
    result = bench.target.attach(bench.folder, bench.events.append)
    assert samples.result().scenario == result.scenario
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


@pytest.mark.parametrize("status", [429, 503])
def test_bursts_of_refusals_are_waited_out(bench: Bench, status: int) -> None:
    """A run passes although the workspace refuses bursts of requests."""
    bench.workspace.faults.throttle(4, status=status, prefix="/api/2.2/jobs")
    bench.workspace.faults.throttle(3, status=status, prefix="/api/2.0/fs")
    bench.run(successful_program())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_request_without_an_answer_is_repeated(bench: Bench) -> None:
    """Requests that get no answer are repeated."""
    bench.workspace.faults.drop(3, prefix="/api/2.2/jobs/runs/get", after=1)
    bench.run(successful_program())
    assert [] == bench.left_behind()


def test_an_interrupted_upload_is_repeated(bench: Bench) -> None:
    """An interrupted upload is repeated, and every file is complete."""
    bench.workspace.faults.cut_uploads(1)
    bench.run(successful_program())
    [rows] = bench.workspace.volumes.rglob("readings.csv")
    assert (bench.folder.parents[1] / "readings.csv").read_bytes() == rows.read_bytes()


def test_an_upload_that_keeps_failing_leaves_nothing(quick: StandIn, tmp_path: Path, bench: Bench) -> None:
    """An upload that keeps failing leads to exit code 3, with no partial file and no run."""
    impatient = Config(
        host=quick.host,
        token=quick.token,
        auth_type="pat",
        config_file="/dev/null",
        retry_timeout_seconds=3,  # A busy machine must still have time to remove what is left.
    )
    cut = make_bench(quick, tmp_path / "cut", WorkspaceClient(config=impatient))
    write_table(tmp_path / "cut", lambda row: row | {"heat": 1})
    quick.faults.cut_uploads(1000)
    before = len(quick.runs)
    with pytest.raises(PrerequisiteError, match="doesn't answer: can't upload"):
        cut.run(successful_program() + "# another wheel\n")
    quick.faults.clear()
    assert ([], before) == (bench.left_behind(), len(quick.runs))
