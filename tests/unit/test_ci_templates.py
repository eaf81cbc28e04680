"""The CI templates in docs/ci: what they call exists, and their actions and logins outlast a long run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.settings import list_settings

ROOT = Path(__file__).parents[2]
CI = ROOT / "docs" / "ci"
GITHUB, AZURE = CI / "github-actions.yml", CI / "azure-pipelines.yml"
# Their first versions whose action.yml says 'using: node24'.
NODE_24 = {"checkout": 5, "setup-python": 6, "cache": 5, "upload-artifact": 6}


def _read(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


def _find_all(value: Any, key: str) -> Iterator[Any]:
    """Yield every mapping that has a key, at whatever depth."""
    if isinstance(value, dict):
        if key in value:
            yield value
        for each in value.values():
            yield from _find_all(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _find_all(each, key)


def _jobs() -> list[Any]:
    return [job for job in _find_all(_read(AZURE), "steps") if "job" in job]


def test_actions_are_pinned_and_run_on_node_24() -> None:
    """Each action of the template is GitHub's own, pinned to one version that runs on Node 24."""
    used = {step["uses"] for step in _find_all(_read(GITHUB), "uses")}
    found = [re.fullmatch(r"actions/([\w-]+)@v(\d+)\.\d+\.\d+", each) for each in used]
    versions = {each[1]: int(each[2]) for each in found if each is not None}
    assert len(used) == len(versions)
    assert NODE_24.keys() == versions.keys()
    assert {} == {name: version for name, version in versions.items() if version < NODE_24[name]}


def test_the_projects_own_workflow_uses_no_action() -> None:
    """The workflow of this repository has no action that could run on an old Node."""
    workflows = [_read(file) for file in (ROOT / ".github" / "workflows").iterdir()]
    assert workflows
    assert [] == [step for workflow in workflows for step in _find_all(workflow, "uses")]


def test_azures_login_is_renewed() -> None:
    """Each task with a login of a service connection renews it."""
    tasks = [task for task in _find_all(_read(AZURE), "task") if task["task"].startswith("AzureCLI@")]
    assert [True] == [task["inputs"].get("keepAzSessionActive") for task in tasks]


def test_packages_and_jars_are_cached() -> None:
    """Every job of both templates caches pip's packages and the jars, by the files that lock them."""
    variables = _read(AZURE)["variables"]
    for job in _jobs():
        inputs = [step["inputs"] for step in job["steps"] if step.get("task") == "Cache@2"]
        assert ["jars", "pip"] == sorted(each["key"].split(" | ")[0] for each in inputs)
        assert {variables["HARNESS_CACHE"], "$(PIP_CACHE_DIR)"} == {each["path"] for each in inputs}
    for job in _read(GITHUB)["jobs"].values():
        steps = {step["uses"].partition("@")[0]: step["with"] for step in job["steps"] if "with" in step}
        assert "pip" == steps["actions/setup-python"]["cache"]
        assert "hashFiles('harness/runtime/jars.lock')" in steps["actions/cache"]["key"]
    for pattern in ("requirements/*.lock", "harness/runtime/jars.lock"):
        assert list(ROOT.glob(pattern))
        assert all(pattern in file.read_text(encoding="utf-8") for file in (GITHUB, AZURE))


@pytest.mark.parametrize("file", [GITHUB, AZURE], ids=["GitHub", "Azure"])
def test_commands_and_settings_exist(file: Path) -> None:
    """Each target of make, each scenario and each variable of the harness in a template exists."""
    text = file.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert {"doctor", "scenario", "validate"} <= targets
    assert [] == [target for target in targets if f"\n{target}:" not in makefile]
    names = set(re.findall(r"NAME=(\w+)", text))
    for entry in _find_all(_read(file), "scenario"):
        names |= {entry["scenario"]} if isinstance(entry["scenario"], str) else set(entry["scenario"])
    assert {"three_versions", "spam"} == names
    assert [] == [name for name in names if not (ROOT / "scenarios" / f"{name}.yaml").is_file()]
    settings = {spec.variable for spec in list_settings()} | {"HARNESS_CACHE"}
    used = set(re.findall(r"(HARNESS_\w+):", text))
    assert used
    assert set() == used - settings
