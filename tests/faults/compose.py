"""Kills of the job's container of runs in Compose, and of every service of their stack; outages of MLflow."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient

from harness.plan import Account
from harness.runs import list_runs
from harness.storage.blobs import Blobs, find_account
from harness.storage.model_store import ModelStore, open_store
from harness.storage.uris import StorageUri
from harness.targets.compose.compose_target import LAKE, MODELS, Compose
from tests.compose.conftest import RunningStack
from tests.faults.campaign import LIMIT_S

_JOB = "job"
_MLFLOW = "mlflow"
_SERVICES = ("spark-worker", "spark-master", _MLFLOW, "postgres", "azurite")
_OUTAGE = "mlflow-outage"
_OUTAGE_S = 60


@dataclass(frozen=True)
class ComposeVictim:
    """Runs in one stack, which is running."""

    stack: RunningStack
    names = (_JOB, *_SERVICES, _OUTAGE)
    harmless = (_OUTAGE,)
    _restarts: list[threading.Timer] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The home folder of all runs."""
        return self.stack.home

    def start(self, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start the command."""
        return self.stack.start(*arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command until it ends."""
        return self.stack.run(*arguments)

    def kill(self, name: str) -> bool:
        """Kill a container, or stop MLflow's for a minute; return whether there was one."""
        service = _MLFLOW if name == _OUTAGE else name
        running = [each for each in self.stack.containers(service) if each.status == "running"]
        for container in running[:1]:
            if name == _OUTAGE:
                container.stop(timeout=1)
                self._restarts.append(threading.Timer(_OUTAGE_S, container.start))
                self._restarts[-1].start()
            else:
                container.kill()
        return bool(running)

    def recover(self) -> None:
        """Wait until the job's container has ended, then start the services that were killed or stopped."""
        limit = time.monotonic() + LIMIT_S
        while self.stack.containers(_JOB) and time.monotonic() < limit:
            time.sleep(1)
        for restart in self._restarts:
            restart.cancel()
            restart.join()
        self._restarts.clear()
        started = self.stack.run("up")
        if started.returncode:
            raise SystemExit(f"The stack doesn't start again: {started.stderr}")

    def open_store(self) -> ModelStore:
        """Open the model store."""
        return open_store(MODELS, self._accounts)

    def open_tracking(self) -> MlflowClient:
        """Open the tracking server."""
        return MlflowClient(f"http://127.0.0.1:{self.stack.variables['HARNESS_MLFLOW_PORT']}")

    def list_leftovers(self) -> Iterator[str]:
        """Yield containers of jobs, and temporary tables."""
        yield from (f"the container {each.name}" for each in self.stack.containers(_JOB))
        root = StorageUri.parse(LAKE)
        lake = Blobs(root, find_account(root, self._accounts))
        for run in list_runs(self.home / "runs"):
            scratch = run.read_plan().scratch_uri
            if lake.find_last_change(scratch.removeprefix(f"{LAKE}/")) is not None:
                yield f"the table {scratch}"

    @property
    def _accounts(self) -> tuple[Account, ...]:
        return Compose(self.stack.settings)._accounts(inside=False)
