"""A run from its submission to its end, and its results; its job is quick, without Spark."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from databricks.sdk.service.catalog import TableInfo

from harness.errors import HarnessError, JobError, PrerequisiteError
from harness.events import Event
from harness.files import write_text
from harness.prediction_files import name_file
from harness.runs import PLAN, RESULT
from harness.settings import read_settings
from harness.targets.databricks import job_runs, workspace_files as remote
from harness.targets.databricks.cluster import list_cluster_libraries, make_cluster_spec
from harness.targets.databricks.databricks_target import SUBMISSION, Databricks
from harness.wheel import compute_version
from tests.databricks.command import FILES
from tests.databricks.following import FAILS, RUN, Bench, make_bench, successful_program
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import COLD_CLUSTER, USER, WARM_CLUSTER
from tests.unit import report_samples as samples

TALKS = "print('start'); print(('x' * 99 + chr(10)) * 60_000); print('end')\n" + FAILS
REAL_JOB = """
import sys
from harness.job.__main__ import entry
try:
    entry()
finally:
    print("Spark was loaded:", "pyspark" in sys.modules)
"""


def _set(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Change one of the target's settings."""
    setting = bench.target._settings.by_name[f"targets.databricks.{name}"]
    names = {**bench.target._settings.by_name, setting.name: setting.model_copy(update={"value": value})}
    monkeypatch.setattr(bench.target, "_settings", type(bench.target._settings)(names))


def test_a_run_returns_its_result_and_events(bench: Bench) -> None:
    """A run shows the cluster's start, the job's steps and its page, and leaves nothing behind."""
    bench.run(successful_program())
    assert ["cluster", "cluster", "ingest"] == [each.step for each in bench.events if each.state != "running"]
    assert any(line.startswith("Run: http") for line in bench.messages)
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_predictions_are_downloaded(bench: Bench) -> None:
    """The files of predictions are stored in the run's folder; one that is missing or damaged is reported."""
    text = "as if Parquet"
    digests = {"january": hashlib.sha256(text.encode()).hexdigest(), "february": "0" * 64, "march": "0" * 64}
    versions = tuple(
        samples.version(
            name,
            at,
            predictions={"file": name_file(name), "sha256": digest, "rows": 1, "held_out": 1},
        )
        for at, (name, digest) in enumerate(digests.items())
    )
    files = {name_file(name): text for name in ("january", "february")}
    bench.run(successful_program(samples.result(versions), files))
    assert [text] == [file.read_text() for file in (bench.folder / "predictions").iterdir()]
    assert text == (bench.folder / name_file("january")).read_text()
    assert 2 == sum("is not available: the workspace's copy is missing" in line for line in bench.messages)
    assert [] == bench.left_behind()


def test_a_failed_task_is_reported(bench: Bench) -> None:
    """If the task fails, its message, traceback and page reach the terminal, and the log is stored."""
    with pytest.raises(JobError, match="ValueError: the readings are upside down") as caught:
        bench.run(FAILS)
    assert "The end of its traceback:" in caught.value.message
    assert "/jobs/" in str(caught.value.remedy) or "run" in str(caught.value.remedy)
    assert "upside down" in (bench.folder / "job.log").read_text(encoding="utf-8")
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_the_jobs_events_are_not_in_the_message(bench: Bench) -> None:
    """The message of a failed task has the end of its log without the job's events; the log has them."""
    event = Event("train", "started", "january").to_line()
    with pytest.raises(JobError) as caught:
        bench.run(f"print({event!r}, flush=True)\n{FAILS}")
    assert "The end of its log:" in caught.value.message
    assert event not in caught.value.message
    assert event in (bench.folder / "job.log").read_text(encoding="utf-8")


def test_files_of_a_failed_run_can_be_kept(quick: StandIn, tmp_path: Path, bench: Bench) -> None:
    """With KEEP=1, the uploaded files of a failed run are kept."""
    kept = make_bench(quick, tmp_path / "kept", bench.target.workspace, keep=True)
    with pytest.raises(JobError):
        kept.run(FAILS)
    assert [PLAN] == [Path(name).name for name in kept.left_behind()]
    kept.target._remove(remote.open_files(kept.target.workspace, FILES), kept.target._run_folder(RUN))
    assert [] == kept.left_behind()


