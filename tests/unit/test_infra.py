"""The Terraform module in docs/infra: its files, what it protects, and that it fits what the harness does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest

from harness.settings import Settings, read_settings
from harness.targets.databricks import read_setting
from harness.targets.databricks.cluster import make_cluster_spec
from harness.targets.databricks.cluster_overrides import leave_to_policy
from harness.targets.databricks.databricks_target import Databricks

INFRA = Path(__file__).parents[2] / "docs" / "infra"
FILES = sorted((*INFRA.glob("*.tf"), *INFRA.glob("tests/*.hcl")))
README = (INFRA / "README.md").read_text(encoding="utf-8")
REFERENCE = re.compile(r"\b(var|local)\.(\w+)|\b((?:azurerm|databricks)_\w+)\.(\w+)")
DATABRICKS = "HARNESS_TARGETS_DATABRICKS_"


def _parse(text: str) -> dict[str, list[Any]]:
    parsed: dict[str, list[Any]] = _plain(hcl2.loads(text))
    return parsed


def _plain(value: Any) -> Any:
    """Return a parsed value without the quotes of its texts and without the parser's marks."""
    if isinstance(value, dict):
        return {_plain(name): _plain(each) for name, each in value.items() if name != "__is_block__"}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value[1:-1] if isinstance(value, str) and value[:1] == '"' == value[-1:] else value


def _collect(kind: str) -> dict[str, Any]:
    """Return all blocks of a kind, such as variables, by their names."""
    blocks = [block for file in INFRA.glob("*.tf") for block in _parse(file.read_text()).get(kind, [])]
    return {name: value for block in blocks for name, value in block.items()}


def _resources() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield type, name and attributes of each resource."""
    for file in INFRA.glob("*.tf"):
        for block in _parse(file.read_text()).get("resource", []):
            for kind, named in block.items():
                yield from ((kind, name, attributes) for name, attributes in named.items())


def _render(template: str, values: Mapping[str, Any]) -> str:
    """Render a template of the module as Terraform does: each of its expressions is ``jsonencode``."""
    text = (INFRA / template).read_text(encoding="utf-8")
    pattern = re.compile(r"\$\{jsonencode\((\w+)(\[0\])?\)\}")
    rendered = pattern.sub(lambda each: json.dumps(values[each[1]][0] if each[2] else values[each[1]]), text)
    assert "${" not in rendered
    return rendered


def _defaults() -> dict[str, Any]:
    return {name: each.get("default") for name, each in _collect("variable").items()}


def _policy() -> str:
    return _render("cluster_policy.json.tftpl", _defaults())


def _find_violations(policy: Mapping[str, Any], cluster: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of a policy that a cluster violates, by Databricks' reference of compute policies."""
    for path, rule in policy.items():
        value = "job" if path == "cluster_type" else _find_value(cluster, path)
        match rule["type"]:
            case "fixed":
                fits = value in (None, rule["value"])
            case _ if value is None:
                fits = rule.get("isOptional", False) or "defaultValue" in rule
            case "allowlist":
                fits = value in rule["values"]
            case "range":
                fits = rule["minValue"] <= value <= rule["maxValue"]
            case other:
                pytest.fail(f"{path} has a rule of the type {other}, which this test doesn't know")
        if not fits:
            yield path


def _find_value(cluster: Mapping[str, Any], path: str) -> Any:
    first, _, rest = path.partition(".")
    return _find_value(cluster.get(first) or {}, rest) if rest else cluster.get(first)


def _settings(folder: Path, toml: str = "", **environ: str) -> Settings:
    (folder / "harness.toml").write_text(toml, encoding="utf-8")
    variables = {f"{DATABRICKS}{name}": value for name, value in environ.items()}
    return read_settings(folder=folder, environ={f"{DATABRICKS}POLICY_ID": "policy", **variables})


def _make_cluster(settings: Settings) -> dict[str, Any]:
    spec = leave_to_policy(make_cluster_spec(settings, "me@example.com", "run"), _policy(), settings)
    return spec.as_dict()


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_files_are_valid_hcl(file: Path) -> None:
    """Every file of the module has blocks that an HCL parser reads."""
    assert _parse(file.read_text(encoding="utf-8"))


def test_references_lead_somewhere() -> None:
    """Every variable, local value and resource that the module refers to exists."""
    known = {f"var.{name}" for name in _collect("variable")}
    known |= {f"local.{name}" for name in _collect("locals")}
    known |= {f"{kind}.{name}" for kind, name, _ in _resources()}
    used = {
        ".".join(part for part in found.groups() if part)
        for file in INFRA.glob("*.tf")
        for found in REFERENCE.finditer(file.read_text(encoding="utf-8"))
    }
    assert used
    assert set() == used - known
    assert set() == {f"var.{name}" for name in _collect("variable")} - used


def test_storage_accounts_are_closed() -> None:
    """A storage account has a hierarchical namespace, TLS 1.2, no public blobs, and by default no keys."""
    accounts = [attributes for kind, _, attributes in _resources() if kind == "azurerm_storage_account"]
    expected = {
        "is_hns_enabled": True,
        "min_tls_version": "TLS1_2",
        "https_traffic_only_enabled": True,
        "allow_nested_items_to_be_public": False,
        "shared_access_key_enabled": "${var.shared_key_enabled}",
        "local_user_enabled": False,
    }
    assert [expected] == [{name: each.get(name) for name in expected} for each in accounts]
    assert _defaults()["shared_key_enabled"] is False
    containers = [each for kind, _, each in _resources() if kind == "azurerm_storage_container"]
    assert ["private"] == [each["container_access_type"] for each in containers]


