"""The Databricks target, a one-time run on a cluster of a workspace: its capabilities, settings and gaps."""

from __future__ import annotations

from collections.abc import Mapping

from harness.setting_types import COUNT_PATTERN, Settings, SettingSpec
from harness.targets.target_definition import TargetDefinition
from harness.tracked_names import UNITY_CATALOG

DATABRICKS_SETTINGS = "targets.databricks."
"""Prefix of the settings' names."""
CLUSTER, JOB = "cluster", "job"
"""Settings that are sections with Databricks' own keys."""
_VOLUME = r"(/Volumes(/[^/]+){3,})?"


def read_setting(settings: Settings, name: str) -> str:
    """Return the value of one of this target's settings."""
    return settings[DATABRICKS_SETTINGS + name]


def count_nodes(settings: Mapping[str, str]) -> int | None:
    """Return the largest number of nodes of a run's cluster, or ``None`` if it used an existing cluster."""
    workers = settings.get(f"{DATABRICKS_SETTINGS}workers", "")
    if settings.get(f"{DATABRICKS_SETTINGS}cluster_id") or not workers:
        return None
    return 1 + int(workers.rpartition("-")[2])


def _spec(
    name: str, default: str, meaning: str, pattern: str | None = None, *, is_root: bool = False
) -> SettingSpec:
    return SettingSpec(DATABRICKS_SETTINGS + name, default, meaning, pattern, is_root)


DATABRICKS = TargetDefinition(
    name="databricks",
    title="Databricks",
    implementation="harness.targets.databricks.databricks_target:Databricks",
    is_local=False,
    tracking_uri="databricks",
    registry_uri=UNITY_CATALOG,
    searches_runs=True,
    has_own_bundles=True,
    can_attach=True,
    can_schedule=True,
    can_sweep=True,
    count_nodes=count_nodes,
    gaps=(
        "Permissions of users, service principals and secret scopes: only the workspace enforces them.",
        "The runtime's own builds of Spark (with Photon) and of Delta: a local run uses the published ones.",
        "Cluster policies, init scripts and the workspace's network: they have no local counterpart.",
        "Shuffle and memory on several nodes with data of the real size: a local run is small.",
        "Start-up time and cost of a cluster: only the cloud has them.",
    ),
    settings=(
        _spec("profile", "", "profile of ~/.databrickscfg (default: unified authentication decides)"),
        _spec(
            "runtime",
            "16.4.x-cpu-ml-scala2.12",
            "runtime of the cluster, with Scala 2.12: 16.4.x-cpu-ml-scala2.12 or 15.4.x-cpu-ml-scala2.12",
            r"\d+\.\d+\.x-[a-z0-9-]*scala2\.\d+",
        ),
        _spec("node_type", "Standard_D4ds_v5", "node type of the cluster's machines"),
        _spec("workers", "0", "workers: 0 for a single node, 3, or 2-8 for autoscaling", r"\d+(-\d+)?"),
        _spec("policy_id", "", "cluster policy"),
        _spec("instance_pool_id", "", "instance pool of the cluster's machines"),
        SettingSpec(
            DATABRICKS_SETTINGS + CLUSTER,
            "",
            "more settings of the cluster, as its specification has them: a section, or JSON",
            is_document=True,
        ),
        SettingSpec(
            DATABRICKS_SETTINGS + JOB,
            "",
            "more settings of a scheduled job, such as notifications: a section, or JSON",
            is_document=True,
        ),
        _spec("cluster_id", "", "existing cluster to use (default: a new one for each run)"),
        _spec(
            "files",
            "",
            "folder for the uploaded wheel, plan and rows: /Volumes/CATALOG/SCHEMA/VOLUME or /Workspace/...",
            r"(/Volumes(/[^/]+){3,}|/Workspace(/[^/]+)+)?",
        ),
        _spec(
            "schema",
            "",
            "schema for the tables that runs build, such as main.harness (default: folders in the lake)",
            r"([\w-]+\.[\w-]+)?",
        ),
        _spec("lake", "", "root of the tables: abfss:// or /Volumes/... (default: FILES/lake)", is_root=True),
        _spec("models", "", "model store: abfss:// or /Volumes/... (default: FILES/models)", is_root=True),
        _spec(
            "model_volume",
            "",
            "volume through which models are saved if Spark can't hand them over in the lake",
            _VOLUME,
        ),
        _spec("secret_scope", "", "secret scope with the storage accounts' secrets"),
        _spec("experiment", "", "path of the MLflow experiment (default: /Users/ME/harness)", r"(/.+)?"),
        _spec("tags", "", "tags of the cluster, such as team=risk,cost=42", r"([^=,]+=[^=,]*(,|$))*"),
        _spec("time_limit_min", "120", "minutes after which a run is cancelled", COUNT_PATTERN),
        _spec("expire_days", "14", "days after which uploaded files may be swept", COUNT_PATTERN),
    ),
)
