"""What only the target decides about a scenario."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ScenarioError
from harness.loading.loader import load_scenario
from harness.plan import Environment
from harness.resolve import resolve_plan
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from harness.tracked_names import UNITY_CATALOG

SCENARIO = Path(__file__).parents[2] / "scenarios" / "three_versions.yaml"


class InCatalog(Embedded):
    """A target whose registry of models is Unity Catalog."""

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return the environment with this registry."""
        return super().environment(source_bytes, store).model_copy(update={"registry_uri": UNITY_CATALOG})


def resolve(folder: Path, target: type[Embedded], **publish: Any) -> str | None:
    """Resolve a shipped scenario that registers a model, and return the model's name."""
    settings = read_settings({"home": str(folder)}, folder=folder, environ={})
    loaded = load_scenario(str(SCENARIO))
    changed = loaded.scenario.publish.model_copy(update=publish)
    scenario = loaded.scenario.model_copy(update={"publish": changed})
    plan = resolve_plan(replace(loaded, scenario=scenario), settings, target(settings))
    return plan.scenario.publish.model


def test_names_in_unity_catalog_have_three_levels(tmp_path: Path) -> None:
    """A name of one level is a mistake if the target's registry is Unity Catalog, and valid elsewhere."""
    with pytest.raises(ScenarioError, match=r"three levels; write CATALOG\.SCHEMA\.loan\."):
        resolve(tmp_path, InCatalog, model="loan")
    assert "main.risk.loan" == resolve(tmp_path, InCatalog, model="main.risk.loan")
    assert "loan" == resolve(tmp_path, Embedded, model="loan")
