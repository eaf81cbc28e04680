"""The command in a process, as users start it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.embedded.runner import ROOT


def run_command(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    timeout_s: float,
    folder: Path = ROOT,
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, and wait for its end."""
    return subprocess.run(
        _command(arguments, python),
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@contextmanager
def start_command(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start the command, and terminate it when the block ends."""
    with subprocess.Popen(
        _command(arguments),
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate()


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read output until a line contains a text."""
    seen = []
    for line in process.stdout or ():
        seen.append(line)
        if text in line:
            return
    pytest.fail(f"no line contains {text!r}:\n{''.join(seen)}")


def _command(arguments: Sequence[str], python: str = sys.executable) -> list[str]:
    return [python, "-m", "harness", *arguments]
