"""The Docker engine, used through its command, and the images of the stack."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.setting_types import Settings

_logger = logging.getLogger(__name__)

_COMPOSE_SINCE = (2, 24)
_TIMEOUT_S = 20
_INSTALL = "Install Docker with Compose v2 and start it, or use --target embedded."


def run_docker(
    arguments: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    stdin: bytes | None = None,
    show_output: bool = False,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command until it ends, and return the process, whatever its exit code.

    Args:
        arguments: Arguments without ``docker`` itself.
        environ: Variables to add to those of this process.
        stdin: Content of its standard input.
        show_output: Whether its output goes to this process's standard error.
        timeout_s: Seconds after which it is ended.

    Raises:
        PrerequisiteError: The command does not exist or took too long.
    """
    try:
        ended = subprocess.run(
            ["docker", *arguments],
            env=make_docker_environment(environ or {}),
            input=stdin or b"",
            stdout=2 if show_output else subprocess.PIPE,
            stderr=None if show_output else subprocess.PIPE,
            check=False,
            timeout=timeout_s,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise PrerequisiteError("Docker is not installed on this machine.", remedy=_INSTALL) from error
    except subprocess.TimeoutExpired as error:
        raise PrerequisiteError(
            f"'docker {' '.join(arguments)}' didn't finish within {timeout_s} s.",
            remedy="Check that the engine works: docker info.",
        ) from error
    _logger.debug("%s: exit code %d", shlex.join(ended.args), ended.returncode)
    output, errors = ((stream or b"").decode(errors="replace") for stream in (ended.stdout, ended.stderr))
    return subprocess.CompletedProcess(ended.args, ended.returncode, output, errors)


def make_docker_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's variables and more, without those of another Compose project."""
    return {**{name: each for name, each in os.environ.items() if not name.startswith("COMPOSE_")}, **more}


def require_engine() -> None:
    """Require a Docker engine that answers and has Compose v2.

    Raises:
        PrerequisiteError: No suitable engine answers.
    """
    answer = run_docker(["info", "--format", "{{.ServerVersion}}"], timeout_s=_TIMEOUT_S)
    if answer.returncode != 0 or not answer.stdout.strip():
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        raise PrerequisiteError(
            f"The Docker engine doesn't answer: {lines[-1] if lines else 'no reason given'}",
            remedy="Start it (systemctl start docker), join the group 'docker', or use --target embedded.",
        )
    answer = run_docker(["compose", "version", "--short"], timeout_s=_TIMEOUT_S)
    found = re.match(r"v?(\d+)\.(\d+)", answer.stdout.strip())
    if answer.returncode != 0 or found is None or tuple(map(int, found.groups())) < _COMPOSE_SINCE:
        since = ".".join(map(str, _COMPOSE_SINCE))
        raise PrerequisiteError(
            f"Docker Compose {since} or later is not installed.",
            remedy="Install the package docker-compose-plugin, or use --target embedded.",
        )


def has_lacked_memory(container: str, since_s: float) -> bool:
    """Return whether the kernel ended a process of a container for lack of memory.

    Asks for the engine's events, because a container that was removed has no state to inspect.

    Args:
        container: Its name.
        since_s: When it was started, as a Unix time.
    """
    times = ("--since", f"{since_s:.0f}", "--until", f"{time.time():.9f}")
    filters = ("--filter", f"container={container}", "--filter", "event=oom")
    try:
        events = run_docker(["events", *times, *filters], timeout_s=_TIMEOUT_S)
    except PrerequisiteError:
        return False
    return events.returncode == 0 and bool(events.stdout.strip())


def has_images(names: Sequence[str]) -> bool:
    """Return whether the engine has all of these images."""
    return (
        run_docker(["image", "inspect", "--format", "{{.Id}}", *names], timeout_s=_TIMEOUT_S).returncode == 0
    )


PROJECT = Path(__file__).parents[3]
"""Folder with compose.yaml and docker/."""
COMPOSE_FILE = PROJECT / "compose.yaml"
_NAME = "dataset-harness"


@dataclass(frozen=True)
class Image:
    """An image of this version of the project."""

    service: str
    """Service that builds it."""
    variable: str
    """Variable by which compose.yaml gets its name."""
    name: str
    own: bool = True
    """Whether it is built here rather than named by a setting."""


def list_images(settings: Settings) -> tuple[Image, ...]:
    """Return every image of the stack.

    Raises:
        PrerequisiteError: This is an installed package without the project's files.
    """
    if not COMPOSE_FILE.is_file():
        raise PrerequisiteError(
            f"The Compose target needs the project's files, but {COMPOSE_FILE} doesn't exist.",
            remedy="Run it from a checkout of the project, or use --target embedded.",
        )
    base = settings["base_image"]
    postgres = settings["postgres_image"]
    package = ("harness", "dataset_harness", "pyproject.toml")
    locks = ("requirements/spark.lock", "requirements/wheel.lock")
    return (
        _make_image("azurite", "azurite", base, ("docker/azurite",)),
        Image("postgres", "HARNESS_POSTGRES_IMAGE", postgres, own=False)
        if postgres
        else _make_image("postgres", "postgres", base, ("docker/postgres",)),
        _make_image("mlflow", "mlflow", base, ("docker/mlflow", "requirements/mlflow.lock")),
        _make_image("spark-master", "spark", base, ("docker/spark", *package, *locks)),
    )


def _make_image(service: str, name: str, base: str, contents: tuple[str, ...]) -> Image:
    digest = hashlib.sha256(base.encode())
    for content in contents:
        for file in _list_files(PROJECT / content):
            # Without its mode, which the Dockerfiles set: a checkout with another umask has the same images.
            digest.update(f"\n{file.relative_to(PROJECT)}\n".encode())
            digest.update(file.read_bytes())
    return Image(service, f"HARNESS_{name.upper()}_IMAGE", f"{_NAME}-{name}:{digest.hexdigest()[:12]}")


def _list_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file
