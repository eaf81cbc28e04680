"""The process of a job: its events, its result, its log and its end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import (
    DeadProcessError,
    ExitCode,
    HarnessError,
    InterruptedRunError,
    JobError,
    OutOfMemoryError,
    PrerequisiteError,
)
from harness.events import Announcement, Event, FinishedStep, Listener
from harness.files import is_locked
from harness.prediction_files import SentFile
from harness.process_ends import CONTAINER, PYTHON
from harness.results import Result
from harness.runs import LOG, PLAN, RESULT
from harness.storage import disk_space
from harness.targets import job_process as module
from harness.targets.job_process import FinishedProcess, run_command, take_result
from tests.unit import report_samples as samples

ROOT = Path(__file__).parents[2]
STARTED = Event("train", "started", "january")
LONGER_THAN_A_PIPE = samples.result(tuple(samples.version(f"v{at}", at) for at in range(40)))
DURING = " during 'train' of january"
"""The step that is running after the event."""
SLEEP = "import time\ntime.sleep(60)\n"
KILLED = f"import os\nprint({STARTED.to_line()!r})\nos.kill(os.getpid(), 9)\n"
START = (
    'Setting default log level to "WARN".\n'
    "26/01/31 10:00:00 WARN NativeCodeLoader: Unable to load native-hadoop library for your platform\n"
)
"""What Spark writes to the log when it starts."""


def write_plan(folder: Path) -> None:
    """Write a plan with a lake in this folder, and a small heap."""
    plan = samples.plan()
    changes = {"lake": str(folder / "lake"), "spark": {"spark.driver.memory": "512m"}}
    plan = plan.model_copy(update={"environment": plan.environment.model_copy(update=changes)})
    (folder / PLAN).write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")


class _Jobs(list[int | None]):
    """The exit codes that the processes had when they were cleaned up."""

    def clean_up(self, process: subprocess.Popen[str]) -> None:
        self.append(process.poll())
        process.kill()
        process.wait()


def _follow(
    folder: Path,
    program: str,
    listener: Listener = lambda _event: None,
    *,
    jobs: _Jobs | None = None,
    sends_plan: bool = False,
) -> FinishedProcess:
    (folder / PLAN).touch()
    return run_command(
        [sys.executable, "-c", program],
        folder,
        listener,
        environ={**os.environ, "PYTHONUNBUFFERED": "1"},
        interrupt=lambda process: process.send_signal(signal.SIGINT),
        clean_up=(_Jobs() if jobs is None else jobs).clean_up,
        sends_plan=sends_plan,
    )


def _ctrl_c(_event: Event) -> None:
    raise KeyboardInterrupt


def _print_lines(folder: Path, *lines: str) -> str:
    """Return a program that writes these lines to its standard output."""
    (folder / "lines").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"import shutil, sys\nshutil.copyfileobj(open({str(folder / 'lines')!r}), sys.stdout)\n"


def test_events_are_forwarded(tmp_path: Path) -> None:
    """The listener receives every event, in order."""
    expected = [STARTED, Event("train", "done", "january", 1.5)]
    events: list[Event] = []
    _follow(tmp_path, _print_lines(tmp_path, *(event.to_line() for event in expected)), events.append)
    assert expected == events


def test_other_output_is_logged(tmp_path: Path) -> None:
    """Output that is not an event goes to the log, and so do the job's errors."""
    program = (
        _print_lines(tmp_path, "one", STARTED.to_line(), '{"event": half') + "sys.stderr.write('two\\n')"
    )
    _follow(tmp_path, program)
    assert ["one", "two", '{"event": half'] == sorted((tmp_path / LOG).read_text().splitlines())


def test_invalid_utf8_is_not_an_error(tmp_path: Path) -> None:
    """A line that is not valid UTF-8 is logged as far as it can be decoded."""
    _follow(tmp_path, "import sys; sys.stdout.buffer.write(b'\\xff!')")
    assert "\N{REPLACEMENT CHARACTER}!" == (tmp_path / LOG).read_text(encoding="utf-8")


