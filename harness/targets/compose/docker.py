"""The Docker engine, asked by its own command."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from harness.errors import NotThereError

_logger = logging.getLogger(__name__)

_COMPOSE_SINCE = (2, 24)
_TIMEOUT_S = 20
_INSTALL = "Install Docker with Compose v2 and start it, or use --target embedded."


def docker(
    arguments: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    given: bytes | None = None,
    shown: bool = False,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, whatever its exit code.

    Args:
        arguments: Without ``docker`` itself.
        environ: Variables besides the process's own.
        given: For its standard input.
        shown: The person at the terminal sees what it says, on standard error.
        timeout_s: After which it is ended.

    Raises:
        NotThereError: There is no such command, or it took too long.
    """
    try:
        ended = subprocess.run(
            ["docker", *arguments],
            env={**os.environ, **(environ or {})},
            input=given or b"",
            stdout=2 if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            check=False,
            timeout=timeout_s,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise NotThereError("There is no Docker on this machine.", remedy=_INSTALL) from error
    except subprocess.TimeoutExpired as error:
        raise NotThereError(
            f"'docker {' '.join(arguments)}' was not done within {timeout_s} s.",
            remedy="See whether the engine is alive: docker info.",
        ) from error
    _logger.debug("%s: exit code %d", shlex.join(ended.args), ended.returncode)
    said, complained = ((stream or b"").decode(errors="replace") for stream in (ended.stdout, ended.stderr))
    return subprocess.CompletedProcess(ended.args, ended.returncode, said, complained)


def require_engine() -> None:
    """See that an engine with Compose v2 answers.

    Raises:
        NotThereError: None does.
    """
    answer = docker(["info", "--format", "{{.ServerVersion}}"], timeout_s=_TIMEOUT_S)
    if answer.returncode != 0 or not answer.stdout.strip():
        said = (answer.stderr or answer.stdout).strip().splitlines()
        raise NotThereError(
            f"No Docker engine answers: {said[-1] if said else 'no reason given'}",
            remedy="Start it (systemctl start docker), be in its group (docker), or use --target embedded.",
        )
    answer = docker(["compose", "version", "--short"], timeout_s=_TIMEOUT_S)
    found = re.match(r"v?(\d+)\.(\d+)", answer.stdout.strip())
    if answer.returncode != 0 or found is None or tuple(map(int, found.groups())) < _COMPOSE_SINCE:
        since = ".".join(map(str, _COMPOSE_SINCE))
        raise NotThereError(
            f"Docker has no Compose of version {since} or later.",
            remedy="Install the package docker-compose-plugin, or use --target embedded.",
        )


def has_images(names: Sequence[str]) -> bool:
    """Whether the engine holds all of these images."""
    return docker(["image", "inspect", "--format", "{{.Id}}", *names], timeout_s=_TIMEOUT_S).returncode == 0
