"""Which stored runs a study uses, and which it must repeat."""

from pathlib import Path
from typing import Any

import pytest

from harness.authoring.scenario_list import _read_newest_verdicts
from harness.files import write_text
from harness.plan import Environment, Plan, SourceData
from harness.results import Failure, Result
from harness.runs import BISECTION_PARAMETER, PLAN, RESULT
from harness.studies.bisection.bisect_runs import _is_usable
from harness.studies.bisection.search import make_probe
from harness.studies.calibration.calibrate_runs import make_same_inputs_filter
from harness.studies.study_runs import find_newest_result, find_stored_runs, strip_expectations
from tests.unit.studies_samples import measured, result, scenario, with_versions

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


def _found(runs: Path, plan: Plan) -> list[str]:
    return [each.run_id for _, each in find_stored_runs(runs, plan)]


def test_finished_runs_from_the_same_inputs_are_found_newest_first(tmp_path: Path) -> None:
    """Finished runs with the same inputs are found, newest first."""
    for second in (1, 2):
        _store(tmp_path, _plan(run_id=f"20260301-10150{second}-readings-7f3a"), result(measured("one")))
    expected = ["20260301-101502-readings-7f3a", "20260301-101501-readings-7f3a"]
    assert expected == _found(tmp_path, _plan())


@pytest.mark.parametrize(
    "changes",
    [
        {"harness_version": "0.1.0+c2"},
        {"sources": {"readings.csv": DATA.model_copy(update={"sha256": "e" * 64})}},
        {"sources": {"readings.csv": DATA.model_copy(update={"options": {"sep": ";"}})}},
        {"sources": {}},
        {"existing_table": "/lake/other"},
        {"environment": _plan().environment.model_copy(update={"target": "compose"})},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_run_with_other_inputs_is_not_used(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A run with other code, rows, reader options, table or target is not used."""
    _store(tmp_path, _plan(**changes), result(measured("one")))
    assert [] == _found(tmp_path, _plan())


def test_an_unfinished_run_is_not_used(tmp_path: Path) -> None:
    """A run that is still running or broken is not used."""
    _store(tmp_path, _plan())
    assert [] == _found(tmp_path, _plan())
    failure = Failure(kind="JobError", exit_code=5, message="The job broke.")
    _store(tmp_path, _plan(), result(measured("one")).model_copy(update={"failure": failure}))
    assert [] == _found(tmp_path, _plan())


def test_an_edited_result_is_not_used(tmp_path: Path) -> None:
    """Its digest doesn't fit any more."""
    plan = _plan()
    _store(tmp_path, plan, result(measured("one")))
    file = tmp_path / plan.run_id / RESULT
    write_text(file, file.read_text().replace('"rows": 300', '"rows": 301'))
    assert [] == _found(tmp_path, plan)


def test_a_folder_of_files_may_have_changed(tmp_path: Path) -> None:
    """A run that read a folder is repeated, because its files may have changed."""
    plan = _plan(sources={"readings.csv": DATA.model_copy(update={"sha256": None})})
    _store(tmp_path, plan, result(measured("one")))
    assert [] == _found(tmp_path, plan)


@pytest.mark.parametrize(("version", "found"), [(12, 1), ("latest", 0)])
def test_the_latest_version_of_a_table_may_have_changed(tmp_path: Path, version: object, found: int) -> None:
    """A run that read the latest version is repeated; one that read a numbered version is used."""
    read = scenario([{"name": "one", "append": None, "read": {"version": version}}])
    plan = _plan(scenario=read, existing_table="/lake/table", sources={})
    _store(tmp_path, plan, result(measured("one")))
    assert found == len(_found(tmp_path, plan))


def test_bounds_change_no_number() -> None:
    """A run can be used after bounds were changed, such as to proposed ones."""
    bounded = with_versions(2, metrics={"test_roc_auc": {"min": 0.6}}).model_copy(
        update={"verdict": "fail", "caught_by": ("v1.test_roc_auc",), "description": "Readings."}
    )
    assert strip_expectations(with_versions(2)) == strip_expectations(bounded)
    assert make_same_inputs_filter(bounded)(_plan(scenario=with_versions(2)), result())


@pytest.mark.parametrize(
    "changes",
    [{"seed": 4}, {"versions": with_versions(3).versions}, {"pipeline": scenario(seed=1).pipeline.at([])}],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_else_may_change_every_number(changes: dict[str, Any]) -> None:
    """A run with another seed, other versions or another pipeline is not used."""
    base = with_versions(2)
    if "pipeline" in changes:
        changes = {"pipeline": base.pipeline.model_copy(update={"impute": "median"})}
    assert not make_same_inputs_filter(base)(_plan(scenario=base.model_copy(update=changes)), result())


def test_a_whole_run_serves_as_a_probe() -> None:
    """A whole run has trained the version on the same steps, among others."""
    whole = result(*(measured(f"v{number}") for number in range(4)))
    wanted = make_probe(with_versions(4), ["v2"])
    assert _is_usable(_plan(scenario=with_versions(4)), whole, wanted, "v2", ())
    assert not _is_usable(
        _plan(scenario=with_versions(2)), result(measured("v0"), measured("v1")), wanted, "v2", ()
    )
    other = with_versions(4).model_copy(update={"seed": 9})
    assert not _is_usable(_plan(scenario=other), whole, wanted, "v2", ())


def test_an_untrained_version_is_not_used() -> None:
    """A version without a model can't be used."""
    built = measured("v2").model_copy(update={"status": "built"})
    assert not _is_usable(
        _plan(scenario=with_versions(4)), result(built), make_probe(with_versions(4), ["v2"]), "v2", ()
    )


def test_the_explained_rows_must_be_the_same() -> None:
    """Explained rows depend on the first trained version, which must be the same."""
    whole = result(*(measured(f"v{number}") for number in range(4)))
    wanted = make_probe(with_versions(4), ["v0", "v2"])
    assert _is_usable(_plan(scenario=with_versions(4)), whole, wanted, "v2", ("v0",))
    later = make_probe(with_versions(4), ["v1", "v2"])
    assert not _is_usable(_plan(scenario=later), whole, wanted, "v2", ("v0",))


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
