"""The state of a workspace: its user, secrets, clusters, folders and runs."""

from __future__ import annotations

import itertools
import json
import random
import re
import secrets
import string
import subprocess
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from databricks.sdk.service.catalog import TableInfo
from databricks.sdk.service.compute import (
    ClusterDetails,
    ClusterSource,
    ClusterSpec,
    DataSecurityMode,
    GetInstancePool,
    InstancePoolState,
    NodeType,
    Policy,
    SparkVersion,
    State,
    TerminationReason,
)

from tests.databricks.standin.faults import Faults
from tests.databricks.standin.runtime import WheelTask
from tests.databricks.standin.wire import invalid

if TYPE_CHECKING:
    from tests.databricks.standin.runs import JobRun
    from tests.databricks.standin.scheduled_jobs import Job

USER = "jane.doe@example.com"
WORKSPACE_ID = "1234567890123456"
ENTITLEMENTS = ("allow-cluster-create", "databricks-sql-access", "workspace-access")
VOLUME = "main.default.harness"
"""The only volume: /Volumes/main/default/harness."""
WARM_CLUSTER = "1123-080000-warm0001"
"""A running dedicated cluster with an ML runtime."""
COLD_CLUSTER = "1123-080000-cold0001"
"""The same kind of cluster, stopped."""
POLICY = "0003A7B2C4D5E6F1"
POOL = "1123-080000-pool-abcdefgh"
RUNTIME = "16.4.x-cpu-ml-scala2.12"
NODE = "Standard_D4ds_v5"
SPARK_VERSIONS = (
    SparkVersion(RUNTIME, "16.4 LTS ML (includes Apache Spark 3.5.2, Scala 2.12)"),
    SparkVersion("16.4.x-scala2.12", "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.12)"),
    SparkVersion("16.4.x-cpu-ml-scala2.13", "16.4 LTS ML (includes Apache Spark 3.5.2, Scala 2.13)"),
    SparkVersion("15.4.x-cpu-ml-scala2.12", "15.4 LTS ML (includes Apache Spark 3.5.0, Scala 2.12)"),
    SparkVersion("15.4.x-scala2.12", "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)"),
)
NODE_TYPES = tuple(
    NodeType(name, memory_mb, cores, name, name, category)
    for name, memory_mb, cores, category in (
        (NODE, 16384, 4.0, "General Purpose"),
        ("Standard_D8ds_v5", 32768, 8.0, "General Purpose"),
        ("Standard_E8ds_v5", 65536, 8.0, "Memory Optimized"),
    )
)
_SECRET = re.compile(r"\{\{secrets/([^/}]+)/([^/}]+)\}\}")


class Tasks(Protocol):
    """Runner of tasks: the stand-in's own Runtime, or a quick replacement."""

    def install(self, task: WheelTask) -> None:
        """Install the libraries, or raise LibraryError."""

    def start(self, task: WheelTask, output: Path) -> subprocess.Popen[bytes]:
        """Start the task's process in its own process group."""


class MissingSecretError(Exception):
    """A secret that does not exist; the text names scope and key."""


