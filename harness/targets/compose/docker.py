"""The Docker engine, used through its command."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from harness.errors import PrerequisiteError

_logger = logging.getLogger(__name__)

_COMPOSE_SINCE = (2, 24)
_TIMEOUT_S = 20
_INSTALL = "Install Docker with Compose v2 and start it, or use --target embedded."


def docker(
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
            env={**os.environ, **(environ or {})},
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


def require_engine() -> None:
    """Require a Docker engine that answers and has Compose v2.

    Raises:
        PrerequisiteError: No suitable engine answers.
    """
    answer = docker(["info", "--format", "{{.ServerVersion}}"], timeout_s=_TIMEOUT_S)
    if answer.returncode != 0 or not answer.stdout.strip():
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        raise PrerequisiteError(
            f"The Docker engine doesn't answer: {lines[-1] if lines else 'no reason given'}",
            remedy="Start it (systemctl start docker), join the group 'docker', or use --target embedded.",
        )
    answer = docker(["compose", "version", "--short"], timeout_s=_TIMEOUT_S)
    found = re.match(r"v?(\d+)\.(\d+)", answer.stdout.strip())
    if answer.returncode != 0 or found is None or tuple(map(int, found.groups())) < _COMPOSE_SINCE:
        since = ".".join(map(str, _COMPOSE_SINCE))
        raise PrerequisiteError(
            f"Docker Compose {since} or later is not installed.",
            remedy="Install the package docker-compose-plugin, or use --target embedded.",
        )


def has_images(names: Sequence[str]) -> bool:
    """Return whether the engine has all of these images."""
    return docker(["image", "inspect", "--format", "{{.Id}}", *names], timeout_s=_TIMEOUT_S).returncode == 0