@pytest.mark.parametrize("result", [samples.result(), LONGER_THAN_A_PIPE], ids=["short", "long"])
def test_a_result_among_the_events_is_found(tmp_path: Path, result: Result) -> None:
    """A result that arrives with the events is returned, not logged."""
    finished = _follow(tmp_path, _print_lines(tmp_path, STARTED.to_line(), result.to_line(), "done"))
    assert (FinishedProcess(0, result, interrupted=False, during=DURING), "done\n") == (
        finished,
        (tmp_path / LOG).read_text(),
    )


def test_a_file_among_the_events_is_written(tmp_path: Path) -> None:
    """A file that arrives as a line is written into the run's folder; one for another path is only logged."""
    sent = SentFile("predictions/january.parquet", b"\x00\xff" * 50_000)
    other = SentFile("../outside.parquet", b"x").to_line()
    _follow(tmp_path, _print_lines(tmp_path, STARTED.to_line(), sent.to_line(), other))
    assert sent.content == (tmp_path / sent.path).read_bytes()
    assert ([other], False) == (
        (tmp_path / LOG).read_text().splitlines(),
        (tmp_path.parent / "outside.parquet").exists(),
    )


def test_the_job_reads_nothing(tmp_path: Path) -> None:
    """A job that gets its plan as a file has no standard input, never the terminal's."""
    _follow(tmp_path, "import sys; print(repr(sys.stdin.read()))")
    assert "''\n" == (tmp_path / LOG).read_text()


def test_the_job_reads_the_plan(tmp_path: Path) -> None:
    """A job that reads the plan gets it as one line, however long, and the input stays open meanwhile."""
    plan = {"text": "two\nlines " * 20_000}
    (tmp_path / PLAN).write_text(json.dumps(plan, indent=2))
    program = "import json, select, sys\nplan = json.loads(sys.stdin.readline())\n"
    program += "print(plan['text'].count('\\n'), select.select([0], [], [], 0.2)[0])"
    _follow(tmp_path, program, sends_plan=True)
    assert "20000 []\n" == (tmp_path / LOG).read_text()


def test_a_job_that_does_not_read_the_plan_ends(tmp_path: Path) -> None:
    """A process that ends before it has read the plan is reported like any other."""
    (tmp_path / PLAN).write_text(json.dumps("x" * 200_000))
    assert FinishedProcess(7, None, interrupted=False) == _follow(
        tmp_path, "raise SystemExit(7)", sends_plan=True
    )


def test_the_input_ends_with_the_command(tmp_path: Path) -> None:
    """If the command is killed, the input of its job ends."""
    (tmp_path / PLAN).write_text("{}")
    job = f"import sys\nsys.stdin.readline()\nprint({STARTED.to_line()!r}, flush=True)\nsys.stdin.read()\n"
    job += f"open({str(tmp_path / 'ended')!r}, 'w').close()"
    program = "import os, sys, pathlib\nfrom harness.targets.job_process import run_command\n"
    program += f"run_command([sys.executable, '-c', {job!r}], pathlib.Path({str(tmp_path)!r}), "
    program += "lambda _: os.kill(os.getpid(), 9), environ=os.environ, interrupt=print, clean_up=print, "
    program += "sends_plan=True)"
    assert -9 == subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT).returncode
    while is_locked(tmp_path / PLAN):  # By the job, until its end.
        time.sleep(0.01)
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("exit_code", [0, 3, 5, -9])
def test_the_exit_code_is_that_of_the_job(tmp_path: Path, exit_code: int) -> None:
    """The exit code is that of the job, even if a signal ended it."""
    program = "import os; os.kill(os.getpid(), 9)" if exit_code < 0 else f"raise SystemExit({exit_code})"
    assert FinishedProcess(exit_code, None, interrupted=False) == _follow(tmp_path, program)


def test_a_job_that_has_ended_is_cleaned_up(tmp_path: Path) -> None:
    """A job that has ended is cleaned up, because what it started may outlive it."""
    jobs = _Jobs()
    _follow(tmp_path, "", jobs=jobs)
    assert [0] == jobs


