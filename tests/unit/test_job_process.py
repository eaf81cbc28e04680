"""The process of a job: its events, its result, its log and its end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ExitCode, HarnessError, InterruptedRunError, JobError, PrerequisiteError
from harness.events import Event, Listener
from harness.prediction_files import SentFile
from harness.results import Result
from harness.runs import RESULT
from harness.targets import job_process as module
from harness.targets.job_process import LOG, FinishedProcess, run_command, take_result
from tests.unit import report_samples as samples

STARTED = Event("train", "started", "january")
LONGER_THAN_A_PIPE = samples.result(tuple(samples.version(f"v{at}", at) for at in range(40)))
SLEEP = "import time\ntime.sleep(60)\n"


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
    stdin: Path | None = None,
) -> FinishedProcess:
    return run_command(
        [sys.executable, "-c", program],
        folder,
        listener,
        environ={**os.environ, "PYTHONUNBUFFERED": "1"},
        interrupt=lambda process: process.send_signal(signal.SIGINT),
        clean_up=(_Jobs() if jobs is None else jobs).clean_up,
        stdin=stdin,
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
    assert (FinishedProcess(0, result, interrupted=False), "done\n") == (
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


@pytest.mark.parametrize(("content", "expected"), [(None, ""), ("a plan\n", "a plan\n")])
def test_the_job_reads_a_file(tmp_path: Path, content: str | None, expected: str) -> None:
    """The job's standard input is the file or nothing, never the terminal."""
    stdin = tmp_path / "plan" if content else None
    if stdin and content:
        stdin.write_text(content)
    _follow(tmp_path, "import sys; sys.stdout.write(sys.stdin.read())", stdin=stdin)
    assert expected == (tmp_path / LOG).read_text()


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
    assert (FinishedProcess(0, result, interrupted=True), [0]) == (finished, jobs)


def test_a_job_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that ignores Ctrl-C is cleaned up after a time limit."""
    monkeypatch.setattr(module, "_END_TIMEOUT_S", 0.1)
    program = f"import signal\nsignal.signal(2, signal.SIG_IGN)\nprint({STARTED.to_line()!r})\n{SLEEP}"
    jobs = _Jobs()
    finished = _follow(tmp_path, program, _ctrl_c, jobs=jobs)
    assert (FinishedProcess(-9, None, interrupted=True), [None, -9]) == (finished, jobs)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    """A second Ctrl-C ends the wait for the job."""
    line = f"print({STARTED.to_line()!r})\n"
    program = f"import signal\nsignal.signal(2, signal.SIG_IGN)\n{line}{line}{SLEEP}"
    assert FinishedProcess(-9, None, interrupted=True) == _follow(tmp_path, program, _ctrl_c)


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
    [(0, JobError), (1, JobError), (-9, JobError), (int(ExitCode.PREREQUISITE_MISSING), PrerequisiteError)],
)
def test_a_job_without_a_result_is_reported(
    tmp_path: Path, exit_code: int, fault: type[HarnessError]
) -> None:
    """The message has exit code and last lines; exit code 3 means a missing prerequisite."""
    (tmp_path / LOG).write_text("".join(f"line {number}\n" for number in range(20)))
    with pytest.raises(HarnessError) as caught:
        take_result(FinishedProcess(exit_code, None, interrupted=False), tmp_path)
    last = "".join(f"    line {number}\n" for number in range(8, 20))
    expected = (
        f"The job ended with exit code {exit_code} and without a result. Last lines of its log:\n{last}"
    )
    assert (fault, f"{expected}  Complete log: {tmp_path / LOG}") == (type(caught.value), str(caught.value))


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
