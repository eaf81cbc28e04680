"""One Compose stack: brought up, looked at, taken down."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.errors import NotThereError
from harness.setting_types import Settings
from harness.targets.compose.docker import docker, has_images, require_engine
from harness.targets.compose.images import COMPOSE_FILE, PROJECT, Image, images
from harness.targets.compose.secrets import StackFiles

LAKE_ACCOUNT, MODELS_ACCOUNT = "dlsloandev", "modelstore"
"""The accounts of the stack's Azurite; compose.yaml tells it the same."""
_HEALTHY_WITHIN_S = 50
_LOOK_AGAIN_S = 0.5
_LOG_LINES = 12
_PORTS = {"azurite": "azurite_port", "mlflow": "mlflow_port", "spark-master": "spark_port"}


@dataclass(frozen=True)
class Service:
    """One container of the stack, as the engine sees it."""

    name: str
    container: str
    state: str
    health: str
    exit_code: int

    @property
    def healthy(self) -> bool:
        """It runs and answers."""
        return self.state == "running" and self.health in ("healthy", "")

    @property
    def starting(self) -> bool:
        """It runs, and nobody knows yet how well."""
        return self.state == "running" and self.health == "starting"

    @property
    def words(self) -> str:
        """Its state in words."""
        if self.state == "exited":
            return f"exited ({self.exit_code})"
        return f"{self.state}, {self.health}" if self.health else self.state


