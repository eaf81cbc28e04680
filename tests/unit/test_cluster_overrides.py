"""The user's own settings of a cluster: merged over the harness's, left to a policy, and without secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.settings import Settings, read_settings
from harness.targets.databricks.cluster import list_cluster_libraries, make_cluster_spec
from harness.targets.databricks.cluster_overrides import leave_to_policy, read_overrides

SECTION = """\
[targets.databricks]
workers = "2"
tags = "team=risk"

[targets.databricks.cluster]
node_type_id = "Standard_E8ds_v5"
init_scripts = [{ workspace = { destination = "/Shared/init.sh" } }]
libraries = [{ pypi = { package = "lightgbm==4.5.0", repo = "https://mirror.example.com" } }]

[targets.databricks.cluster.spark_conf]
"spark.sql.shuffle.partitions" = "64"
"spark.hadoop.fs.azure.account.key.other" = "{{secrets/scope/key}}"

[targets.databricks.cluster.custom_tags]
cost = "42"
since = 2026-01-02
"""


def settings_of(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "harness.toml").write_text(text)
    return read_settings(folder=folder, environ=environ)


def make_spec(settings: Settings) -> dict[str, Any]:
    return make_cluster_spec(settings, "me@example.com", "run").as_dict()


def test_the_section_is_merged_over_the_specification(tmp_path: Path) -> None:
    """Mappings are merged key by key, everything else is replaced; libraries are added."""
    settings = settings_of(tmp_path, SECTION)
    spec = make_spec(settings)
    assert spec["node_type_id"] == "Standard_E8ds_v5"
    assert spec["num_workers"] == 2
    assert spec["custom_tags"] == {
        "team": "risk",
        "harness_run_id": "run",
        "cost": "42",
        "since": "2026-01-02",
    }
    assert spec["spark_conf"]["spark.sql.shuffle.partitions"] == "64"
    assert spec["init_scripts"] == [{"workspace": {"destination": "/Shared/init.sh"}}]
    assert "libraries" not in spec
    *_, own = list_cluster_libraries("/a.whl", settings)
    assert own.pypi is not None
    assert own.pypi.package == "lightgbm==4.5.0"
    assert settings.by_name["targets.databricks.cluster"].origin == "harness.toml:5"


def test_a_variable_has_the_section_as_json(tmp_path: Path) -> None:
    """It replaces the file's section."""
    text = json.dumps({"enable_elastic_disk": True})
    spec = make_spec(settings_of(tmp_path, SECTION, HARNESS_TARGETS_DATABRICKS_CLUSTER=text))
    assert spec["enable_elastic_disk"] is True
    assert spec["node_type_id"] == "Standard_D4ds_v5"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "nod_type_id = 'x'",
            "Unknown setting 'nod_type_id' in [targets.databricks.cluster]. Did you mean 'node_type_id'?",
        ),
        ("num_workers = 3", "can't set 'num_workers'"),
        ("policy_id = 'x'", "can't set 'policy_id'"),
        ("azure_attributes = { first_on_demnd = 1 }", "knows no 'azure_attributes.first_on_demnd'"),
        ("libraries = [{ pipy = { package = 'x' } }]", "knows no 'libraries.pipy'"),
        ("libraries = ['x']", "a value of the wrong kind"),
        ("azure_attributes = 'x'", "a value of the wrong kind"),
    ],
)
def test_wrong_keys_are_refused(tmp_path: Path, line: str, message: str) -> None:
    """Unknown ones with the nearest known one, and those that have a setting of their own."""
    with pytest.raises(UsageError) as caught:
        read_overrides(settings_of(tmp_path, f"[targets.databricks.cluster]\n{line}\n"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"spark_env_vars": {"DB_PASSWORD": "hunter2"}}', "contains a secret ('DB_PASSWORD')"),
        (
            '{"spark_conf": {"fs.azure.account.key.a": "hunter2"}}',
            "contains a secret ('fs.azure.account.key.a')",
        ),
        (
            '{"libraries": [{"pypi": {"repo": "https://me:hunter2@host/simple"}}]}',
            "contains a secret ('repo')",
        ),
        ('{"spark_env_vars": {"INDEX": "-i https://me:hunter2@host"}}', "contains a secret ('INDEX')"),
        ('{"docker_image": [{"password": "hunter2"}]}', "contains a secret ('password')"),
        ("hunter2", "is not valid JSON"),
        ("[1]", "must be a JSON object"),
    ],
)
def test_secrets_and_other_text_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """Reports show every setting; the message doesn't show the secret."""
    with pytest.raises(UsageError) as caught:
        settings_of(tmp_path, "", HARNESS_TARGETS_DATABRICKS_CLUSTER=text)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_policy_keeps_what_it_fixes(tmp_path: Path) -> None:
    """Only what it leaves open is sent, and what the user has set all the same."""
    settings = settings_of(tmp_path, SECTION)
    spec = make_cluster_spec(settings, "me@example.com", "run")
    definition = {
        "num_workers": {"type": "fixed", "value": 1},
        "spark_version": {"type": "allowlist", "values": ["16.4.x-cpu-ml-scala2.12"]},
        "custom_tags.team": {"type": "fixed", "value": "fraud"},
        "node_type_id": {"type": "fixed", "value": "Standard_D4ds_v5"},
        "spark_conf.spark.sql.ansi.enabled": {"type": "forbidden"},
    }
    sent = leave_to_policy(spec, json.dumps(definition), settings).as_dict()
    assert "num_workers" not in sent
    assert sent["custom_tags"] == {"harness_run_id": "run", "cost": "42", "since": "2026-01-02"}
    assert sent["node_type_id"] == "Standard_E8ds_v5"
    assert sent["spark_version"] == "16.4.x-cpu-ml-scala2.12"
    assert sent["apply_policy_default_values"] is True
    assert leave_to_policy(spec, "", settings).as_dict() == {
        **spec.as_dict(),
        "apply_policy_default_values": True,
    }
