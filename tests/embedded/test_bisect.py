"""The command ``harness bisect`` on real runs, with a bad batch among five versions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.results import VersionResult
from harness.scenario.model import Scenario
from harness.studies.bisection.bisect_runs import search
from harness.studies.bisection.search import FirstFailure, Inquiry, Question, make_probe
from tests.embedded.runner import change_scenario, run_job
from tests.embedded.small import SMALL, write_table

pytestmark = pytest.mark.spark

_ENDS = (100, 120, 220, 240, 270)
_BAD = 2
_SWAPPED = "case when outcome = 'good' then 'bad' else 'good' end"


def _five_versions() -> Scenario:
    versions = []
    for number, (start, end) in enumerate(zip((0, *_ENDS), _ENDS, strict=False)):
        swapped = {"set": {"outcome": _SWAPPED}} if number == _BAD else {}
        step = {"where": f"id >= {start} and id < {end}", **swapped}
        versions.append({"name": f"v{number}", "append": step})
    versions[-1]["expect"] = {"metrics": {"test_roc_auc": {"min": 0.65}}}
    return change_scenario(SMALL, {"versions": versions, "publish": {"when": "never"}})


def test_bisect_finds_a_bad_batch(spark: SparkSession, tmp_path: Path) -> None:
    """Bisect finds the bad version with fewer trainings than versions, and with the numbers of a full run."""
    source, scenario = write_table(tmp_path), _five_versions()
    probed: dict[str, VersionResult] = {}

    def measure(name: str, also: Iterable[str]) -> dict[str, VersionResult]:
        result = run_job(spark, make_probe(scenario, {name, *also}), source, tmp_path, run_id=f"probe-{name}")
        assert result.failure is None
        trained = {each.name: each for each in result.versions if each.status == "trained"}
        assert {name, *also} == set(trained)
        probed.update(trained)
        return trained

    searched = search(Inquiry.from_scenario(scenario), Question("test_roc_auc"), measure)
    assert FirstFailure("v1", "v2") == searched.answer
    assert len(probed) < len(_ENDS)
    whole = {each.name: each for each in run_job(spark, scenario, source, tmp_path, "whole").versions}
    lime = {"lime_r2_mean"}  # A probe explains other rows: those of its first trained version.
    for name, version in probed.items():
        assert version.fingerprint == whole[name].fingerprint
        assert version.coefficients == whole[name].coefficients
        different = {each for each in version.metrics if version.metrics[each] != whole[name].metrics[each]}
        assert different <= lime
