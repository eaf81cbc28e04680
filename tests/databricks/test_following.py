"""A run from its submission to its end, whatever happens on the way; what runs is quick, without Spark."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.service.jobs import Run

from harness.errors import ExitCode, HarnessError, InterruptedRunError, JobError, LostRunError, NotThereError
from harness.events import Event
from harness.files import sha256_of, write_text
from harness.runs import PLAN, RESULT
from harness.scenario.plan import Plan, SourceData
from harness.settings import read_settings
from harness.targets.databricks import SUBMISSION, Databricks
from harness.workspace import files as remote, runs
from harness.workspace.cluster import cluster_spec, libraries
from tests.databricks.command import FILES
from tests.databricks.conftest import connect
from tests.databricks.standin.quick import QuickTasks
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import COLD_CLUSTER, USER
from tests.databricks.standin.tracking import TrackingServer
from tests.embedded.runner import make_plan
from tests.embedded.small import SMALL, write_table
from tests.unit import report_samples as samples

RUN = "20261123-120000-small-0001"
FAILS = "raise ValueError('the readings are upside down')"
# Writes a line of progress and a result, as the job does.
PASSES = """
import json, pathlib, sys
plan, result, events = map(pathlib.Path, sys.argv[1:])
events.write_text({events!r})
result.write_text({result!r})
"""
TALKS = "print('start'); print(('x' * 99 + chr(10)) * 60_000); print('end')\n" + FAILS


@dataclass
class Bench:
    """A target on the stand-in, and what it told."""

    workspace: StandIn
    target: Databricks
    plan: Plan
    folder: Path
    told: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def run(self, text: str) -> None:
        """Send a "wheel" of this text, and follow it."""
        content = hashlib.sha256(text.encode()).hexdigest()[:12]
        wheel = self.folder / f"dataset_harness-0.1.0+{content}-py3-none-any.whl"
        wheel.write_text(text, encoding="utf-8")
        self.target.__dict__["_wheel"] = wheel
        self.target.prepare(self.plan)
        self.target.run(self.folder, self.events.append)

    def left_behind(self) -> list[str]:
        """Every file of a run's own that is still in the volume."""
        return [str(path) for path in self.workspace.volumes.rglob("runs/*/*") if path.is_file()]

    def is_quiet(self) -> bool:
        """Whether every run has ended, and with it every cluster of its own."""
        made = {task.cluster_id for run in self.workspace.runs.values() for task in run.tasks}
        states = [self.workspace.clusters[each].state for each in made if each]
        return all(state is not None and state.value == "TERMINATED" for state in states)