def test_the_group_has_the_privileges_that_the_docs_name() -> None:
    """The group gets the privileges of the docs, may use the policy, and may read the scope."""
    granted = {p for kind, _, each in _resources() if kind == "databricks_grant" for p in each["privileges"]}
    docs = (INFRA.parent / "databricks.md").read_text(encoding="utf-8")
    assert {
        "USE_CATALOG",
        "USE_SCHEMA",
        "READ_VOLUME",
        "WRITE_VOLUME",
        "READ_FILES",
        "WRITE_FILES",
    } == granted
    assert [] == [each for each in granted if f"`{each.replace('_', ' ')}`" not in docs]
    by_kind = {kind: each for kind, _, each in _resources()}
    assert "CAN_USE" == by_kind["databricks_permissions"]["access_control"][0]["permission_level"]
    assert "READ" == by_kind["databricks_secret_acl"]["permission"]


def test_no_resource_contains_a_secret() -> None:
    """The module creates no secret, so that Terraform's state has none."""
    kinds = {kind for kind, _, _ in _resources()}
    assert {"databricks_secret", "databricks_token", "azurerm_key_vault_secret"}.isdisjoint(kinds)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WORKERS": "3"},
        {"WORKERS": "2-8"},
        {"RUNTIME": "15.4.x-cpu-ml-scala2.12"},
        {"NODE_TYPE": "Standard_D8ds_v5", "TAGS": "team=risk"},
        {"MODEL_VOLUME": "/Volumes/harness/runs/files", "SECRET_SCOPE": "harness"},
    ],
    ids=["defaults", "workers", "autoscaling", "runtime", "node type, tags", "volume, scope"],
)
def test_the_policy_allows_what_the_harness_sends(tmp_path: Path, environ: dict[str, str]) -> None:
    """The cluster policy allows a cluster with each of the target's settings, and with accounts' secrets."""
    account = '[accounts.mydatalake]\nsecret_name = "lake"\n' if "SECRET_SCOPE" in environ else ""
    cluster = _make_cluster(_settings(tmp_path, account, **environ))
    assert [] == list(_find_violations(json.loads(_policy()), cluster))


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"WORKERS": "9"}, "num_workers"),
        ({"WORKERS": "2-9"}, "autoscale.max_workers"),
        ({"NODE_TYPE": "Standard_E96ds_v5"}, "node_type_id"),
        ({"RUNTIME": "14.3.x-cpu-ml-scala2.12"}, "spark_version"),
    ],
)
def test_the_policy_refuses_the_rest(tmp_path: Path, environ: dict[str, str], path: str) -> None:
    """The cluster policy limits workers, node types and runtimes."""
    cluster = _make_cluster(_settings(tmp_path, **environ))
    assert [path] == list(_find_violations(json.loads(_policy()), cluster))


def test_the_policy_makes_dedicated_clusters_for_jobs(tmp_path: Path) -> None:
    """What the policy fixes is what the harness would send without a policy."""
    sent = make_cluster_spec(_settings(tmp_path), "me@example.com", "run").as_dict()
    rules = {path: rule["value"] for path, rule in json.loads(_policy()).items() if rule["type"] == "fixed"}
    assert {"cluster_type": "job", "data_security_mode": sent["data_security_mode"]} == rules


def test_defaults_are_the_harnesss_own(tmp_path: Path) -> None:
    """The first runtime and the first node type are those that the harness uses by default."""
    settings, defaults = _settings(tmp_path), _defaults()
    assert read_setting(settings, "runtime") == defaults["runtimes"][0]
    assert read_setting(settings, "node_type") == defaults["node_types"][0]


def test_the_output_is_a_settings_file(tmp_path: Path) -> None:
    """The lines for harness.toml are valid settings, and lead the target to both storage locations."""
    values = {
        **_defaults(),
        "files": "/Volumes/harness/runs/files",
        "lake": "abfss://lake@mydatalake.dfs.core.windows.net/harness",
        "models": "/Volumes/harness/runs/models",
        "policy_id": "0123456789ABCDEF",
        "secret_scope": "harness",
    }
    (tmp_path / "harness.toml").write_text(_render("harness.toml.tftpl", values), encoding="utf-8")
    settings = read_settings(folder=tmp_path, environ={})
    target = Databricks(settings, print)
    assert (values["files"], values["lake"], values["models"]) == (
        target.root,
        target._choose_location("lake"),
        target._choose_location("models"),
    )
    assert values["policy_id"] == make_cluster_spec(settings, "me", "run").policy_id


def test_the_readme_lists_the_variables() -> None:
    """The table has every variable, with its default; the example sets those that have none."""
    rows = re.findall(r"^\| (`.+?) \| .+ \| (.+?) \|$", README, re.MULTILINE)
    listed = {name: default for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    variables = _collect("variable")
    assert variables.keys() == {name for name in listed if name in variables}
    for name, variable in variables.items():
        default = variable.get("default")
        if "default" not in variable:
            assert "required" == listed[name]
        elif isinstance(default, str | bool | int):
            assert f"`{json.dumps(default).strip(chr(34))}`" == listed[name]
    example = re.search(r"```hcl\n(.+?)```", README, re.DOTALL)
    assert example is not None
    (module,) = _parse(re.sub(r"^   ", "", example[1], flags=re.MULTILINE))["module"]
    required = {name for name, variable in variables.items() if "default" not in variable}
    assert required == module["harness"].keys() - {"source"}
    assert {"harness_toml", "roots"} == _collect("output").keys()
