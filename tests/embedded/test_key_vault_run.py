"""A run whose account has its key in a key vault."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.command import run_command
from tests.embedded.small import write_custom_scenario
from tests.unit.key_vault_server import CLIENT_SECRET, VAULT, serve_key_vault

pytestmark = pytest.mark.spark

VALUE = "c2VjcmV0IG9mIGEga2V5IHZhdWx0Cg=="


def test_a_run_reads_the_vault_once_and_writes_its_value_nowhere(tmp_path: Path) -> None:
    """The command reads the key once and passes it to its job: no file and no command line has it."""
    folder = tmp_path / "current"
    scenario = write_custom_scenario(folder)
    (folder / "harness.toml").write_text(
        f'[accounts.mydatalake]\nkey = "keyvault:{VAULT}/lake-key"\n', encoding="utf-8"
    )
    (tmp_path / "vault").mkdir()
    with serve_key_vault(tmp_path / "vault") as vault, _watch_command_lines() as command_lines:
        vault.add("lake-key", VALUE)
        environ = {**os.environ, **vault.environ, "HARNESS_TARGET": "embedded", "HARNESS_VERBOSE": "1"}
        done = run_command(["scenario", scenario], environ, 600, folder)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert 1 == vault.count_reads("lake-key")
    assert any("harness.job" in line for line in command_lines)
    written = {str(file): _read(file) for file in folder.rglob("*") if file.is_file()}
    plan = next(text for name, text in written.items() if name.endswith("plan.json"))
    assert b'"lake-key"' in plan
    shown = {**written, "output": (done.stdout + done.stderr).encode(), "processes": _join(command_lines)}
    for secret in (VALUE, CLIENT_SECRET):
        assert [] == [name for name, text in shown.items() if secret.encode() in text]


def _read(file: Path) -> bytes:
    with suppress(OSError):
        return file.read_bytes()
    return b""


def _join(lines: set[str]) -> bytes:
    return "\n".join(lines).encode()


@contextmanager
def _watch_command_lines() -> Iterator[set[str]]:
    """Collect the command lines of all processes until the end of the block."""
    seen: set[str] = set()
    ended = threading.Event()

    def collect() -> None:
        while not ended.wait(0.1):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
