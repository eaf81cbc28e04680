"""The cluster of a run, and the secrets that it refers to."""

from pathlib import Path

import pytest
from databricks.sdk.service.compute import AutoScale, ClusterSpec, DataSecurityMode

from harness.errors import UsageError
from harness.plan import Secret
from harness.settings import Settings, read_settings
from harness.storage.accounts import read_accounts
from harness.targets.databricks.cluster import (
    list_cluster_libraries,
    make_cluster_spec,
    require_synapseml,
    select_scope_accounts,
)
from harness.targets.databricks.databricks_target import Databricks

ACCOUNT = '[accounts.dls]\nsecret_name = "lake-key"\n'
PRINCIPAL = (
    '[accounts.dls]\nauth = "service_principal"\ntenant_id = "t"\nclient_id = "c"\nsecret_name = "sp"\n'
)
SCOPE = '[targets.databricks]\nsecret_scope = "harness"\n'


def _settings(folder: Path, text: str = "", **environ: str) -> Settings:
    (folder / "harness.toml").write_text(text, encoding="utf-8")
    variables = {f"HARNESS_TARGETS_DATABRICKS_{name.upper()}": value for name, value in environ.items()}
    return read_settings(folder=folder, environ=variables)


def _spec(folder: Path, text: str = "", **environ: str) -> ClusterSpec:
    return make_cluster_spec(_settings(folder, text, **environ), "me@example.com", "run")


def test_a_cluster_is_dedicated_and_has_one_node(tmp_path: Path) -> None:
    """By default, a cluster is in dedicated mode, which Spark ML and SynapseML need, with one node."""
    spec = _spec(tmp_path)
    assert (DataSecurityMode.SINGLE_USER, "me@example.com", 0, "16.4.x-cpu-ml-scala2.12") == (
        spec.data_security_mode,
        spec.single_user_name,
        spec.num_workers,
        spec.spark_version,
    )
    assert {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"} == spec.spark_conf


@pytest.mark.parametrize("runtime", ["16.4.x-cpu-ml-scala2.12", "15.4.x-gpu-ml-scala2.12"])
def test_a_runtime_with_synapseml_is_accepted(runtime: str) -> None:
    """A runtime with Spark 3.5 and Scala 2.12 is accepted, whatever its machines are."""
    require_synapseml(runtime)


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        ("17.3.x-cpu-ml-scala2.13", "has Spark 4: SynapseML's builds for it are only in SynapseML's own"),
        ("18.0.x-scala2.13", "not in Maven Central.\n  Set HARNESS_TARGETS_DATABRICKS_RUNTIME to 16.4.x"),
        (
            "16.4.x-cpu-ml-scala2.13",
            "has Scala 2.13: SynapseML's only build for Spark 3.5 is for Scala 2.12",
        ),
    ],
)
def test_a_runtime_without_synapseml_is_refused(tmp_path: Path, runtime: str, reason: str) -> None:
    """A runtime for which SynapseML isn't in Maven Central is refused before the workspace is asked."""
    settings = _settings(tmp_path, runtime=runtime, files="/Volumes/main/default/harness", experiment="/a")
    with pytest.raises(UsageError) as caught:
        Databricks(settings, print).environment(None, "")
    assert reason in str(caught.value)
    assert runtime in caught.value.message


@pytest.mark.parametrize(
    ("workers", "number", "autoscale"),
    [("3", 3, None), ("2-8", None, AutoScale(min_workers=2, max_workers=8))],
    ids=["fixed", "autoscale"],
)
def test_a_cluster_has_workers(
    tmp_path: Path, workers: str, number: int | None, autoscale: AutoScale | None
) -> None:
    """A number or a range of workers makes a cluster of several nodes."""
    spec = _spec(tmp_path, workers=workers)
    assert (number, autoscale, None) == (spec.num_workers, spec.autoscale, spec.spark_conf)
    assert "ResourceClass" not in (spec.custom_tags or {})


def test_a_pool_has_its_own_node_type(tmp_path: Path) -> None:
    """A cluster of a pool names no node type, because the workspace refuses both together."""
    spec = _spec(tmp_path, instance_pool_id="pool-1", policy_id="policy-1")
    assert ("pool-1", "policy-1", None) == (spec.instance_pool_id, spec.policy_id, spec.node_type_id)


def test_a_cluster_has_the_tags(tmp_path: Path) -> None:
    """A cluster has the tags of the settings and the run's ID, so that its costs can be found."""
    expected = {"ResourceClass": "SingleNode", "team": "risk", "cost": "4 2", "harness_run_id": "run"}
    assert expected == _spec(tmp_path, tags="team=risk, cost=4 2").custom_tags


@pytest.mark.parametrize(
    ("account", "name", "reference"),
    [
        (ACCOUNT, "fs.azure.account.key.dls", "{{secrets/harness/lake-key}}"),
        (PRINCIPAL, "fs.azure.account.oauth2.client.secret.dls", "{{secrets/harness/sp}}"),
    ],
    ids=["key", "service principal"],
)
def test_a_secret_is_referenced_and_never_included(
    tmp_path: Path, account: str, name: str, reference: str
) -> None:
    """A cluster has only references to secrets, for Spark and for the job's own client."""
    spec = _spec(tmp_path, account + SCOPE)
    assert reference == (spec.spark_conf or {})[f"spark.hadoop.{name}.dfs.core.windows.net"]
    assert {"HARNESS_ACCOUNT_DLS": reference} == spec.spark_env_vars


def test_the_job_finds_a_secret_in_its_variable(tmp_path: Path) -> None:
    """On a cluster, a secret is in a variable, wherever this machine has it."""
    text = '[accounts.dls]\nkey_file = "key"\nsecret_name = "lake-key"\n[accounts.other]\nkey_file = "key"\n'
    [account] = select_scope_accounts(_settings(tmp_path, text + SCOPE))
    assert ("dls", Secret(variable="HARNESS_ACCOUNT_DLS")) == (account.name, account.secret)


def test_a_secret_without_a_scope_is_refused(tmp_path: Path) -> None:
    """A secret without a scope is refused with the account, the secret and the setting."""
    with pytest.raises(
        UsageError, match=r"\[accounts\.dls\] names the secret 'lake-key', but no scope is set"
    ):
        select_scope_accounts(_settings(tmp_path, ACCOUNT))


def test_a_pasted_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    """A key in place of a variable's name is refused and not repeated in the message."""
    settings = _settings(tmp_path, '[accounts.dls]\nkey_variable = "c2VjcmV0+Zm9v=="\n')
    with pytest.raises(UsageError, match="key_variable is not the name of a variable") as caught:
        read_accounts(settings)
    assert "c2VjcmV0" not in str(caught.value)


def test_models_are_saved_through_a_volume(tmp_path: Path) -> None:
    """If a model volume is set, MLflow saves models through it."""
    volume = "/Volumes/main/default/models"
    assert {"MLFLOW_DFS_TMP": volume} == _spec(tmp_path, model_volume=volume).spark_env_vars


def test_the_cluster_installs_the_wheel_and_the_explainers(tmp_path: Path) -> None:
    """A cluster installs only the wheel and SynapseML; its runtime has everything else."""
    wheel, maven = list_cluster_libraries("/Volumes/main/default/harness/a.whl", _settings(tmp_path))
    assert ("/Volumes/main/default/harness/a.whl", "com.microsoft.azure:synapseml-core_2.12:1.1.3") == (
        wheel.whl,
        maven.maven.coordinates if maven.maven else None,
    )
