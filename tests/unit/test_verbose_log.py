"""The log that --verbose writes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.cli.verbose_log import log_to_stderr
from harness.files import write_text
from harness.runs import PLAN
from harness.targets.compose.docker import run_docker
from harness.targets.job_process import run_command

SCENARIO = str(Path(__file__).parents[2] / "scenarios" / "three_versions.yaml")
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("HARNESS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("arguments", [("-v",), ("--verbose",), ()])
def test_settings_are_logged_with_their_origin(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """--verbose, or HARNESS_VERBOSE=1, logs the settings and their origins to standard error."""
    monkeypatch.setenv("HARNESS_CORES", "2")
    if not arguments:
        monkeypatch.setenv("HARNESS_VERBOSE", "1")
    outcome = CliRunner().invoke(app, [*arguments, "plan", SCENARIO])
    assert "harness.settings: setting cores = 2 (HARNESS_CORES)\n" in outcome.stderr
    assert "harness.settings" not in outcome.stdout


def test_nothing_is_logged_without_verbose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that succeeds writes nothing to standard error without --verbose."""
    monkeypatch.setenv("HARNESS_CORES", "2")
    assert not CliRunner().invoke(app, ["plan", SCENARIO]).stderr


def test_the_loggers_are_restored() -> None:
    """A verbose command leaves the loggers of a process as they were."""
    CliRunner().invoke(app, ["-v", "plan", SCENARIO])
    logger = logging.getLogger("harness")
    assert ([], logging.NOTSET) == (logger.handlers, logger.level)


def test_a_password_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The password of a URI appears nowhere in the log, whatever the rest of the message is."""
    with log_to_stderr():
        logging.getLogger("harness.some").debug("store %s of %s", f"https://me:{SECRET}@host/db", "loans")
        logging.getLogger("harness.some").debug("no URI: a:b@c, https://host/a:b@c")
    logged = capsys.readouterr().err
    assert ("store https://***@host/db of loans" in logged, "https://host/a:b@c" in logged) == (True, True)
    assert SECRET not in logged


def test_other_libraries_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The log contains only the harness's records: those of HTTP clients could contain credentials."""
    with log_to_stderr():
        logging.getLogger("databricks.sdk").debug("Authorization: Bearer %s", SECRET)
    assert SECRET not in capsys.readouterr().err


def test_a_written_file_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log names each file that the command writes."""
    with caplog.at_level(logging.DEBUG, logger="harness"):
        write_text(tmp_path / "a.txt", "a")
    assert [f"wrote {tmp_path / 'a.txt'}"] == caplog.messages


def test_a_job_process_is_logged_without_its_environment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log shows a job's command and exit code, and never the values of its environment variables."""

    def ignore(*_: object) -> None:
        pass

    command = [sys.executable, "-c", "raise SystemExit(3)"]
    (tmp_path / PLAN).touch()
    with caplog.at_level(logging.DEBUG, logger="harness"):
        run_command(
            command,
            tmp_path,
            ignore,
            environ={**os.environ, "KEY": SECRET},
            interrupt=ignore,
            clean_up=ignore,
        )
    started, ended = caplog.messages
    assert started.endswith(f"started: {sys.executable} -c 'raise SystemExit(3)'")
    assert ended.endswith("ended with exit code 3")
    assert SECRET not in caplog.text


def test_a_docker_command_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log shows each Docker command with its exit code, without its environment and standard input."""
    ended = subprocess.CompletedProcess(["docker", "compose", "ps"], 1, b"", b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with caplog.at_level(logging.DEBUG, logger="harness"):
        run_docker(["compose", "ps"], {"KEY": SECRET}, stdin=SECRET.encode())
    assert ["docker compose ps: exit code 1"] == caplog.messages