def test_a_job_is_cleaned_up_after_an_error(tmp_path: Path) -> None:
    """A job is cleaned up even if the listener fails."""

    def broken(_event: Event) -> None:
        raise ValueError("a bug")

    jobs = _Jobs()
    with pytest.raises(ValueError, match="a bug"):
        _follow(tmp_path, f"print({STARTED.to_line()!r})\n{SLEEP}", broken, jobs=jobs)
    assert [None] == jobs


@pytest.mark.parametrize("result", [samples.result(), LONGER_THAN_A_PIPE], ids=["short", "long"])
def test_an_interrupted_job_still_returns_its_result(tmp_path: Path, result: Result) -> None:
    """After Ctrl-C, output is forwarded until the job ends, however long it is."""
    program = f"try:\n    print({STARTED.to_line()!r})\n    import time\n    time.sleep(60)\n"
    program += f"except KeyboardInterrupt:\n    exec({_print_lines(tmp_path, result.to_line())!r})\n"
    jobs = _Jobs()
    finished = _follow(tmp_path, program, _ctrl_c, jobs=jobs)
    assert (FinishedProcess(0, result, interrupted=True, during=DURING), {0}) == (finished, set(jobs))


def test_a_process_that_an_interrupted_job_leaves_is_ended(tmp_path: Path) -> None:
    """After Ctrl-C, nobody waits for a process that the job started and that keeps its output open."""
    child = f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    program = f"import subprocess, sys\n{child}\nprint({STARTED.to_line()!r})\n{SLEEP}"
    (tmp_path / PLAN).touch()
    finished = run_command(
        [sys.executable, "-c", program],
        tmp_path,
        _ctrl_c,
        environ={**os.environ, "PYTHONUNBUFFERED": "1"},
        interrupt=lambda process: process.send_signal(signal.SIGTERM),
        clean_up=lambda process: os.killpg(process.pid, signal.SIGKILL),
    )
    assert (True, -signal.SIGTERM) == (finished.interrupted, finished.exit_code)


