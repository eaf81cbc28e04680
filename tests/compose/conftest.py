"""The stack that the Compose tests share, with its own project and free ports; removed at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testcontainers.core.docker_client import DockerClient

from harness.errors import HarnessError
from harness.ports import find_free_ports
from harness.settings import Settings, read_settings
from harness.targets.compose.docker import require_engine
from harness.targets.compose.stack import Stack
from tests.command import run_command, start_command
from tests.embedded.runner import ROOT

REQUIRED = "HARNESS_TEST_COMPOSE"
"""Set if the Compose tests must run: without an engine, they then fail instead of being skipped."""
KEEP = "KEEP"
WORKERS = 1
"""Each worker's JVM takes time from the others; the tests that need more workers start them."""
END_S = 1200
"""No command takes as long, even on a machine several times slower than a laptop; it only ends what hangs."""


@dataclass(frozen=True)
class RunningStack:
    """A running stack, and the command with its settings."""

    home: Path
    variables: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        """Return the settings as the command reads them."""
        return read_settings(folder=ROOT, environ=self.variables)

    @property
    def stack(self) -> Stack:
        """Stack with these settings."""
        return Stack(self.settings)

    def run(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run the command until it ends."""
        return run_command(arguments, self._environ(changed), END_S)

    def start(self, *arguments: str, **changed: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start the command; end it with the block, whatever happens."""
        return start_command(arguments, self._environ(changed))

    def containers(self, service: str | None = None) -> list[Any]:
        """Return the stack's containers, or those of one service."""
        labels = [f"com.docker.compose.project={self.variables['HARNESS_STACK']}"]
        if service is not None:
            labels.append(f"com.docker.compose.service={service}")
        found: list[Any] = DockerClient().client.containers.list(all=True, filters={"label": labels})
        return found

    def kill_process(self, service: str, find: str) -> None:
        """Kill the process of a service's only container, as the kernel would.

        Args:
            service: Name of the service. Unlike a container that ``docker kill`` ends, it starts again.
            find: Shell command that prints the process's number.
        """
        [container] = self.containers(service)
        code, output = container.exec_run(["sh", "-c", f"kill -9 $({find})"])
        assert code in (0, 137, None), output  # The container may end before the shell.

    def _environ(self, changed: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, **self.variables, "COLUMNS": "120", **changed}


def variables(home: Path, name: str) -> dict[str, str]:
    """Return the settings of a separate stack."""
    azurite, mlflow, spark = find_free_ports(3)
    return {
        "HARNESS_HOME": str(home),
        "HARNESS_TARGET": "compose",
        "HARNESS_STACK": name,
        "HARNESS_AZURITE_PORT": str(azurite),
        "HARNESS_MLFLOW_PORT": str(mlflow),
        "HARNESS_SPARK_PORT": str(spark),
        # Several workers on a machine of two cores: none needs much.
        "HARNESS_WORKER_MEMORY": "1g",
        "HARNESS_EXECUTOR_MEMORY": "800m",
    }


@pytest.fixture(scope="session")
def engine() -> None:
    """Require an engine with Compose; skip the tests if there is none."""
    try:
        require_engine()
    except HarnessError as error:
        if os.environ.get(REQUIRED):
            raise
        pytest.skip(f"COMPOSE IS NOT TESTED: {error.message}")


# Not for the whole session: an idle stack takes a sixth of two cores, most of it for health checks.
@pytest.fixture(scope="package")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Start a stack with one worker; remove it even after a failure, unless KEEP is set."""
    del engine
    home = tmp_path_factory.mktemp("stack") / ".harness"
    running = RunningStack(home, variables(home, "harness-test"))
    running.stack.remove_containers(volumes=True)
    try:
        up = running.run("up", "--workers", str(WORKERS))
        assert 0 == up.returncode, up.stderr[-4000:]
        yield running
    finally:
        if not os.environ.get(KEEP):
            running.stack.remove_containers(volumes=True)
            shutil.rmtree(home / "stack", ignore_errors=True)