@pytest.fixture(scope="module")
def quick(tracking: TrackingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A workspace whose clusters are quick."""
    folder = tmp_path_factory.mktemp("quick")
    with StandIn(folder, QuickTasks(folder), tracking_url=tracking.url) as standin:
        yield standin


@pytest.fixture
def bench(quick: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A target with a plan to send."""
    monkeypatch.setattr(runs, "_POLL_S", 0.05)
    quick.calm()
    quick.runs.clear()
    return make_bench(quick, tmp_path, connect(quick))


def make_bench(quick: StandIn, home: Path, client: WorkspaceClient, *, keep: bool = False) -> Bench:
    """The same with another client."""
    environ = {"HARNESS_TARGETS_DATABRICKS_FILES": FILES, "HARNESS_HOME": str(home)}
    told: list[str] = []
    target = Databricks(read_settings(folder=home, environ=environ), told.append, keep=keep)
    target.__dict__["workspace"] = client
    table = write_table(home)
    source = SourceData(uri=str(table), format="csv", sha256=sha256_of(table))
    plan = make_plan(SMALL, table, home, RUN).model_copy(update={"source": target.place(source)})
    folder = home / "runs" / RUN
    write_text(folder / PLAN, plan.model_dump_json(by_alias=True))
    return Bench(quick, target, plan, folder, told)


def passing() -> str:
    """What brings back a result of the wheel that was sent."""
    result = samples.result(libraries={"harness": "0"}).model_dump_json(by_alias=True)
    return PASSES.format(events=Event("ingest", "done").to_line() + "\n", result=result)


def test_a_run_brings_its_result_and_its_events(bench: Bench) -> None:
    """The cluster's start and the job's steps are told, the page is named, and nothing is left behind."""
    bench.run(passing())
    assert ["cluster", "cluster", "ingest"] == [each.step for each in bench.events if each.state != "running"]
    assert any(line.startswith("Run: http") for line in bench.told)
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_the_task_breaks(bench: Bench) -> None:
    """Message, trace and the run's page reach the terminal; the log is kept here."""
    with pytest.raises(JobError, match="ValueError: the readings are upside down") as caught:
        bench.run(FAILS)
    assert "The end of its trace:" in caught.value.message
    assert "/jobs/" in str(caught.value.remedy) or "run" in str(caught.value.remedy)
    assert "upside down" in (bench.folder / "job.log").read_text(encoding="utf-8")
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_fault_keeps_what_is_to_be_kept(quick: StandIn, tmp_path: Path, bench: Bench) -> None:
    """With KEEP=1 a person can look at what was sent."""
    kept = make_bench(quick, tmp_path / "kept", bench.target.workspace, keep=True)
    with pytest.raises(JobError):
        kept.run(FAILS)
    assert [PLAN] == [Path(name).name for name in kept.left_behind()]
    kept.target._remove(remote.open_files(kept.target.workspace, FILES), kept.target._run_folder(RUN))
    assert [] == kept.left_behind()


def test_the_cluster_does_not_start(bench: Bench) -> None:
    """The workspace's own words, and exit code 3."""
    bench.workspace.faults.fail_cluster("No quota for this size.")
    with pytest.raises(NotThereError, match=r"The run did not start: .*No quota for this size"):
        bench.run(passing())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_the_run_is_cancelled_from_outside(bench: Bench) -> None:
    """Somebody else has ended it: exit code 130."""
    bench.workspace.faults.delay_cluster(50)
    bench.workspace.faults.cancel_outside(2)
    with pytest.raises(InterruptedRunError, match="The run was cancelled") as caught:
        bench.run(passing())
    assert ExitCode.INTERRUPTED == caught.value.exit_code
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_ctrl_c_cancels_the_run_and_waits_for_its_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the command ends, nothing runs any more."""
    bench.workspace.faults.delay_cluster(1000)
    follow, calls = runs.follow, list[int]()

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return follow(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "follow", interrupted)
    with pytest.raises(InterruptedRunError, match="The run was cancelled"):
        bench.run(passing())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_ctrl_c_while_it_is_submitted_leaves_nothing_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the submission got there or not: the run that there may be is found by its token."""
    bench.workspace.faults.delay_cluster(1000)
    submit, calls = runs.submit, list[int]()

    def interrupted(client: WorkspaceClient, job: runs.Job) -> int:
        found = submit(client, job)
        calls.append(found)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(runs, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.run(passing())
    assert len(set(calls)) == 1
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_run_that_can_not_be_followed_is_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right that is taken away in the middle: the fault is told, and nothing goes on unseen."""
    bench.workspace.faults.delay_cluster(1000)
    look = runs.has_started

    def refused(run: Run) -> bool:
        look(run)
        raise NotThereError("The workspace does not permit to look at the events.")

    monkeypatch.setattr(runs, "has_started", refused)
    with pytest.raises(JobError, match=r"does not permit .* The run was cancelled"):
        bench.run(passing())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_the_run_times_out(bench: Bench) -> None:
    """The workspace gives it up after its limit, and the message has the setting."""
    client, settings = bench.target.workspace, bench.target._settings
    bench.run(passing())
    wheel, *_ = bench.workspace.volumes.rglob("*.whl")
    path = "/Volumes/" + wheel.relative_to(bench.workspace.volumes).as_posix()
    job = runs.Job(
        "late", cluster_spec(settings, USER, "late"), libraries(path), ["plan"], timedelta(seconds=1)
    )
    bench.workspace.faults.delay_cluster(1000)
    ended = runs.follow(client, runs.submit(client, job), lambda _run: None)
    fault = runs.fault(ended, None)
    assert (JobError, True) == (type(fault), "longer than its limit" in fault.message)
    assert "TIME_LIMIT_MIN" in str(fault.remedy)
    assert bench.is_quiet()


def test_two_submissions_start_one_run(bench: Bench) -> None:
    """They have one token: the run's id."""
    client, settings = bench.target.workspace, bench.target._settings
    bench.run(passing())
    wheel, *_ = bench.workspace.volumes.rglob("*.whl")
    path = "/Volumes/" + wheel.relative_to(bench.workspace.volumes).as_posix()
    spec = cluster_spec(settings, USER, "twice")
    job = runs.Job("twice", spec, libraries(path), [], timedelta(minutes=1))
    bench.workspace.faults.delay_cluster(1000)
    before = len(bench.workspace.runs)
    first, second = runs.submit(client, job), runs.submit(client, job)
    runs.cancel(client, first)
    assert (first, before + 1) == (second, len(bench.workspace.runs))


@pytest.mark.parametrize("status", [500, 504])
def test_a_workspace_in_trouble_is_waited_for(bench: Bench, status: int) -> None:
    """It says so in other words than that it is busy; the run goes on, and so does whoever follows it."""
    bench.workspace.faults.throttle(3, status=status, prefix="/api/2.2/jobs/runs/get", after=1)
    bench.run(passing())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_credential_that_can_not_be_renewed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's secret that has run out is told like a token that has: the run can be taken up again."""
    bench.workspace.faults.delay_cluster(1000)
    jobs = bench.target.workspace.jobs

    def refused(_run_id: int) -> Run:
        raise ValueError("invalid_client: the secret has expired")

    monkeypatch.setattr(jobs, "get_run", refused)
    with pytest.raises(LostRunError, match=r"can't be authenticated to any more: .*the secret has expired"):
        bench.run(passing())
    assert [PLAN] == [Path(name).name for name in bench.left_behind()]


def test_events_that_can_not_be_read_are_no_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for the eye; the result comes all the same."""
    read = remote.VolumeFiles.read

    def refused(self: remote.VolumeFiles, path: str) -> bytes | None:
        if path.endswith("events.jsonl"):
            raise NotThereError("No events.")
        return read(self, path)

    monkeypatch.setattr(remote.VolumeFiles, "read", refused)
    bench.run(passing())
    assert "ingest" not in [each.step for each in bench.events]


def test_a_log_that_can_not_be_had_is_no_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is of use without it; a line tells."""

    def refused(_client: WorkspaceClient, _run: Run) -> None:
        raise NotThereError("No output.")

    monkeypatch.setattr(runs, "output", refused)
    bench.run(passing())
    assert "The run's log can't be had: No output." in bench.told


def test_a_run_that_has_ended_is_read_again(bench: Bench) -> None:
    """Its result is here, whatever has become of the workspace's files."""
    bench.run(passing())
    before = len(bench.workspace.calls)
    result = bench.target.attach(bench.folder, bench.events.append)
    assert (samples.result().scenario, before) == (result.scenario, len(bench.workspace.calls))


def test_a_long_name_can_be_submitted(quick: StandIn, tmp_path: Path, bench: Bench) -> None:
    """A run's id may be longer than a token."""
    long = make_bench(quick, tmp_path / "long", bench.target.workspace)
    name = f"20261123-120000-{'n' * 64}-0001"
    long.plan = long.plan.model_copy(update={"run_id": name})
    long.folder = long.folder.with_name(name)
    write_text(long.folder / PLAN, long.plan.model_dump_json(by_alias=True))
    long.run(passing())
    assert ([], True) == (long.left_behind(), long.is_quiet())


def test_a_result_of_another_version_is_of_a_stale_wheel(bench: Bench) -> None:
    """What can't be read was not written by the wheel that was sent."""
    with pytest.raises(JobError, match=r"The cluster ran the harness of another version"):
        bench.run(passing().replace('"verdict"', '"outcome"'))
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_what_has_expired_is_swept_away_there(bench: Bench) -> None:
    """What was left behind goes with the day in its folder's name; what is needed stays."""
    bench.run(passing())
    kept = sorted(path for path in bench.workspace.volumes.rglob("*") if path.is_file())
    files = remote.open_files(bench.target.workspace, FILES)
    files.make_folder(f"{FILES}/until-20200106/runs/old")
    files.upload(f"{FILES}/until-20200106/runs/old/{PLAN}", remote.text("{}"))
    assert 1 == bench.target.sweep()
    assert f"{FILES}/until-20200106" in bench.told
    assert kept == sorted(path for path in bench.workspace.volumes.rglob("*") if path.is_file())


def test_a_workspace_that_has_all_passes_its_checks(bench: Bench) -> None:
    """Every line is said, and none has failed."""
    states = {check.what: check.state for check in bench.target.checks()}
    assert {"authentication", "permission", "runtime", "node type", "files", "experiment"} <= states.keys()
    assert "failed" not in states.values()


def test_a_long_log_is_kept_to_its_end(bench: Bench) -> None:
    """The workspace keeps 5 MB; the log says that its beginning is missing."""
    with pytest.raises(JobError, match="upside down"):
        bench.run(TALKS)
    log = (bench.folder / "job.log").read_text(encoding="utf-8")
    assert log.startswith("[The workspace keeps the end of the log alone.]\n")
    assert "start" not in log
    assert "end\n" in log


def test_the_token_runs_out_and_the_run_is_taken_up_again(bench: Bench) -> None:
    """The run goes on; with another token it is followed to its end, and nothing is left behind."""
    bench.workspace.faults.delay_cluster(4)
    bench.workspace.faults.expire_token(prefix="/api/2.2/jobs/runs/get", after=2)
    with pytest.raises(LostRunError, match="refuses the credential") as caught:
        bench.run(passing())
    assert f"'harness attach {RUN}' takes it up again" in str(caught.value.remedy)
    assert ExitCode.NOT_THERE == caught.value.exit_code
    bench.workspace.token = "renewed"
    bench.target.__dict__["workspace"] = connect(bench.workspace)
    result = bench.target.attach(bench.folder, bench.events.append)
    assert samples.result().scenario == result.scenario
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_run_of_another_workspace_is_not_taken_up(bench: Bench) -> None:
    """The message has both, and how to name the right one."""
    bench.run(passing())
    submission = json.loads((bench.folder / SUBMISSION).read_text(encoding="utf-8"))
    write_text(bench.folder / SUBMISSION, json.dumps(submission | {"host": "https://elsewhere.example.com"}))
    (bench.folder / RESULT).unlink()
    with pytest.raises(HarnessError, match=r"is on https://elsewhere\.example\.com, not on http"):
        bench.target.attach(bench.folder, bench.events.append)


def test_a_run_that_was_never_submitted_is_not_taken_up(bench: Bench) -> None:
    """A local run has nothing to go back to."""
    with pytest.raises(NotThereError, match="was never submitted to a workspace"):
        bench.target.attach(bench.folder, bench.events.append)


@pytest.mark.parametrize("status", [429, 503])
def test_refusals_in_bursts_are_waited_out(bench: Bench, status: int) -> None:
    """The workspace is busy: the run passes all the same."""
    bench.workspace.faults.throttle(4, status=status, prefix="/api/2.2/jobs")
    bench.workspace.faults.throttle(3, status=status, prefix="/api/2.0/fs")
    bench.run(passing())
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_a_lost_connection_is_taken_up_again(bench: Bench) -> None:
    """Some questions get no answer: they are asked again."""
    bench.workspace.faults.drop(3, prefix="/api/2.2/jobs/runs/get", after=1)
    bench.run(passing())
    assert [] == bench.left_behind()


def test_an_upload_that_is_cut_off_once_is_sent_again(bench: Bench) -> None:
    """It passes, with every file whole."""
    bench.workspace.faults.cut_uploads(1)
    bench.run(passing())
    [rows] = bench.workspace.volumes.rglob("readings.csv")
    assert (bench.folder.parents[1] / "readings.csv").read_bytes() == rows.read_bytes()


def test_an_upload_that_is_cut_off_for_good_leaves_nothing(
    quick: StandIn, tmp_path: Path, bench: Bench
) -> None:
    """Exit code 3, no half file, and nothing was started."""
    impatient = Config(
        host=quick.host,
        token=quick.token,
        auth_type="pat",
        config_file="/dev/null",
        retry_timeout_seconds=1,
    )
    cut = make_bench(quick, tmp_path / "cut", WorkspaceClient(config=impatient))
    write_table(tmp_path / "cut", lambda row: row | {"heat": 1})
    quick.faults.cut_uploads(1000)
    before = len(quick.runs)
    with pytest.raises(NotThereError, match="does not answer: can't upload"):
        cut.run(passing() + "# another wheel\n")
    quick.faults.clear()
    assert ([], before) == (bench.left_behind(), len(quick.runs))


def test_a_stale_wheel_is_found_out(bench: Bench) -> None:
    """A warm cluster that has another wheel of the same name does not pass for this one."""
    with pytest.raises(JobError, match=r"The cluster ran the harness 0\.0\.9, not 0, which was sent"):
        bench.run(passing().replace('"harness":"0"', '"harness":"0.0.9"'))


def test_a_cluster_that_is_there_is_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other is made for the run."""
    setting = bench.target._settings.by_name["targets.databricks.cluster_id"]
    changed = setting.model_copy(update={"value": COLD_CLUSTER})
    names = {**bench.target._settings.by_name, "targets.databricks.cluster_id": changed}
    monkeypatch.setattr(bench.target, "_settings", type(bench.target._settings)(names))
    before = set(bench.workspace.clusters)
    bench.run(passing())
    assert before == set(bench.workspace.clusters)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("runtime", "17.0.x-cpu-ml-scala2.12", "17.0.x-cpu-ml-scala2.12"),
        ("node_type", "Standard_None", "Standard_None"),
        ("cluster_id", "0000-none", "0000-none"),
    ],
)
def test_what_the_workspace_does_not_have_is_refused_early(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """Before anything is uploaded or started, with the name that is wrong."""
    setting = bench.target._settings.by_name[f"targets.databricks.{name}"]
    names = {**bench.target._settings.by_name, setting.name: setting.model_copy(update={"value": value})}
    monkeypatch.setattr(bench.target, "_settings", type(bench.target._settings)(names))
    with pytest.raises(NotThereError, match=message):
        bench.run(passing())
    assert ([], {}) == (bench.left_behind(), bench.workspace.runs)
