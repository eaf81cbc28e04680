"""Problems of a stack: one message each, with the service and a remedy, and exit code 3."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.ports import find_free_port
from tests.compose.conftest import RunningStack, variables
from tests.embedded.runner import ROOT
from tests.embedded.small import ONE_VERSION, write_scenario

pytestmark = pytest.mark.compose


def fail_with_message(stack: RunningStack, *arguments: str, **changed: str) -> str:
    """Return the message of a command that ends with exit code 3, without a traceback."""
    done = stack.run(*arguments, **changed)
    assert ExitCode.PREREQUISITE_MISSING == done.returncode, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@contextmanager
def changed_file(file: Path, content: bytes) -> Iterator[None]:
    before = file.read_bytes()
    file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(before)


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    return write_scenario(tmp_path, ONE_VERSION)


@pytest.fixture
def other(engine: None, tmp_path: Path) -> Iterator[RunningStack]:
    """Return another stack, which the test starts with a mistake."""
    del engine
    stack = RunningStack(tmp_path / ".harness", variables(tmp_path / ".harness", "harness-test-other"))
    try:
        yield stack
    finally:
        stack.stack.remove_containers(volumes=True)


def test_a_wrong_account_key(stack: RunningStack, scenario: str, tmp_path: Path) -> None:
    """A wrong account key is reported with the account and its address."""
    key = tmp_path / "key"
    key.write_text("d3Jvbmc=" * 8)
    files = stack.stack.files
    with changed_file(files.secret("lake_key"), key.read_bytes()):
        message = fail_with_message(stack, "scenario", scenario, "--fresh")
    # Running services are unaffected: the next start distributes the right key again.
    assert "The storage account 'dlsloandev' at 127.0.0.1:" in message
    assert "refuses its credential" in message


def test_an_untrusted_certificate(stack: RunningStack, scenario: str) -> None:
    """An untrusted certificate is reported with the failed verification and how to trust it."""
    files = stack.stack.files
    other_authority = Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
    with changed_file(files.ca_bundle, other_authority):
        message = fail_with_message(stack, "scenario", scenario, "--fresh")
    assert "The storage account 'dlsloandev' at 127.0.0.1:" in message
    assert "certificate" in message.lower()


def test_a_container_name_that_is_too_short(stack: RunningStack, scenario: str) -> None:
    """An invalid container name is reported with the rules for names."""
    lake = "abfss://c1@dlsloandev.dfs.core.windows.net"
    done = stack.run("scenario", scenario, HARNESS_LAKE=lake)
    assert ExitCode.WRONG_INPUT == done.returncode
    assert "Invalid container name 'c1'" in done.stderr
    assert "3 to 63" in done.stderr


def test_too_little_memory_for_an_executor(stack: RunningStack, scenario: str) -> None:
    """Too little memory is reported with the service, both amounts and the setting to change."""
    message = fail_with_message(stack, "scenario", scenario, "--fresh", HARNESS_WORKER_MEMORY="600m")
    assert all(part in message for part in ("spark-worker", "600m", "800m", "HARNESS_WORKER_MEMORY"))


def test_a_used_port(other: RunningStack) -> None:
    """A port in use is reported with its service and setting before any image is built."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        nowhere = {"HARNESS_BASE_IMAGE": "not-a-base-that-there-is:none"}
        message = fail_with_message(other, "up", HARNESS_AZURITE_PORT=str(port), **nowhere)
    assert f"Port {port} is in use by another process; the stack's service azurite needs it" in message
    assert "HARNESS_AZURITE_PORT" in message


def test_a_port_of_another_stack(stack: RunningStack, other: RunningStack) -> None:
    """A port that another stack uses is reported with that stack's name and folder."""
    port = stack.variables["HARNESS_MLFLOW_PORT"]
    message = fail_with_message(other, "up", HARNESS_MLFLOW_PORT=port)
    name = stack.variables["HARNESS_STACK"]
    assert f"Port {port} is in use by the stack '{name}' of the folder {ROOT};" in message


def test_a_stack_of_another_folder(stack: RunningStack, scenario: str, tmp_path: Path) -> None:
    """A stack that belongs to another folder is neither started, stopped nor read."""
    elsewhere = {"HARNESS_HOME": str(tmp_path / "home")}
    before = {each.id for each in stack.containers()}
    for arguments in (["up"], ["down"], ["clean", "--stack", "--force"], ["scenario", scenario]):
        message = fail_with_message(stack, *arguments, **elsewhere)
        assert f"belongs to the folder {stack.home}, not to {tmp_path}/home" in message
    assert before == {each.id for each in stack.containers()}
    # The other folder's own store has no runs; the stack's is only asked by its owner.
    message = fail_with_message(stack, "runs", HARNESS_TARGET="auto", **elsewhere)
    assert "There are no runs yet" in message
    done = stack.run("runs", HARNESS_TARGET="auto")
    assert f"Read from http://127.0.0.1:{stack.variables['HARNESS_MLFLOW_PORT']}.\n" == done.stderr


def test_an_unhealthy_service(other: RunningStack) -> None:
    """An unhealthy service is reported with its last state and log lines."""
    files = other.stack.files
    files.create()
    files.secret("postgres_password").write_text("")
    message = fail_with_message(other, "up")
    assert "The service postgres " in message
    assert "its last state is '" in message
    assert "password file" in message
    assert "make clean" in message


def test_a_service_that_does_not_answer(other: RunningStack) -> None:
    """If the stack is stopped, the command ui explains how to start it."""
    port = find_free_port()
    message = fail_with_message(other, "ui", HARNESS_MLFLOW_PORT=str(port))
    assert "The stack is not running." in message
    assert "make up" in message
