"""A job that is interrupted while Spark starts."""

from __future__ import annotations

import os
import signal
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

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _keep_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the handlers that the job replaces, and open no MLflow store."""
    monkeypatch.setattr(module, "_open_tracker", lambda _plan, _clock: None)
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
