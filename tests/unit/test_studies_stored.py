"""The newest result of a scenario, which studies begin with."""

from pathlib import Path
from typing import Any

from harness.authoring.scenario_list import _read_newest_verdicts
from harness.files import write_text
from harness.plan import Environment, Plan, SourceData
from harness.results import Result
from harness.runs import BISECTION_PARAMETER, PLAN, RESULT
from harness.studies.study_runs import find_newest_result
from tests.unit.studies_samples import measured, result, scenario

DATA = SourceData(uri="file:///data/readings.csv", format="csv", sha256="d" * 64)


def _plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "run_id": "20260301-101500-readings-7f3a",
        "harness_version": "0.1.0+c1",
        "scenario": scenario(),
        "scenario_file": "scenarios/readings.yaml",
        "scenario_sha256": "0" * 64,
        "environment": Environment(
            target="embedded",
            lake="/lake",
            model_store="/models",
            tracking_uri="sqlite://",
            experiment="harness",
        ),
        "sources": {"readings.csv": DATA},
    }
    return Plan(**{**values, **changes})


def _store(runs: Path, plan: Plan, made: Result | None = None) -> None:
    folder = runs / plan.run_id
    write_text(folder / PLAN, plan.model_dump_json(by_alias=True))
    if made is not None:
        write_text(folder / RESULT, made.model_copy(update={"run_id": plan.run_id}).to_json())


def test_the_newest_result_is_of_the_scenario_itself(tmp_path: Path) -> None:
    """Neither a scenario with a longer name nor a broken run gives the newest result."""
    _store(tmp_path, _plan(), result(measured("one")))
    other = result(measured("one")).model_copy(update={"scenario": "more-readings-of"})
    _store(tmp_path, _plan(run_id="20260301-101509-more-readings-of-7f3a"), other)
    newest = find_newest_result(tmp_path, "readings")
    assert newest is not None
    assert "20260301-101500-readings-7f3a" == newest.run_id
    assert find_newest_result(tmp_path, "nothing") is None


def test_a_probe_is_not_a_run_of_the_scenario(tmp_path: Path) -> None:
    """A probe has none of the scenario's bounds, so the run before it is the newest."""
    _store(tmp_path, _plan(), result(measured("one")))
    probed = _plan(run_id="20260301-101509-readings-7f3a", parameters={BISECTION_PARAMETER: "one"})
    _store(tmp_path, probed, result(measured("one")))
    newest = find_newest_result(tmp_path, "readings")
    assert newest is not None
    assert "20260301-101500-readings-7f3a" == newest.run_id
    assert ["readings"] == list(_read_newest_verdicts(tmp_path))