class Stack:
    """The stack of a project name; every command goes through Compose."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.name = settings["stack"]
        self.files = StackFiles(settings.home / "stack")

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """The images of this version of the project."""
        return images(self._settings)

    @cached_property
    def workers(self) -> int:
        """How many workers there are to be: as many as run already, where nobody has said."""
        chosen = self._settings.chosen("workers")
        return int(chosen or len(self._running("spark-worker")) or self._settings["workers"])

    @property
    def worker_cores(self) -> int:
        """Cores that a worker gives away."""
        cores = self._settings["worker_cores"]
        return os.cpu_count() or 1 if cores == "*" else int(cores)

    def ready(self) -> None:
        """See that an engine answers and that this version's images are there.

        Raises:
            NotThereError: Not so.
        """
        require_engine()
        if not has_images([image.name for image in self.images]):
            raise NotThereError("The images of this version are not there.", remedy="'make up' makes them.")

    def is_up(self) -> bool:
        """Whether the stack's MLflow runs; where there is no engine, it does not."""
        return bool(self._running("mlflow"))

    def build(self) -> None:
        """Build the images of this version that are not there yet, and forget those of earlier ones.

        Raises:
            NotThereError: An image can't be built.
        """
        require_engine()
        missing = [image for image in self.images if image.own and not has_images([image.name])]
        if missing:
            arguments = ["build", *(image.service for image in missing)]
            if docker(self.compose(*arguments), self.environ(), shown=True).returncode != 0:
                raise NotThereError(
                    f"Can't build {', '.join(image.name for image in missing)}; the reason stands above.",
                    remedy="Docker pulls the base image and packages: see that it reaches them, or name "
                    "another base by HARNESS_BASE_IMAGE.",
                )
            self._remove_images(keep={image.name for image in self.images})

    def up(self, secrets: Mapping[str, str] | None = None) -> None:
        """Bring the stack up and wait until every service is healthy.

        Args:
            secrets: Name to value of what the job needs besides the stack's own.

        Raises:
            NotThereError: It can't be; the message has the service's last state and last log lines.
        """
        require_engine()
        # Before the images, which take minutes where they are not there.
        self.require_ports({service.name for service in self.services() if service.state == "running"})
        self.build()
        self.files.make()
        self._hand_out_secrets(secrets or {})
        deadline = time.monotonic() + _HEALTHY_WITHIN_S
        arguments = ("up", "--detach", "--wait", "--wait-timeout", str(_HEALTHY_WITHIN_S), "--remove-orphans")
        answer = docker(self.compose(*arguments, "--no-build"), self.environ())
        if answer.returncode != 0:
            raise self.fault(answer.stderr)
        if not self.is_healthy_by(deadline):
            raise self.fault("all of them were started")

    def is_healthy_by(self, deadline: float) -> bool:
        """Whether every service is healthy, waited for as long as one still starts.

        Compose's own waiting can end early: a container just started, without a health yet, is well for it.

        Args:
            deadline: On the monotonic clock, in seconds.
        """
        services = self.services()
        while any(service.starting for service in services) and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_S)
            services = self.services()
        return all(service.healthy for service in services)

    def down(self, *, volumes: bool = False) -> None:
        """Remove the stack's containers and, where it is said so, its volumes with all data.

        Raises:
            NotThereError: No engine answers, or it does not do it.
        """
        require_engine()
        arguments = ["--profile", "job", "down", "--remove-orphans", "--timeout", "10"]
        answer = docker(self.compose(*arguments, *(["--volumes"] if volumes else [])), self.environ())
        if answer.returncode != 0:
            raise NotThereError(f"Can't take the stack down: {answer.stderr.strip()}")

    def remove(self) -> None:
        """Remove all of it: containers, volumes, images and secrets of this project alone."""
        import shutil

        self.down(volumes=True)
        self._remove_images(keep=set())
        shutil.rmtree(self.files.folder, ignore_errors=True)

    def logs(self, services: Sequence[str], *, follow: bool) -> None:
        """Show what services say.

        Raises:
            NotThereError: No engine answers, or there is no such service.
        """
        require_engine()
        arguments = ["logs", "--tail", "200", *(["--follow"] if follow else []), *services]
        if docker(self.compose(*arguments), self.environ(), shown=True).returncode != 0:
            raise NotThereError("Can't show what the stack's services say; the reason stands above.")

    def services(self) -> list[Service]:
        """Every container of the stack, also those that have ended."""
        answer = docker(self.compose("ps", "--all", "--format", "json"), self.environ())
        rows = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
        return [
            Service(row["Service"], row["Name"], row["State"], row.get("Health", ""), row.get("ExitCode", 0))
            for row in rows
        ]

    def fault(self, said: str) -> NotThereError:
        """The message for a stack that is not healthy: which service, its state, and its last words."""
        ill = [service for service in self.services() if not service.healthy]
        if not ill:
            return NotThereError(
                f"The stack did not come up: {_last(said)}", remedy="'make logs' shows what its services say."
            )
        # What others wait for comes first: those that were only created wait for it.
        first = min(ill, key=lambda service: service.state == "created")
        lines = docker(["logs", "--tail", str(_LOG_LINES), first.container])
        shown = "\n".join(f"    {line}" for line in (lines.stdout + lines.stderr).splitlines()[-_LOG_LINES:])
        return NotThereError(
            f"The service {first.name} did not become healthy within {_HEALTHY_WITHIN_S} s: "
            f"its last state is '{first.words}'. Its last log lines:\n{shown or '    (none)'}",
            remedy=f"Docker says: {_last(said)}. 'make logs' shows all; 'make clean' starts afresh, without "
            "the data.",
        )

    def compose(self, *arguments: str) -> list[str]:
        """The arguments of a Compose command on this stack."""
        return ["compose", "--project-directory", str(PROJECT), "--file", str(COMPOSE_FILE), *arguments]

    def environ(self) -> dict[str, str]:
        """The variables that compose.yaml reads."""
        settings = self._settings
        variables = ("stack", "worker_memory", "azurite_port", "mlflow_port", "spark_port")
        return {
            **{f"HARNESS_{name.upper()}": settings[name] for name in variables},
            **{image.variable: image.name for image in self.images},
            "HARNESS_WORKERS": str(self.workers),
            "HARNESS_WORKER_CORES": str(self.worker_cores),
            "HARNESS_BASE_IMAGE": settings["base_image"],
            "HARNESS_STACK_FILES": str(self.files.folder),
        }

    def _running(self, service: str) -> list[str]:
        labels = (f"project={self.name}", f"service={service}")
        filters = [option for label in labels for option in ("--filter", f"label=com.docker.compose.{label}")]
        try:
            return docker(["ps", "--quiet", *filters], timeout_s=5).stdout.split()
        except NotThereError:
            return []

    def _hand_out_secrets(self, more: Mapping[str, str]) -> None:
        """Through a container's standard input: into volumes, and nowhere else."""
        arguments = self.compose("--progress", "quiet", "run", "--rm", "--no-TTY", "--no-deps", "secrets")
        answer = docker(arguments, self.environ(), given=self.files.archive(more))
        if answer.returncode != 0:
            raise NotThereError(f"Can't hand the stack its secrets: {_last(answer.stderr)}")

    def require_ports(self, running: set[str]) -> None:
        """See that the ports are free of services that do not run yet.

        Args:
            running: Services that do.

        Raises:
            NotThereError: Another process holds one of them.
        """
        for service, setting in _PORTS.items():
            port = int(self._settings[setting])
            if service not in running and not _is_free(port):
                raise NotThereError(
                    f"Another process holds port {port}, which the stack's {service} is to have.",
                    remedy=f"Stop it, or set HARNESS_{setting.upper()} to a free port.",
                )

    def _remove_images(self, keep: set[str]) -> None:
        """Remove images of other versions; those that a container still uses stay."""
        own = {image.name.partition(":")[0] for image in self.images if image.own}
        listed = docker(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).stdout.split()
        for name in listed:
            if name.partition(":")[0] in own and name not in keep:
                docker(["image", "rm", name])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
