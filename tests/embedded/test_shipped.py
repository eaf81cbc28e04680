"""The shipped scenarios, run unchanged by the job on the shared session."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.results import Result, Verdict
from harness.scenario.model import Scenario
from harness.studies.proving.local_proof import LocalProof
from harness.studies.proving.matrix import Control
from harness.studies.proving.selection import choose_faults, find_victim
from tests.embedded.runner import SCENARIOS, list_failed_bounds, load, run_shipped

pytestmark = pytest.mark.spark

# The command itself runs three_versions, in test_three_versions.
SHIPPED = sorted(file.stem for file in SCENARIOS.glob("*.yaml") if file.stem != "three_versions")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_passes(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """Every shipped scenario passes; the bounds in its 'caught_by' fail, and no others.

    A scenario whose bounds must fail publishes no bundle.
    """
    scenario = load(name)
    result = run_shipped(spark, name, tmp_path)
    assert (None, Verdict.PASS) == (result.failure, result.verdict)
    assert set(scenario.caught_by) == list_failed_bounds(result)
    published = [version.bundle for version in result.versions if version.bundle]
    assert bool(published) == (scenario.publish.when == "pass" and not scenario.caught_by)
    assert not list_missed_faults(scenario, result)


def list_missed_faults(scenario: Scenario, result: Result) -> list[str]:
    """Return the required faults that no bound catches; without a model, which takes seconds."""
    if not scenario.prove.require:
        return []
    version = scenario.trained[-1]
    proof = LocalProof.open(scenario, result, version, {})
    control = Control.of(proof.judge_clean())
    chosen = choose_faults(scenario, find_victim(scenario, result.versions[-1]), scenario.prove.require, None)
    rows = [proof.inject(each, control, scenario.seed, finds_dose=False) for each in chosen]
    return [row.fault for row in rows if not row.is_caught]
