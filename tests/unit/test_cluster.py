from pathlib import Path

import pytest
from databricks.sdk.service.compute import AutoScale, ClusterSpec, DataSecurityMode

from harness.errors import UsageError
from harness.plan import Secret
from harness.settings import Settings, read_settings
from harness.storage.accounts import read_accounts
from harness.targets.databricks.cluster import cluster_spec, libraries, scope_accounts

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
    return cluster_spec(_settings(folder, text, **environ), "me@example.com", "run")


def test_a_cluster_is_dedicated_and_of_one_node(tmp_path: Path) -> None:
    """Standard access mode runs neither Spark ML nor SynapseML; one node is what small data needs."""
    spec = _spec(tmp_path)
    assert (DataSecurityMode.SINGLE_USER, "me@example.com", 0, "16.4.x-cpu-ml-scala2.12") == (
        spec.data_security_mode,
        spec.single_user_name,
        spec.num_workers,
        spec.spark_version,
    )
    assert {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"} == spec.spark_conf


@pytest.mark.parametrize(
    ("workers", "number", "autoscale"),
    [("3", 3, None), ("2-8", None, AutoScale(min_workers=2, max_workers=8))],
    ids=["fixed", "autoscale"],
)
def test_a_cluster_has_workers(
    tmp_path: Path, workers: str, number: int | None, autoscale: AutoScale | None
) -> None:
    """A number of them, or a range; then it is no single node."""
    spec = _spec(tmp_path, workers=workers)
    assert (number, autoscale, None) == (spec.num_workers, spec.autoscale, spec.spark_conf)
    assert "ResourceClass" not in (spec.custom_tags or {})


def test_a_pool_has_its_own_node_type(tmp_path: Path) -> None:
    """Naming both is refused by the workspace."""
    spec = _spec(tmp_path, instance_pool_id="pool-1", policy_id="policy-1")
    assert ("pool-1", "policy-1", None) == (spec.instance_pool_id, spec.policy_id, spec.node_type_id)


def test_tags_are_the_clusters(tmp_path: Path) -> None:
    """By them and by the run's id its cost is found."""
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
def test_a_secret_is_named_and_never_there(tmp_path: Path, account: str, name: str, reference: str) -> None:
    """The cluster puts the value in place of the reference: for Spark, and for the job's own client."""
    spec = _spec(tmp_path, account + SCOPE)
    assert reference == (spec.spark_conf or {})[f"spark.hadoop.{name}.dfs.core.windows.net"]
    assert {"HARNESS_ACCOUNT_DLS": reference} == spec.spark_env_vars


def test_the_job_finds_a_secret_in_its_variable(tmp_path: Path) -> None:
    """Wherever this machine has it: a cluster has the scope's."""
    text = '[accounts.dls]\nkey_file = "key"\nsecret_name = "lake-key"\n[accounts.other]\nkey_file = "key"\n'
    [account] = scope_accounts(_settings(tmp_path, text + SCOPE))
    assert ("dls", Secret(variable="HARNESS_ACCOUNT_DLS")) == (account.name, account.secret)


def test_a_secret_without_a_scope_is_refused(tmp_path: Path) -> None:
    """The message has the account, the secret and what to set."""
    with pytest.raises(
        UsageError, match=r"\[accounts\.dls\] names the secret 'lake-key', but no scope is set"
    ):
        scope_accounts(_settings(tmp_path, ACCOUNT))


def test_a_pasted_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    """A key in place of a variable's name would stand in every report."""
    settings = _settings(tmp_path, '[accounts.dls]\nkey_variable = "c2VjcmV0+Zm9v=="\n')
    with pytest.raises(UsageError, match="key_variable is not the name of a variable") as caught:
        read_accounts(settings)
    assert "c2VjcmV0" not in str(caught.value)


def test_models_are_saved_through_a_volume(tmp_path: Path) -> None:
    """Where it is set, MLflow is told too."""
    volume = "/Volumes/main/default/models"
    assert {"MLFLOW_DFS_TMP": volume} == _spec(tmp_path, model_volume=volume).spark_env_vars


def test_the_cluster_installs_the_wheel_and_the_explainers() -> None:
    """Its own runtime has all the rest."""
    wheel, maven = libraries("/Volumes/main/default/harness/a.whl")
    assert ("/Volumes/main/default/harness/a.whl", "com.microsoft.azure:synapseml-core_2.12:1.1.3") == (
        wheel.whl,
        maven.maven.coordinates if maven.maven else None,
    )
