"""Checks of this machine, for the embedded target and for Compose."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import PrerequisiteError
from harness.settings import read_settings
from harness.targets.checks import (
    Check,
    check_disk_space,
    check_temp_folder,
    check_tracking_store,
    check_writable,
)
from harness.targets.compose.compose_target import Compose
from harness.targets.embedded.embedded_target import Embedded
from tests.unit.doctor_samples import failed_checks


def test_the_embedded_target_is_checked(tmp_path: Path) -> None:
    """Java, memory, user, folders, jars, disk and tracking store are checked; none of them is created."""
    home = tmp_path / "home"
    found = list(Embedded(read_settings({"home": str(home)}, folder=tmp_path, environ={})).checks())
    subjects = [
        *("Java 17", "memory", "JVM", "user", "temporary files"),
        *("jars", "home", "disk", "tracking store"),
    ]
    assert subjects == [check.subject for check in found]
    assert ([], False) == ([check for check in found if check.state == "failed"], home.exists())


def test_a_broken_java_is_a_failed_check(tmp_path: Path) -> None:
    """A broken Java is a failed check with the message and remedy that a run would have."""
    settings = read_settings(folder=tmp_path, environ={"HARNESS_JAVA_HOME": str(tmp_path)})
    found = next(iter(Embedded(settings).checks()))
    assert ("failed", True, True) == (
        found.state,
        "doesn't contain a working Java" in found.finding,
        bool(found.remedy),
    )


@pytest.mark.parametrize(
    ("subject", "settings", "finding"),
    [
        ("JVM", {"java_options": "-XX:NewRatio=x"}, "The job's Java doesn't start: Improperly specified"),
        ("memory", {"driver_memory": "9000g"}, "is to use 9000g of memory; this machine or container has"),
    ],
)
def test_what_keeps_a_run_from_starting_is_a_failed_check(
    tmp_path: Path, subject: str, settings: dict[str, str], finding: str
) -> None:
    """What keeps the JVM from starting is a failed check, and stops a run before it starts."""
    target = Embedded(read_settings(settings, folder=tmp_path, environ={}))
    found = {check.subject: check for check in target.checks()}
    assert ("failed", True, True) == (
        found[subject].state,
        finding in found[subject].finding,
        bool(found[subject].remedy),
    )
    with pytest.raises(PrerequisiteError, match=finding):
        target.require_ready()


def test_a_user_without_a_name_is_a_failed_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an entry in /etc/passwd is a failed check, and stops a run before it starts."""
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    target = Embedded(read_settings(folder=tmp_path, environ={}))
    found = {check.subject: check for check in target.checks()}
    assert ("failed", True) == (found["user"].state, "id 54321 has no name" in found["user"].finding)
    with pytest.raises(PrerequisiteError, match="id 54321 has no name"):
        target.require_ready()


def test_libraries_must_be_loadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for temporary files on a disk with noexec is reported: Spark loads libraries from it."""
    assert str(tmp_path) == check_temp_folder(str(tmp_path))
    mounted = SimpleNamespace(f_flag=os.ST_NOEXEC)
    monkeypatch.setattr(os, "statvfs", lambda _folder: mounted)
    with pytest.raises(PrerequisiteError, match=r"mounted with noexec\.\n  Set TMPDIR"):
        check_temp_folder(str(tmp_path))


def test_missing_jars_are_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing jars are not checkable, because a run downloads them."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    found = {check.subject: check for check in Embedded(read_settings(folder=tmp_path, environ={})).checks()}
    assert "not checkable" == found["jars"].state


def test_a_home_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    """A home folder that can't be created, even because of a file, is reported."""
    (tmp_path / "file").touch()
    settings = read_settings({"home": str(tmp_path / "file" / "home")}, folder=tmp_path, environ={})
    found = {check.subject: check for check in Embedded(settings).checks()}
    assert "failed" == found["home"].state
    assert "HARNESS_HOME" in found["home"].remedy


def test_space_and_permission_are_checked_at_the_nearest_folder(tmp_path: Path) -> None:
    """For a missing folder, space and permission of the nearest existing one count."""
    assert "a run needs 200 MB" in check_disk_space(tmp_path / "a" / "b")
    assert (f"{tmp_path / 'a'} can be created", str(tmp_path)) == (
        check_writable(tmp_path / "a"),
        check_writable(tmp_path),
    )


