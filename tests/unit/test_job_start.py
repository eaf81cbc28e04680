"""A job that is interrupted while Spark starts, or that loses its command then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JError

from harness.errors import ExitCode
from harness.files import write_text
from harness.job import __main__ as module, spark_session
from harness.results import Result
from tests.unit import report_samples as samples

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _keep_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the handlers that the job replaces, and open no MLflow store."""
    monkeypatch.setattr(module, "open_tracker", lambda _plan, _clock: None)
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("hides", [False, True], ids=["interrupt", "error that follows from it"])
def test_an_interrupted_start_is_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hides: bool
) -> None:
    """A signal while Spark starts ends the job as interrupted, whatever error the JVM raises then."""

    def open_session(*_: Any) -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if hides:
                raise Py4JError("Answer from Java side is empty") from None
            raise

    assert ("InterruptedRunError", ExitCode.INTERRUPTED) == run_job(tmp_path, monkeypatch, open_session)


def test_pyspark_does_not_hide_a_request_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's signal ends the job as interrupted even after PySpark has replaced Ctrl-C's handler."""

    def open_session(*_: Any) -> None:
        signal.signal(signal.SIGINT, fail_in_jvm)
        os.kill(os.getpid(), signal.SIGTERM)

    def fail_in_jvm(*_: Any) -> None:
        raise Py4JError("An error occurred while calling o29.cancelAllJobs")

    assert ("InterruptedRunError", ExitCode.INTERRUPTED) == run_job(tmp_path, monkeypatch, open_session)


def run_job(folder: Path, monkeypatch: pytest.MonkeyPatch, open_session: Any) -> tuple[str, int]:
    """Run the job with another start of Spark; return the kind of its failure, and its exit code."""
    monkeypatch.setattr(spark_session, "open_spark_session", open_session)
    write_text(folder / "plan.json", samples.plan().model_dump_json(by_alias=True))
    code = module.main([str(folder / "plan.json"), str(folder / "result.json")])
    failure = Result.from_json((folder / "result.json").read_bytes()).failure
    assert failure is not None
    return failure.kind, code


_LOSE_COMMAND = """
import sys, threading
from harness.job import __main__ as module, spark_session
module._open_tracker = lambda *_: None
spark_session.open_spark_session = lambda *_: (print("starting", flush=True), threading.Event().wait())
sys.exit(module.main(["-", "-", "--attached"]))
"""


def test_a_job_ends_with_its_command() -> None:
    """A job in a container is interrupted when its input ends, because its command was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _LOSE_COMMAND],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as job:
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdin.write(f"{samples.plan().model_dump_json(by_alias=True)}\n")
        job.stdin.flush()
        while job.stdout.readline() != "starting\n":
            assert job.poll() is None
        job.stdin.close()
        *_, last = job.stdout.read().splitlines()
    result = Result.from_line(last)
    assert (ExitCode.INTERRUPTED, True) == (job.returncode, result is not None and result.failure is not None)
