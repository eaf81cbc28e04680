"""Start, inspection and removal of the Compose stack."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.errors import PrerequisiteError, UsageError, did_you_mean
from harness.ports import explain_taken, find_free_port
from harness.setting_types import Settings
from harness.targets.compose import ownership
from harness.targets.compose.docker import (
    COMPOSE_FILE,
    PROJECT,
    Image,
    has_images,
    list_images,
    require_engine,
    run_docker,
)
from harness.targets.compose.leftovers import Leftover, find_leftovers, read_disk_use, remove_build_cache
from harness.targets.compose.secrets import StackFiles

LAKE_ACCOUNT, MODELS_ACCOUNT = "dlsloandev", "modelstore"
"""Accounts of the stack's Azurite, as in compose.yaml."""
_HEALTHY_WITHIN_S = 50
_POLL_S = 0.5
_LOG_LINES = 12
_STACK_TRACE = re.compile(r"\s+at \S+\(|\s+\.\.\. \d+ more")
_UP_OPTIONS = ("--remove-orphans", "--no-build")
_ORDER = ("azurite", "postgres", "mlflow", "spark-master", "spark-worker")
"""Services in the order in which they start."""
_CHECK_ENGINE = "Check that the engine works: docker info."
_PORTS = {"azurite": "azurite_port", "mlflow": "mlflow_port", "spark-master": "spark_port"}


@dataclass(frozen=True)
class Service:
    """A container of the stack, as the engine reports it."""

    name: str
    container: str
    state: str
    health: str
    exit_code: int

    @property
    def is_healthy(self) -> bool:
        """Whether it runs and answers."""
        return self.state == "running" and self.health in ("healthy", "")

    @property
    def is_starting(self) -> bool:
        """Whether it runs and its health is not known yet."""
        return self.state == "restarting" or (self.state == "running" and self.health == "starting")

    @property
    def description(self) -> str:
        """State and health for people, such as ``running, healthy``."""
        if self.state == "exited":
            return f"exited ({self.exit_code})"
        return f"{self.state}, {self.health}" if self.health else self.state