def test_a_job_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that ignores Ctrl-C is cleaned up after a time limit."""
    monkeypatch.setattr(module, "_END_TIMEOUT_S", 0.1)
    program = f"import signal\nsignal.signal(2, signal.SIG_IGN)\nprint({STARTED.to_line()!r})\n{SLEEP}"
    jobs = _Jobs()
    finished = _follow(tmp_path, program, _ctrl_c, jobs=jobs)
    assert (FinishedProcess(-9, None, interrupted=True, during=DURING), [None, -9]) == (finished, jobs)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    """A second Ctrl-C ends the wait for the job."""
    line = f"print({STARTED.to_line()!r})\n"
    program = f"import signal\nsignal.signal(2, signal.SIG_IGN)\n{line}{line}{SLEEP}"
    finished = _follow(tmp_path, program, _ctrl_c)
    assert FinishedProcess(-9, None, interrupted=True, during=DURING) == finished


def test_a_result_from_the_events_comes_first(tmp_path: Path) -> None:
    """If the result arrived with the events, no file is read."""
    assert samples.result() == take_result(FinishedProcess(0, samples.result(), interrupted=False), tmp_path)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_result_is_read_from_its_file(tmp_path: Path, interrupted: bool) -> None:
    """A result is read from its file, even if the job was interrupted."""
    (tmp_path / RESULT).write_text(samples.result().model_dump_json(by_alias=True), encoding="utf-8")
    assert samples.result() == take_result(FinishedProcess(0, None, interrupted=interrupted), tmp_path)


def test_an_interruption_before_a_result_is_reported(tmp_path: Path) -> None:
    """Ctrl-C before there is a result is an interruption, not an error of the job."""
    with pytest.raises(InterruptedRunError, match="Interrupted"):
        take_result(FinishedProcess(1, None, interrupted=True), tmp_path)


@pytest.mark.parametrize(
    ("exit_code", "fault"),
    [(0, JobError), (1, JobError), (int(ExitCode.PREREQUISITE_MISSING), PrerequisiteError)],
)
def test_a_job_without_a_result_is_reported(
    tmp_path: Path, exit_code: int, fault: type[HarnessError]
) -> None:
    """The message has exit code, steps and last lines; exit code 3 means a missing prerequisite."""
    (tmp_path / LOG).write_text("".join(f"line {number}\n" for number in range(20)) + START)
    with pytest.raises(HarnessError) as caught:
        take_result(FinishedProcess(exit_code, None, interrupted=False, during=DURING), tmp_path)
    last = "".join(f"    line {number}\n" for number in range(8, 20))
    expected = f"The job's Python process ended with exit code {exit_code}{DURING}, "
    expected += f"without a result. Last lines of its log:\n{last}"
    assert (fault, f"{expected}  Complete log: {tmp_path / LOG}") == (type(caught.value), str(caught.value))


@pytest.mark.parametrize("process", [PYTHON, CONTAINER])
def test_the_jobs_reports_are_not_shown(tmp_path: Path, process: str) -> None:
    """The end of the log is shown without what the job reports to its command, even if that was cut off."""
    reports = (
        STARTED.to_line(),
        Announcement("scratch", "/lake/scratch").to_line(),
        FinishedStep("check", "january", {}).to_line(),
        samples.result().to_line()[:100],
        SentFile("predictions/january.parquet", b"x").to_line()[:50],
    )
    text = "\n".join(("ValueError: a loan of no amount", *reports, "Exiting."))
    (tmp_path / LOG).write_text(text, encoding="utf-8")
    with pytest.raises(JobError) as caught:
        take_result(FinishedProcess(1, None, interrupted=False, process=process), tmp_path)
    assert caught.value.message == (
        f"{process} ended with exit code 1, without a result. Last lines of its log:\n"
        "    ValueError: a loan of no amount\n    Exiting."
    )


@pytest.mark.parametrize(
    ("log", "cause", "message"),
    [
        (
            START,
            DeadProcessError,
            "The job's Python process was ended by signal 9 (SIGKILL) during 'train' of january.",
        ),
        (
            f"{START}Exception: java.lang.OutOfMemoryError: Java heap space\n",
            OutOfMemoryError,
            f"The job's JVM ran out of memory{DURING}: Java heap space. It has a heap of 512m.",
        ),
        (
            f"{START}OSError: [Errno 28] No space left on device: 'x'\nValueError: closed\n",
            PrerequisiteError,
            "The disk is full: OSError: [Errno 28] No space left on device: 'x'",
        ),
    ],
    ids=["killed", "heap", "disk"],
)
def test_a_killed_job_has_a_cause(tmp_path: Path, log: str, cause: type[HarnessError], message: str) -> None:
    """A killed job is reported with its process, signal and steps, or with the cause in its log."""
    write_plan(tmp_path)
    finished = _follow(tmp_path, KILLED)
    (tmp_path / LOG).write_text(log)
    with pytest.raises(HarnessError) as caught:
        take_result(finished, tmp_path)
    assert (cause, message, False) == (type(caught.value), caught.value.message, "WARN" in str(caught.value))


def test_the_step_before_the_end_is_named(tmp_path: Path) -> None:
    """If a job ends between two steps, the message names the one that was finished last."""
    done = Event("train", "done", "january", 1.5)
    program = f"print({STARTED.to_line()!r})\nprint({done.to_line()!r})\n{KILLED.splitlines()[2]}"
    with pytest.raises(DeadProcessError, match=r"SIGKILL\) after 'train' of january\."):
        take_result(_follow(tmp_path, f"import os\n{program}"), tmp_path)


def test_a_job_that_the_kernel_ended_lacked_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the kernel counted a killed process in the meantime, the message blames the memory."""
    counts = iter((3, 4))
    monkeypatch.setattr(module, "count_memory_kills", lambda: next(counts))
    with pytest.raises(DeadProcessError, match=r"because the memory of .* MB was full"):
        take_result(_follow(tmp_path, KILLED), tmp_path)


