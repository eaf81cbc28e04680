"""The newest result of a scenario, which studies begin with."""

from pathlib import Path

from harness.authoring.scenario_list import _read_newest_verdicts
from harness.runs import BISECTION_PARAMETER
from harness.studies.study_runs import find_newest_result
from tests.unit.studies_samples import make_plan, measured, result, store_run


def test_the_newest_result_is_of_the_scenario_itself(tmp_path: Path) -> None:
    """Neither a scenario with a longer name nor a broken run gives the newest result."""
    store_run(tmp_path, make_plan(), result(measured("one")))
    other = result(measured("one")).model_copy(update={"scenario": "more-readings-of"})
    store_run(tmp_path, make_plan(run_id="20260301-101509-more-readings-of-7f3a"), other)
    newest = find_newest_result(tmp_path, "readings")
    assert newest is not None
    assert "20260301-101500-readings-7f3a" == newest.run_id
    assert find_newest_result(tmp_path, "nothing") is None


def test_a_probe_is_not_a_run_of_the_scenario(tmp_path: Path) -> None:
    """A probe has none of the scenario's bounds, so the run before it is the newest."""
    store_run(tmp_path, make_plan(), result(measured("one")))
    probed = make_plan(run_id="20260301-101509-readings-7f3a", parameters={BISECTION_PARAMETER: "one"})
    store_run(tmp_path, probed, result(measured("one")))
    newest = find_newest_result(tmp_path, "readings")
    assert newest is not None
    assert "20260301-101500-readings-7f3a" == newest.run_id
    assert ["readings"] == list(_read_newest_verdicts(tmp_path))