def test_two_submissions_start_one_run(bench: Bench) -> None:
    """Two submissions with the same token start one run."""
    client, settings = bench.target.workspace, bench.target._settings
    bench.run(successful_program())
    wheel, *_ = bench.workspace.volumes.rglob("*.whl")
    path = "/Volumes/" + wheel.relative_to(bench.workspace.volumes).as_posix()
    spec = make_cluster_spec(settings, USER, "twice")
    job = job_runs.RunSpec("twice", spec, list_cluster_libraries(path, settings), [], timedelta(minutes=1))
    bench.workspace.faults.delay_cluster(1000)
    before = len(bench.workspace.runs)
    first, second = job_runs.submit(client, job), job_runs.submit(client, job)
    job_runs.cancel(client, first)
    assert (first, before + 1) == (second, len(bench.workspace.runs))


def test_a_run_that_has_ended_is_read_again(bench: Bench) -> None:
    """Attaching to a finished run reads its stored result, even without the workspace's files."""
    bench.run(successful_program())
    before = len(bench.workspace.calls)
    result = bench.target.attach(bench.folder, bench.events.append)
    assert (samples.result().scenario, before) == (result.scenario, len(bench.workspace.calls))


def test_a_long_name_can_be_submitted(quick: StandIn, tmp_path: Path, bench: Bench) -> None:
    """A run can be submitted if its ID is longer than a token may be."""
    long = make_bench(quick, tmp_path / "long", bench.target.workspace)
    name = f"20261123-120000-{'n' * 64}-0001"
    long.plan = long.plan.model_copy(update={"run_id": name})
    long.folder = long.folder.with_name(name)
    write_text(long.folder / PLAN, long.plan.model_dump_json(by_alias=True))
    long.run(successful_program())
    assert ([], True) == (long.left_behind(), long.is_quiet())


def test_a_result_of_another_version_means_a_stale_wheel(bench: Bench) -> None:
    """An unreadable result is reported as that of a stale wheel."""
    with pytest.raises(JobError, match=r"another version of the harness \(unknown\)"):
        bench.run(successful_program().replace('"verdict"', '"outcome"'))
    assert ([], True) == (bench.left_behind(), bench.is_quiet())


def test_expired_folders_are_swept(bench: Bench) -> None:
    """Expired folders are swept by the date in their names; files still needed are kept."""
    bench.run(successful_program())
    kept = sorted(path for path in bench.workspace.volumes.rglob("*") if path.is_file())
    files = remote.open_files(bench.target.workspace, FILES)
    files.make_folder(f"{FILES}/until-20200106/runs/old")
    files.upload(f"{FILES}/until-20200106/runs/old/{PLAN}", remote.make_stream("{}"))
    assert 1 == bench.target.sweep()
    assert f"{FILES}/until-20200106" in bench.messages
    assert kept == sorted(path for path in bench.workspace.volumes.rglob("*") if path.is_file())


def test_expired_tables_are_swept(quick: StandIn, tmp_path: Path, bench: Bench) -> None:
    """Only tables that runs have built in the schema, and whose day has passed, are removed."""
    run = "small_run_20260504_101112_small_0a1b_until_"
    kept = [f"main.default.{name}" for name in ("small", "a_until_20200101", f"{run}29991231")]
    kept.append(f"main.other.{run}20200106")
    expired = [f"main.default.{run}{day}" for day in ("20200106", "20200113")]
    quick.tables = {name: TableInfo(full_name=name) for name in (*kept, *expired)}
    prefix = "HARNESS_TARGETS_DATABRICKS_"
    environ = {f"{prefix}FILES": FILES, f"{prefix}SCHEMA": "main.default"}
    target = Databricks(read_settings(folder=tmp_path, environ=environ), bench.messages.append)
    target.__dict__["workspace"] = bench.target.workspace
    assert target.sweep() == 2
    assert (sorted(quick.tables), bench.messages) == (sorted(kept), expired)