class Workspace:
    """The state of a workspace.

    Args:
        folder: Folder of its files.
        host: URL of the workspace.
        tasks: Runner of the submitted tasks.
        tracking_url: URL of a real MLflow server, if there is one.
    """

    def __init__(self, folder: Path, host: str, tasks: Tasks, tracking_url: str | None = None) -> None:
        self.folder = folder
        self.host = host
        self.tasks = tasks
        self.tracking_url = tracking_url
        self.faults = Faults()
        self.calls: list[str] = []
        """Every request of a user, such as "GET /api/2.0/preview/scim/v2/Me"."""
        self.secrets: dict[str, dict[str, str]] = {}
        """Values by scope and key; no call returns them."""
        self.entitlements: list[str] = list(ENTITLEMENTS)
        self.jobs: dict[int, Job] = {}
        """Jobs by their id."""
        self.runs: dict[int, JobRun] = {}
        """Runs by their id, in the order of submission."""
        self.clusters: dict[str, ClusterDetails] = {
            WARM_CLUSTER: _all_purpose(WARM_CLUSTER, State.RUNNING),
            COLD_CLUSTER: _all_purpose(COLD_CLUSTER, State.TERMINATED),
        }
        self.policies: dict[str, Policy] = {POLICY: _policy()}
        self.pools: dict[str, GetInstancePool] = {POOL: _pool()}
        self.tables: dict[str, TableInfo] = {}
        """Tables of Unity Catalog by their full names; a job finds those in ``spark_catalog`` by name."""
        self.schemas: set[str] = {"main.default"}
        """Schemas of Unity Catalog by their full names, and of ``spark_catalog``."""
        self.presigned: dict[str, str] = {}
        self.job_token = f"dkea{secrets.token_hex(16)}"
        """Token of a job's own calls; it does not expire with the user's."""
        self.numbers = itertools.count(844_000_000_000_001)
        self.lock = threading.RLock()
        self._token: str | None = None
        self.token = f"dapi{secrets.token_hex(16)}"
        self.volumes = folder / "Volumes"
        self.files = folder / "Workspace"
        for each in (
            self.volumes.joinpath(*VOLUME.split(".")),
            self.files / "Users" / USER,
            self.files / "Shared",
        ):
            each.mkdir(parents=True)

    @property
    def token(self) -> str:
        """The user's token, or the last one if it has expired."""
        return self._last_token

    @token.setter
    def token(self, token: str) -> None:
        self._token = self._last_token = token

    def expire_token(self) -> None:
        """Refuse the user's token until a new one is set."""
        self._token = None

    def renew_token(self) -> None:
        """Accept the last token again."""
        self._token = self._last_token

    def accepts(self, token: str) -> bool:
        """Return whether calls with this token are accepted."""
        return token in {self._token, self.job_token}

    def local(self, path: str) -> Path:
        """Return the file on this machine that replaces a path below /Volumes or /Workspace.

        Raises:
            ApiError: The path is in neither of them.
        """
        first, *rest = path.strip("/").split("/")
        root = {"Volumes": self.volumes, "Workspace": self.files}.get(first)
        if root is None or not path.startswith("/") or ".." in rest:
            raise invalid(f"Invalid path: unsupported first path component: {first}")
        return root.joinpath(*rest)

    def has_volume(self, path: str) -> bool:
        """Return whether the volume of a path below /Volumes exists."""
        names = path.strip("/").split("/")[1:4]
        return len(names) == 3 and self.volumes.joinpath(*names).is_dir()

    def resolve_secrets(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return settings with references to secrets replaced by their values.

        Raises:
            MissingSecretError: A secret does not exist.
        """

        def value(found: re.Match[str]) -> str:
            scope, key = found.groups()
            if key not in self.secrets.get(scope, {}):
                raise MissingSecretError(f"Secret does not exist with scope: {scope} and key: {key}")
            return self.secrets[scope][key]

        return {name: _SECRET.sub(value, text) for name, text in values.items()}

    def new_cluster(self, spec: ClusterSpec, name: str) -> str:
        """Create a cluster of a job, which has not started yet, and return its id."""
        letters = "".join(random.choices(string.ascii_lowercase, k=8))  # noqa: S311 - a name, no secret.
        cluster_id = f"{datetime.now(UTC):%m%d-%H%M%S}-{letters}"
        node = spec.node_type_id or self.pools[str(spec.instance_pool_id)].node_type_id
        self.clusters[cluster_id] = ClusterDetails(
            autoscale=spec.autoscale,
            cluster_id=cluster_id,
            cluster_name=name,
            cluster_source=ClusterSource.JOB,
            creator_user_name=USER,
            custom_tags=spec.custom_tags,
            data_security_mode=spec.data_security_mode,
            default_tags={"Vendor": "Databricks", "Creator": USER, "ClusterId": cluster_id},
            driver_node_type_id=spec.driver_node_type_id or node,
            instance_pool_id=spec.instance_pool_id,
            node_type_id=node,
            num_workers=spec.num_workers,
            policy_id=spec.policy_id,
            single_user_name=spec.single_user_name or USER,
            spark_conf=spec.spark_conf,
            spark_context_id=int(WORKSPACE_ID) + len(self.clusters),
            spark_env_vars=spec.spark_env_vars,
            spark_version=spec.spark_version,
            start_time=now_ms(),
            state=State.PENDING,
            state_message="Starting Spark",
        )
        return cluster_id

    def end_cluster(self, cluster_id: str, reason: TerminationReason) -> None:
        """Stop a cluster."""
        cluster = self.clusters[cluster_id]
        cluster.state = State.TERMINATED
        cluster.state_message = ""
        cluster.terminated_time = now_ms()
        cluster.termination_reason = reason


def now_ms() -> int:
    """Return the milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _all_purpose(cluster_id: str, state: State) -> ClusterDetails:
    return ClusterDetails(
        cluster_id=cluster_id,
        cluster_name=cluster_id.rsplit("-", 1)[-1],
        cluster_source=ClusterSource.UI,
        creator_user_name=USER,
        data_security_mode=DataSecurityMode.SINGLE_USER,
        driver_node_type_id=NODE,
        node_type_id=NODE,
        num_workers=1,
        single_user_name=USER,
        spark_context_id=4189120512345678,
        spark_version=RUNTIME,
        start_time=now_ms(),
        state=state,
    )


def _policy() -> Policy:
    definition = {"node_type_id": {"type": "allowlist", "values": [each.node_type_id for each in NODE_TYPES]}}
    return Policy(
        created_at_timestamp=now_ms(),
        creator_user_name="admin@example.com",
        definition=json.dumps(definition),
        is_default=False,
        name="Harness jobs",
        policy_id=POLICY,
    )


def _pool() -> GetInstancePool:
    return GetInstancePool(
        instance_pool_id=POOL,
        instance_pool_name="harness",
        node_type_id=NODE,
        min_idle_instances=0,
        idle_instance_autotermination_minutes=10,
        state=InstancePoolState.ACTIVE,
    )
