"""The scenario that 'harness init' writes, run unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.authoring.first_scenario import write_scenario
from harness.loading.loader import load_scenario
from harness.results import Verdict
from tests.embedded.runner import change_scenario, run_job
from tests.unit.wine import write_wines

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("dated", [True, False])
def test_a_first_scenario_passes_unchanged(spark: SparkSession, tmp_path: Path, dated: bool) -> None:
    """The scenario that 'harness init' writes for a table of wines passes without changes."""
    data = write_wines(tmp_path, dated=dated)
    file = write_scenario("wine", data, "quality", (), None, tmp_path / "scenarios")
    fewer = {"pipeline": {"explainer": {"rows": 5}}}
    result = run_job(spark, change_scenario(load_scenario(str(file)).scenario, fewer), data, tmp_path)
    assert (None, Verdict.PASS) == (result.failure, result.verdict)