def test_a_complete_workspace_passes_its_checks(bench: Bench) -> None:
    """Every check of a complete workspace is reported and passes."""
    states = {check.subject: check.state for check in bench.target.checks()}
    assert {"authentication", "permission", "runtime", "node type", "files", "experiment"} <= states.keys()
    assert "failed" not in states.values()


def test_the_end_of_a_long_log_is_stored(bench: Bench) -> None:
    """The end of a log over 5 MB is stored, with a note that its beginning is missing."""
    with pytest.raises(JobError, match="upside down"):
        bench.run(TALKS)
    log = (bench.folder / "job.log").read_text(encoding="utf-8")
    assert log.startswith("[The workspace keeps only the end of the log.]\n")
    assert "start" not in log
    assert "end\n" in log


def test_a_run_of_another_workspace_is_refused(bench: Bench) -> None:
    """Attaching to a run of another workspace is refused with the names of both."""
    bench.run(successful_program())
    submission = json.loads((bench.folder / SUBMISSION).read_text(encoding="utf-8"))
    write_text(bench.folder / SUBMISSION, json.dumps(submission | {"host": "https://elsewhere.example.com"}))
    (bench.folder / RESULT).unlink()
    with pytest.raises(HarnessError, match=r"is on https://elsewhere\.example\.com, not on http"):
        bench.target.attach(bench.folder, bench.events.append)


def test_a_run_that_was_never_submitted_is_refused(bench: Bench) -> None:
    """Attaching to a local run is refused."""
    with pytest.raises(PrerequisiteError, match="was never submitted to a workspace"):
        bench.target.attach(bench.folder, bench.events.append)


def test_a_stale_wheel_is_found_before_spark(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real job ends before Spark starts if the cluster has another version of it than its plan."""
    _set(bench, monkeypatch, "cluster_id", WARM_CLUSTER)
    with pytest.raises(JobError) as caught:
        bench.run(REAL_JOB)
    assert caught.value.message == (
        f"The cluster ran another version of the harness ({compute_version()}) than the uploaded one (0)."
    )
    assert "keeps an installed library until it is restarted. Restart it, then run" in str(
        caught.value.remedy
    )
    [task] = [task for run in bench.workspace.runs.values() for task in run.tasks]
    assert "Spark was loaded: False" in task.log.read_text(encoding="utf-8")
    assert ({"cluster"}, []) == ({each.step for each in bench.events}, bench.left_behind())


def test_a_stale_wheel_of_an_older_harness_is_detected(bench: Bench) -> None:
    """A stale wheel whose job doesn't compare the versions itself is detected by its result."""
    with pytest.raises(
        JobError, match=r"another version of the harness \(0\.0\.9\) than the uploaded one \(0\)"
    ):
        bench.run(successful_program().replace('"harness":"0"', '"harness":"0.0.9"'))


def test_an_existing_cluster_is_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured cluster is used instead of a new one."""
    _set(bench, monkeypatch, "cluster_id", COLD_CLUSTER)
    before = set(bench.workspace.clusters)
    bench.run(successful_program())
    assert before == set(bench.workspace.clusters)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("runtime", "16.9.x-cpu-ml-scala2.12", "16.9.x-cpu-ml-scala2.12"),
        ("node_type", "Standard_None", "Standard_None"),
        ("cluster_id", "0000-none", "0000-none"),
    ],
)
def test_a_wrong_name_is_refused_early(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """A wrong name in the settings is reported before anything is uploaded or started."""
    _set(bench, monkeypatch, name, value)
    with pytest.raises(PrerequisiteError, match=message):
        bench.run(successful_program())
    assert ([], {}) == (bench.left_behind(), bench.workspace.runs)


def test_a_long_run_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a run is asked for each second at first, and each five seconds in the end."""
    monkeypatch.setattr(job_runs, "_POLL_S", 1.0)
    assert [1, 1, 2, 5, 5] == [job_runs.choose_pause(elapsed) for elapsed in (0, 59, 60, 240, 90_000)]
