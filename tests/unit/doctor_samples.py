"""Sample answers of a workspace to the checks that come before a run."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from databricks.sdk.errors import NotFound
from databricks.sdk.service.compute import (
    CloudProviderNodeInfo,
    CloudProviderNodeStatus,
    ClusterDetails,
    DataSecurityMode,
    GetInstancePool,
    GetSparkVersionsResponse,
    InstancePoolState,
    ListNodeTypesResponse,
    NodeType,
    Policy,
    SparkVersion,
)
from databricks.sdk.service.iam import ComplexValue, User
from databricks.sdk.service.workspace import ObjectInfo, SecretMetadata

from harness.targets.checks import Check

ME = "jane@example.com"
HOST = "https://adb-1.azuredatabricks.net"
RUNTIME = "16.4.x-cpu-ml-scala2.12"
VOLUME = "/Volumes/main/default/harness"
CLUSTER = ClusterDetails(
    cluster_id="c-1",
    cluster_name="warm",
    spark_version=RUNTIME,
    data_security_mode=DataSecurityMode.SINGLE_USER,
    single_user_name=ME,
)
NEW_CLUSTER = ["authentication", "settings", "permission", "runtime", "node type", "files", "experiment"]


class Workspace:
    """Fake of a workspace's client, which answers and records the calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Any] = {
            "me": User(user_name=ME, entitlements=[ComplexValue(value="allow-cluster-create")]),
            "policy": Policy(name="small"),
            "pool": GetInstancePool(
                "p-1", instance_pool_name="warm", node_type_id="D4", state=InstancePoolState.ACTIVE
            ),
            "cluster": CLUSTER,
            "runtimes": GetSparkVersionsResponse(
                [SparkVersion(RUNTIME, "16.4 LTS ML"), SparkVersion("16.4.x-scala2.12", "16.4 LTS")]
            ),
            "nodes": ListNodeTypesResponse([node_type("Standard_D4ds_v5")]),
            "upload": None,
            "delete": None,
            "secrets": [SecretMetadata("lake-key")],
            "experiment": NotFound("no such experiment"),
            "status": ObjectInfo(),
        }
        self.config = SimpleNamespace(host=HOST, auth_type="pat")
        self.current_user = SimpleNamespace(me=self._fake_method("me"))
        self.cluster_policies = SimpleNamespace(get=self._fake_method("policy"))
        self.instance_pools = SimpleNamespace(get=self._fake_method("pool"))
        self.clusters = SimpleNamespace(
            get=self._fake_method("cluster"),
            spark_versions=self._fake_method("runtimes"),
            list_node_types=self._fake_method("nodes"),
        )
        self.files = SimpleNamespace(upload=self._fake_method("upload"), delete=self._fake_method("delete"))
        self.secrets = SimpleNamespace(list_secrets=self._fake_method("secrets"))
        self.experiments = SimpleNamespace(get_by_name=self._fake_method("experiment"))
        self.workspace = SimpleNamespace(
            get_status=self._fake_method("status"),
            upload=self._fake_method("upload"),
            delete=self._fake_method("delete"),
        )

    def _fake_method(self, name: str) -> Callable[..., Any]:
        def say(*asked: object, **_how: object) -> Any:
            self.calls.append(" ".join((name, *(each for each in asked if isinstance(each, str)))))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return say


RunChecks = Callable[..., dict[str, Check]]


def node_type(name: str, *status: CloudProviderNodeStatus) -> NodeType:
    info = CloudProviderNodeInfo(status=list(status))
    return NodeType(name, 16384, 4.0, name, name, "General Purpose", node_info=info)


def failed_checks(checks: dict[str, Check]) -> list[str]:
    return [what for what, check in checks.items() if check.state == "failed"]
