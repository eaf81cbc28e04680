"""Cluster of a run: dedicated job compute, the only kind that runs Spark ML and SynapseML on 3.5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.plan import Account, Secret
from harness.setting_types import Settings
from harness.storage.accounts import make_hadoop_settings, name_secret_variable, read_accounts
from harness.targets.databricks import DATABRICKS_SETTINGS, read_setting
from harness.targets.databricks.cluster_overrides import list_own_libraries, merge_overrides

if TYPE_CHECKING:
    from databricks.sdk.service.compute import ClusterSpec, Library

SYNAPSEML = "com.microsoft.azure:synapseml-core_2.12:1.1.3"
_SPARK_4 = 17
"""The first runtime with Spark 4."""
_SCALA = "2.12"
RUNTIMES = "Set HARNESS_TARGETS_DATABRICKS_RUNTIME to 16.4.x-cpu-ml-scala2.12 or 15.4.x-cpu-ml-scala2.12"
"""A remedy, as the beginning of a sentence."""
_SINGLE_NODE = {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"}


def require_synapseml(runtime: str) -> None:
    """Require a runtime for which SynapseML is in Maven Central, where clusters look for it.

    Args:
        runtime: Name of the runtime, such as ``16.4.x-cpu-ml-scala2.12``.

    Raises:
        UsageError: It isn't there for the runtime's Spark or Scala.
    """
    if int(runtime.partition(".")[0]) >= _SPARK_4:
        raise UsageError(
            f"The runtime {runtime} has Spark 4: SynapseML's builds for it are only in SynapseML's own Maven "
            "repository, not in Maven Central.",
            remedy=f"{RUNTIMES}. docs/databricks.md lists what a newer runtime would need.",
        )
    scala = runtime.rpartition("scala")[2]
    if scala != _SCALA:
        raise UsageError(
            f"The runtime {runtime} has Scala {scala}: SynapseML's only build for Spark 3.5 is for Scala "
            f"{_SCALA}.",
            remedy=f"{RUNTIMES}.",
        )


def make_cluster_spec(settings: Settings, user: str, run_id: str) -> ClusterSpec:
    """Return the specification of a new cluster for one run.

    Args:
        settings: Settings with those of this target.
        user: User that the cluster is dedicated to.
        run_id: Id of the run, which becomes a tag.
    """
    from databricks.sdk.service.compute import AutoScale, ClusterSpec, DataSecurityMode

    chosen = {name: read_setting(settings, name) for name in ("node_type", "policy_id", "instance_pool_id")}
    low, _, high = read_setting(settings, "workers").partition("-")
    if high and int(low) > int(high):
        raise UsageError(
            f"Invalid {DATABRICKS_SETTINGS}workers '{low}-{high}': the smaller number comes first."
        )
    single = not high and int(low) == 0
    accounts = select_scope_accounts(settings)
    spec = ClusterSpec(
        spark_version=read_setting(settings, "runtime"),
        node_type_id=None if chosen["instance_pool_id"] else chosen["node_type"],
        instance_pool_id=chosen["instance_pool_id"] or None,
        policy_id=chosen["policy_id"] or None,
        num_workers=None if high else int(low),
        autoscale=AutoScale(min_workers=int(low), max_workers=int(high)) if high else None,
        data_security_mode=DataSecurityMode.SINGLE_USER,
        single_user_name=user,
        spark_conf={**(_SINGLE_NODE if single else {}), **_make_spark_conf(settings, accounts)} or None,
        spark_env_vars=_make_variables(settings, accounts) or None,
        custom_tags={
            **({"ResourceClass": "SingleNode"} if single else {}),
            **make_tags(settings),
            "harness_run_id": run_id,
        },
    )
    return merge_overrides(spec, settings)


def list_cluster_libraries(wheel: str, settings: Settings) -> list[Library]:
    """Return the libraries of the cluster: the harness, the Scala part of SynapseML, and the user's own."""
    from databricks.sdk.service.compute import Library, MavenLibrary

    own = list_own_libraries(settings)
    return [Library(whl=wheel), Library(maven=MavenLibrary(coordinates=SYNAPSEML)), *own]


def select_scope_accounts(settings: Settings) -> tuple[Account, ...]:
    """Return the storage accounts whose secret is in the workspace's scope, as the job finds them.

    Raises:
        UsageError: An account names a secret, but no scope is set.
    """
    named = [account for account in read_accounts(settings) if account.secret_name]
    if named and not read_setting(settings, "secret_scope"):
        raise UsageError(
            f"[accounts.{named[0].name}] names the secret '{named[0].secret_name}', but no scope is set.",
            remedy="Set secret_scope under [targets.databricks].",
        )
    return tuple(
        account.model_copy(update={"secret": Secret(variable=name_secret_variable(account.name))})
        for account in named
    )


def make_tags(settings: Settings) -> dict[str, str]:
    """Return the cluster's tags, which its costs can be found by."""
    pairs = (pair.partition("=") for pair in read_setting(settings, "tags").split(",") if pair)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _make_secret_reference(settings: Settings, account: Account) -> str:
    """Return the reference that the cluster replaces with the secret's value, which never gets here."""
    return f"{{{{secrets/{read_setting(settings, 'secret_scope')}/{account.secret_name}}}}}"


def _make_spark_conf(settings: Settings, accounts: tuple[Account, ...]) -> dict[str, str]:
    return {
        f"spark.hadoop.{name}": value
        for account in accounts
        for name, value in make_hadoop_settings(account, _make_secret_reference(settings, account)).items()
    }


def _make_variables(settings: Settings, accounts: tuple[Account, ...]) -> dict[str, Any]:
    volume = read_setting(settings, "model_volume")
    return {
        **{
            name_secret_variable(account.name): _make_secret_reference(settings, account)
            for account in accounts
        },
        **({"MLFLOW_DFS_TMP": volume} if volume else {}),
    }