def test_a_full_disk_without_a_word_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the log could not be written, the free space of the run's folders tells that a disk is full."""
    statvfs = os.statvfs
    full = SimpleNamespace(f_bavail=0, f_frsize=4096, f_blocks=1 << 20, f_files=0, f_favail=0)
    disks = SimpleNamespace(statvfs=lambda path: full if path == tmp_path / "lake" else statvfs(path))
    monkeypatch.setattr(disk_space, "os", disks)
    write_plan(tmp_path)
    (tmp_path / "lake").mkdir()
    with pytest.raises(PrerequisiteError, match=f"The disk is full: {tmp_path}/lake has 0 kB of free space"):
        take_result(_follow(tmp_path, KILLED), tmp_path)


@pytest.mark.parametrize(
    ("kind", "log", "expected"),
    [
        ("ConnectionRefusedError", "", "ConnectionRefusedError"),
        ("ConnectionRefusedError", "java.lang.OutOfMemoryError: Java heap space", "OutOfMemoryError"),
        ("DeadProcessError", "java.lang.OutOfMemoryError: Java heap space", "OutOfMemoryError"),
        ("OperationalError", "database or disk is full", "PrerequisiteError"),
        ("JobError", "database or disk is full", "JobError"),
    ],
)
def test_the_log_explains_an_unknown_failure(tmp_path: Path, kind: str, log: str, expected: str) -> None:
    """A failure that the job didn't know gets the cause that its log has; one that it knew stays."""
    write_plan(tmp_path)
    (tmp_path / LOG).write_text(log)
    result = samples.result(failure=samples.failure(kind=kind, exit_code=ExitCode.JOB_FAILED))
    failure = take_result(FinishedProcess(5, result, interrupted=False), tmp_path).failure
    assert failure is not None
    assert (expected, True) == (
        failure.kind,
        result.failure is not None and result.failure.message in failure.message,
    )


def test_a_log_that_cannot_be_written_does_not_stop_the_run(tmp_path: Path) -> None:
    """On a full disk, events and result still arrive, although the log can't be written."""
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a device that is always full")
    (tmp_path / LOG).symlink_to("/dev/full")
    events: list[Event] = []
    program = _print_lines(tmp_path, "a line for the log", STARTED.to_line(), samples.result().to_line())
    finished = _follow(tmp_path, program, events.append)
    assert (samples.result(), [STARTED]) == (finished.result, events)


def test_a_jvm_that_does_not_start_is_reported(tmp_path: Path) -> None:
    """If the job's JVM did not start, the message is the JVM's own, not PySpark's."""
    (tmp_path / LOG).write_text(
        "Unrecognized VM option 'Bogus'\nError: Could not create the Java Virtual Machine.\n"
        "Traceback (most recent call last):\n"
        "pyspark.errors.PySparkRuntimeError: [JAVA_GATEWAY_EXITED] Java gateway process exited\n"
    )
    with pytest.raises(PrerequisiteError) as caught:
        take_result(FinishedProcess(3, None, interrupted=False), tmp_path)
    assert "The job's Java doesn't start: Unrecognized VM option 'Bogus'." == caught.value.message


def test_a_result_survives_its_line() -> None:
    """A result that is written as a line and read back is equal to the original."""
    line = samples.result(failure=samples.failure(message="two\nlines, größer")).to_line()
    assert (samples.result(failure=samples.failure(message="two\nlines, größer")), 1) == (
        Result.from_line(f"{line}\n"),
        len(line.splitlines()),
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "26/01/31 09:45:02 ERROR TaskSetManager",
        STARTED.to_line(),
        '{"result": ',
        '{"result": null}',
        '{"result": {}}',
        samples.result().to_line()[:-2],
        samples.result().to_line().replace('"pass"', "NaN", 1),
    ],
    ids=["empty", "log", "event", "start", "null", "nothing", "half", "no verdict"],
)
def test_another_line_is_not_a_result(line: str) -> None:
    """Neither a log line nor a truncated result counts as a result."""
    assert Result.from_line(line) is None