def test_a_tracking_file_is_checked(tmp_path: Path) -> None:
    """A tracking file exists, or will be created by the first run."""
    file = tmp_path / "mlflow.db"
    before = check_tracking_store(f"sqlite:///{file}", "harness")
    file.touch()
    assert (f"the first run creates {file}", str(file)) == (
        before.finding,
        check_tracking_store(f"sqlite:///{file}", "harness").finding,
    )


@pytest.fixture(name="server")
def _server() -> Iterator[Callable[[int], str]]:
    """Yield a function that starts a server which answers everything with a code and a text."""
    servers: list[HTTPServer] = []

    def serve(code: int, text: bytes = b"") -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "state", "finding"),
    [
        (401, "ok", "URL answers"),
        (200, "failed", "This is not an MLflow server: URL (it answers 200 with no content)."),
    ],
)
def test_a_tracking_server_is_checked(
    server: Callable[[int], str], code: int, state: str, finding: str
) -> None:
    """A tracking server is up even if it asks for a login; another service in its place is a failed check."""
    url = server(code)
    found = check_tracking_store(url, "harness")
    assert (state, finding.replace("URL", url)) == (found.state, found.finding)


def test_a_deleted_experiment_of_a_server_is_reported(server: Callable[..., str]) -> None:
    """A server whose experiment is deleted is a failed check with MLflow's command that restores it."""
    url = server(200, b'{"experiment": {"experiment_id": "7", "lifecycle_stage": "deleted"}}')
    found = check_tracking_store(url, "harness")
    assert ("failed", f"MLflow's experiment 'harness' in {url} is deleted.") == (found.state, found.finding)
    assert "mlflow experiments restore --experiment-id 7" in found.remedy


def test_an_unreachable_tracking_server_is_reported() -> None:
    """An unreachable server is reported with its address and the setting."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}"
    found = check_tracking_store(url, "harness")
    assert ("failed", True) == (found.state, url in found.finding)
    assert "HARNESS_TRACKING_URI" in found.remedy


def test_a_database_is_not_checkable() -> None:
    """A workspace is not checkable; a database without its driver is a failed check without its password."""
    assert "not checkable" == check_tracking_store("databricks", "harness").state
    found = check_tracking_store("postgresql+psycopg2://me:secret@db/mlflow", "harness")
    assert ("failed", False) == (found.state, "secret" in found.finding)
    assert "pip install psycopg2-binary" in found.remedy


def _compose(folder: Path, **environ: str) -> dict[str, Check]:
    settings = read_settings({"target": "compose"}, folder=folder, environ=environ)
    return {check.subject: check for check in Compose(settings).checks()}


def _docker(folder: Path, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    (folder / "bin").mkdir()
    cases = "\n".join((*answers, "*) exit 1 ;;"))
    (folder / "bin" / "docker").write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\nesac\n')
    (folder / "bin" / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))


def test_compose_without_docker_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Docker, that is the only check of the engine."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = _compose(tmp_path)
    assert (["home", "disk", "memory", "Docker"], ["Docker"]) == (list(found), failed_checks(found))


def test_compose_without_images_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing images are reported with the remedy, and the ports are still checked."""
    _docker(tmp_path, monkeypatch, "info) echo 27.5.1 ;;", "compose) echo 2.24.0 ;;")
    found = _compose(tmp_path)
    assert "'make up' builds them." == found["images"].remedy
    assert "ports" in found


def test_a_used_port_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Callable[[int], str]
) -> None:
    """A port in use is reported with the setting that changes it."""
    _docker(tmp_path, monkeypatch, "info) echo 27.5.1 ;;", "compose) echo 2.24.0 ;;", "image) ;;")
    port = server(200).rpartition(":")[2]
    found = _compose(tmp_path, HARNESS_AZURITE_PORT=port)
    assert ("ok", "failed") == (found["images"].state, found["ports"].state)
    assert "HARNESS_AZURITE_PORT" in found["ports"].remedy


def test_too_little_memory_for_an_executor_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little memory for an executor is reported before any image is built."""
    _docker(tmp_path, monkeypatch)
    assert "memory" in failed_checks(_compose(tmp_path, HARNESS_WORKER_MEMORY="512m"))