class Stack:
    """The stack that the settings name; every action is a Compose command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.name = settings["stack"]
        self.files = StackFiles(settings.home / "stack")

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """Images of this version of the project."""
        return list_images(self._settings)

    @cached_property
    def workers(self) -> int:
        """Number of workers (default: as many as are running)."""
        chosen = self._settings.value_if_set("workers")
        return int(chosen or len(self._running("spark-worker")) or self._settings["workers"])

    @property
    def worker_cores(self) -> int:
        """Number of cores that each worker offers."""
        cores = self._settings["worker_cores"]
        return os.cpu_count() or 1 if cores == "*" else int(cores)

    def require_ready(self) -> None:
        """Require an engine that answers and has this version's images.

        Raises:
            PrerequisiteError: No engine answers, or an image is missing.
        """
        require_engine()
        if not has_images([image.name for image in self.images]):
            raise PrerequisiteError(
                "The stack's images for this version of the harness aren't built.",
                remedy="'make up' builds them.",
            )

    def is_up(self) -> bool:
        """Return whether this folder's stack and its MLflow server run; False if no engine answers."""
        return bool(self._running("mlflow")) and self._explain_other_owner() is None

    def refuse_other_owner(self) -> None:
        """Require that the stack isn't another folder's; nothing is known if Docker is missing.

        Raises:
            PrerequisiteError: The stack belongs to another folder.
        """
        error = self._explain_other_owner()
        if error is not None:
            raise error

    def _explain_other_owner(self) -> PrerequisiteError | None:
        try:
            return ownership.explain_other_owner(self.name, self.files)
        except PrerequisiteError:  # Docker is missing.
            return None

    def require_own(self) -> None:
        """Require an engine that answers, and that the stack, if it exists, belongs to this folder.

        Raises:
            PrerequisiteError: No engine answers, or the stack belongs to another folder.
        """
        require_engine()
        ownership.require_own(self.name, self.files)

    def build(self) -> None:
        """Build the missing images of this version, and remove those of earlier versions.

        Raises:
            PrerequisiteError: An image can't be built.
        """
        require_engine()
        missing = [image for image in self.images if image.own and not has_images([image.name])]
        if missing:
            arguments = ["build", *(image.service for image in missing)]
            if run_docker(self.compose(*arguments), self.environ(), show_output=True).returncode != 0:
                raise PrerequisiteError(
                    f"Can't build {', '.join(image.name for image in missing)}; see the output above.",
                    remedy="Docker downloads the base image and packages: check the network, or set "
                    "HARNESS_BASE_IMAGE to another base.",
                )
            self._remove_images(keep={image.name for image in self.images})

    def up(self, secrets: Mapping[str, str] | None = None) -> None:
        """Start the stack, and wait until every service is healthy.

        Args:
            secrets: Secrets of the job by name, in addition to those of the stack.

        Raises:
            PrerequisiteError: The stack belongs to another folder, or a service is not healthy in time; the
                message has its last state and log lines.
        """
        self.require_own()
        # Before the images, which may take minutes.
        self.require_ports({service.name for service in self.services() if service.state == "running"})
        self.build()
        self.files.create()
        ownership.claim(self.name, self.files)
        self._distribute_secrets(secrets or {})
        self._start("up", "--detach", "--wait", "--wait-timeout", str(_HEALTHY_WITHIN_S), *_UP_OPTIONS)

    def restart(self, services: Sequence[str] = ()) -> None:
        """Restart services, and wait until every service is healthy.

        Args:
            services: Their names (default: all).

        Raises:
            PrerequisiteError: The stack doesn't run or belongs to another folder, or a service is not healthy
                in time.
            UsageError: A service is unknown.
        """
        self.require_own()
        self._require_known(services)
        self._start("restart", *services)

    def _start(self, *arguments: str) -> None:
        """Run a Compose command that starts services, and wait until all are healthy."""
        began = time.monotonic()
        answer = run_docker(self.compose(*arguments), self.environ())
        if answer.returncode != 0:
            raise self.startup_error(answer.stderr, time.monotonic() - began)
        if not self.is_healthy_by(began + _HEALTHY_WITHIN_S):
            raise self.startup_error("every container was started", time.monotonic() - began)

    def is_healthy_by(self, deadline: float) -> bool:
        """Wait while a service is starting, and return whether every service is healthy.

        Compose may stop waiting too early: it considers a new container without a status healthy.

        Args:
            deadline: Time on the monotonic clock, in seconds.
        """
        services = self.services()
        while any(service.is_starting for service in services) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            services = self.services()
        return all(service.is_healthy for service in services)

    def down(self) -> None:
        """Remove the stack's containers; its data stays.

        Raises:
            PrerequisiteError: The stack belongs to another folder, or the engine can't remove them.
        """
        self.require_own()
        self.remove_containers()

    def remove_containers(self, *, volumes: bool = False) -> None:
        """Remove the stack's containers and, if requested, its volumes with all data, whoever owns it.

        Raises:
            PrerequisiteError: No engine answers, or it can't remove them.
        """
        require_engine()
        arguments = ["--profile", "job", "down", "--remove-orphans", "--timeout", "10"]
        answer = run_docker(self.compose(*arguments, *(["--volumes"] if volumes else [])), self.environ())
        if answer.returncode != 0:
            raise PrerequisiteError(f"Can't stop the stack: {answer.stderr.strip()}", remedy=_CHECK_ENGINE)
        # Only files of workers that have ended.
        run_docker(["volume", "rm", "--force", f"{self.name}_scratch"])
        if volumes:
            ownership.remove_claim(self.name)

    def find_leftovers(self) -> list[Leftover]:
        """Return what :meth:`remove` deletes.

        Raises:
            PrerequisiteError: No engine answers, or the stack belongs to another folder.
        """
        require_engine()
        ownership.require_own(self.name, self.files, or_abandoned=True)
        return find_leftovers(self.name, self._repositories, self.files.folder)

    def remove(self) -> None:
        """Remove all containers, volumes, images, secrets and build caches of this project.

        Raises:
            PrerequisiteError: The stack belongs to another folder, or the engine can't remove it.
        """
        import shutil

        require_engine()
        ownership.require_own(self.name, self.files, or_abandoned=True)
        self.remove_containers(volumes=True)
        self._remove_images(keep=set())
        remove_build_cache(list(read_disk_use().find_build_cache()))
        shutil.rmtree(self.files.folder, ignore_errors=True)

    def logs(self, services: Sequence[str], *, follow: bool) -> None:
        """Show the logs of services.

        Raises:
            PrerequisiteError: No engine answers, or the stack has no containers.
            UsageError: A service is unknown.
        """
        self.require_own()
        self._require_known(services)
        arguments = ["logs", "--tail", "200", *(["--follow"] if follow else []), *services]
        if run_docker(self.compose(*arguments), self.environ(), show_output=True).returncode != 0:
            raise PrerequisiteError(
                "Can't show the logs of the stack's services; Docker's message is above.",
            )

    def _require_known(self, services: Sequence[str]) -> None:
        """Require containers, and that these names are services of theirs."""
        known = sorted({service.name for service in self.services()})
        if not known:
            raise PrerequisiteError("The stack is not running.", remedy="'make up' starts it.")
        for name in services:
            if name not in known:
                raise UsageError(
                    f"Unknown service '{name}'.{did_you_mean(name, known)}",
                    remedy=f"Services: {', '.join(known)}.",
                )

    def services(self) -> list[Service]:
        """Return every container of the stack, including exited ones."""
        answer = run_docker(self.compose("ps", "--all", "--format", "json"), self.environ())
        rows = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
        return [
            Service(row["Service"], row["Name"], row["State"], row.get("Health", ""), row.get("ExitCode", 0))
            for row in rows
        ]

    def startup_error(self, output: str, waited_s: float) -> PrerequisiteError:
        """Return the error for an unhealthy stack: the service, its state and its last log lines.

        Args:
            output: What Compose wrote.
            waited_s: Seconds since the start.
        """
        unhealthy = [service for service in self.services() if not service.is_healthy]
        if not unhealthy:
            return PrerequisiteError(
                f"The stack didn't start: {_last_line(output)}",
                remedy="'make logs' shows the logs of its services.",
            )
        # A service may only wait for another one, so that one comes first.
        first = min(unhealthy, key=lambda service: (service.state == "created", _rank(service.name)))
        lines = run_docker(["logs", "--tail", str(_LOG_LINES * 10), first.container])
        # Without the lines of a stack trace: its first line has the reason.
        told = [line for line in (lines.stdout + lines.stderr).splitlines() if not _STACK_TRACE.match(line)]
        shown = "\n".join(f"    {line}" for line in told[-_LOG_LINES:])
        how = "ended" if first.state == "exited" else "didn't become healthy"
        return PrerequisiteError(
            f"The service {first.name} {how} within {max(1, round(waited_s))} s: "
            f"its last state is '{first.description}'. Last lines of its log:\n{shown or '    (none)'}",
            remedy=f"Docker's message: {_last_line(output)}. 'make logs' shows the logs; 'make clean' "
            "removes the stack with its data.",
        )

    def compose(self, *arguments: str) -> list[str]:
        """Return the arguments of a Compose command on this stack."""
        return ["compose", "--project-directory", str(PROJECT), "--file", str(COMPOSE_FILE), *arguments]

    def environ(self) -> dict[str, str]:
        """Return the variables that compose.yaml reads."""
        settings = self._settings
        limits = ("worker_memory", "container_memory", "container_processes")
        variables = ("stack", *limits, *_PORTS.values())
        return {
            **{f"HARNESS_{name.upper()}": settings[name] for name in variables},
            **{image.variable: image.name for image in self.images},
            "HARNESS_WORKERS": str(self.workers),
            "HARNESS_WORKER_CORES": str(self.worker_cores),
            "HARNESS_BASE_IMAGE": settings["base_image"],
            "HARNESS_STACK_FILES": str(self.files.folder),
        }

    @property
    def _repositories(self) -> set[str]:
        return {image.name.partition(":")[0] for image in self.images if image.own}

    def _running(self, service: str) -> list[str]:
        labels = (f"project={self.name}", f"service={service}")
        filters = [option for label in labels for option in ("--filter", f"label=com.docker.compose.{label}")]
        try:
            return run_docker(["ps", "--quiet", *filters], timeout_s=5).stdout.split()
        except PrerequisiteError:
            return []

    def _distribute_secrets(self, more: Mapping[str, str]) -> None:
        """Pass the secrets through a container's standard input into volumes, and nowhere else."""
        arguments = self.compose("--progress", "quiet", "run", "--rm", "--no-TTY", "--no-deps", "secrets")
        answer = run_docker(arguments, self.environ(), stdin=self.files.archive(more))
        if answer.returncode != 0:
            raise PrerequisiteError(
                f"Can't pass the secrets to the stack: {_last_line(answer.stderr)}", remedy=_CHECK_ENGINE
            )

    def require_ports(self, running: set[str]) -> None:
        """Require that the ports of services that don't run yet are free.

        Args:
            running: Names of the services that run.

        Raises:
            PrerequisiteError: Another process uses one of the ports.
            UsageError: Two services have the same port.
        """
        self._require_different_ports()
        for service, setting in _PORTS.items():
            port = int(self._settings[setting])
            if service not in running and explain_taken(port) is not None:
                user = _find_port_user(port) or "another process"
                raise PrerequisiteError(
                    f"Port {port} is in use by {user}; the stack's service {service} needs it.",
                    remedy=f"Set HARNESS_{setting.upper()} to a free port, such as {find_free_port()}.",
                )

    def _require_different_ports(self) -> None:
        """Require that no two services have the same port."""
        by_port: dict[str, str] = {}
        for setting in _PORTS.values():
            port = self._settings[setting]
            if port in by_port:
                raise UsageError(
                    f"The settings '{by_port[port]}' and '{setting}' are the same port: {port}.",
                    remedy=f"Set HARNESS_{setting.upper()} to another free port, such as {find_free_port()}.",
                )
            by_port[port] = setting

    def _remove_images(self, keep: set[str]) -> None:
        """Remove images of other versions, except those that a container still uses."""
        listed = run_docker(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).stdout.split()
        for name in listed:
            if name.partition(":")[0] in self._repositories and name not in keep:
                run_docker(["image", "rm", name])


def _rank(service: str) -> int:
    return _ORDER.index(service) if service in _ORDER else len(_ORDER)


def _find_port_user(port: int) -> str | None:
    """Describe the container that publishes a port, or return ``None`` if none does."""
    project, folder = (f'{{{{.Label "com.docker.compose.project{part}"}}}}' for part in ("", ".working_dir"))
    listed = run_docker(
        ["ps", "--filter", f"publish={port}", "--format", f"{{{{.Names}}}}\t{project}\t{folder}"]
    )
    for line in listed.stdout.splitlines():
        name, stack, owner = line.split("\t")
        return f"the stack '{stack}' of the folder {owner}" if stack else f"the container {name}"
    return None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
