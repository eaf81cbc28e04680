"""Formats of results: stored results of format 1 still load, and newer formats are reported."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.authoring.scenario_list import list_scenarios
from harness.bounds.baselines import read_baselines
from harness.bounds.judge import judge, judge_versions
from harness.bounds.specs import list_bound_specs
from harness.cli import app
from harness.errors import ExitCode, PrerequisiteError, ScenarioError
from harness.files import write_text
from harness.parity.compare import compare
from harness.plan import Plan
from harness.report.comparison_page import ComparedRun, render_comparison
from harness.report.markdown import render_markdown
from harness.result_digest import DigestError, compute_digest, require_digest
from harness.result_formats import CURRENT, UnknownFormatError, upgrade
from harness.results import Result, Verdict
from harness.runs import PLAN, RESULT, find_run, read_result
from harness.scenario.bound_spec import BoundSpec
from harness.scenario.model import Scenario
from harness.studies.bisection.bisect_runs import find_first_failed_bound
from harness.studies.bisection.search import Inquiry
from harness.studies.calibration.bound_offers import calibrate_bounds
from harness.studies.study_runs import find_newest_result
from tests.unit import bounds_samples, report_samples

SAMPLES = Path(__file__).parent / "samples"
FIRST = (SAMPLES / "format_1" / "short_result.json").read_text(encoding="utf-8")
"""The result of a run of the shipped scenario."""
SECOND = (SAMPLES / "format_2" / "short_result.json").read_text(encoding="utf-8")
EVERY_BOUND = (SAMPLES / "format_1" / "bounds.json").read_text(encoding="utf-8")
"""A result with a bound of each kind on each quantity."""
RUN = "20261129-084527-three_versions-2357"


@pytest.fixture(name="runs")
def _runs(tmp_path: Path) -> Path:
    """Return a folder of runs with one of format 1."""
    write_text(tmp_path / "runs" / RUN / RESULT, FIRST)
    return tmp_path / "runs"


def _as_written(text: str) -> Any:
    """Return the bounds of each version as format 1 has them."""
    return [version["bounds"] for version in json.loads(text)["versions"]]


@pytest.mark.parametrize("text", [FIRST, EVERY_BOUND], ids=["shipped scenario", "every bound"])
def test_an_older_result_keeps_the_keys_of_its_bounds(text: str) -> None:
    """The bounds of an upgraded result have the same values at the same keys as before."""
    upgraded = json.loads(Result.from_json(text).model_dump_json(by_alias=True))
    assert CURRENT == upgraded["format_version"]
    bounds = [
        [{key: bound[key] for key in bound if key != "spec"} for bound in version["bounds"]]
        for version in upgraded["versions"]
    ]
    assert _as_written(text) == bounds


def test_a_current_result_is_read_as_it_was_written() -> None:
    """A result of the current format is read unchanged, also after an upgrade."""
    result = report_samples.result()
    assert result == Result.from_json(result.model_dump_json(by_alias=True))
    assert Result.from_json(FIRST) == Result.from_json(Result.from_json(FIRST).model_dump_json(by_alias=True))


def test_every_supported_format_has_a_sample() -> None:
    """Each earlier format of results has a sample in the tests."""
    expected = [f"format_{number}" for number in range(1, CURRENT)]
    assert expected == sorted(path.parent.name for path in SAMPLES.glob("*/short_result.json"))


def test_a_result_of_format_2_is_read() -> None:
    """A result of format 2 is read as it is, and has neither inputs nor a digest."""
    result = Result.from_json(SECOND)
    assert (CURRENT, None) == (result.format_version, result.inputs)
    assert [each["metrics"] for each in json.loads(SECOND)["versions"]] == [
        each.metrics for each in result.versions
    ]
    with pytest.raises(DigestError, match="has a result of format 2, which has no digest"):
        require_digest(json.loads(SECOND))


def test_a_digest_belongs_to_the_file_only() -> None:
    """The file of a result has a digest of its other values, and is read as the same result."""
    result = report_samples.result(inputs=report_samples.plan().inputs)
    values = json.loads(result.to_json())
    assert result == Result.from_json(result.to_json())
    assert values["digest"] == require_digest(values) == compute_digest(values)


def _without_location(spec: BoundSpec) -> dict[str, Any]:
    return spec.model_dump(exclude={"location": True, "columns": True, "reference": {"is_positional"}})


def test_an_older_bound_is_upgraded_to_its_spec() -> None:
    """The specs of an upgraded result equal those of its scenario."""
    scenario = bounds_samples.scenario(
        [{"name": "one"}, {"name": "two", "expect": EXPECT}], verdict="fail", caught_by=["two.rows.max"]
    )
    result = Result.from_json(EVERY_BOUND)
    today = [_without_location(spec) for spec in list_bound_specs(scenario)]
    older = [_without_location(bound.spec) for bound in result.versions[1].bounds]
    for spec in today:  # Format 1 doesn't have these.
        spec["quantity"]["on_added"] = False
        if spec["metric"] == "schema":
            spec["quantity"]["name"] = ""
    assert today == older


EXPECT: dict[str, Any] = {
    "rows": {"min": 90, "max": 110},
    "null_keys": 0,
    "duplicate_keys": 0,
    "nulls": {"a (b)": {"max": 0.1}},
    "protocol": {"reader": 1, "writer": {"max": 7}},
    "metrics": {
        "test_roc_auc": [
            {"min": 0.6, "change": {"since": "previous", "relative": True, "min": -0.1, "max": 0.5}},
            {"min": 0.5, "on": "added"},
        ],
        "test_f1": {
            "equals": 0.5,
            "tolerance": 0.01,
            "baseline": {"from": "good runs/best of all.json", "max": 0.1},
        },
    },
    "coefficients": {"dti": {"max": 1}},
    "schema": {"exact": {"id": "int"}, "at_least": {"id": "int"}},
    "operation": "WRITE",
    "same_data_as": "one",
    "explanations": {
        "top_k": {"k": 1, "min": 1},
        "sign_agreement": {"min": 0.5},
        "rank_correlation": {"min": 0},
        "weight": {"dti": {"min": -1}},
        "share": {"amount": {"max": 0.9}},
    },
}


def test_bounds_are_judged_as_in_format_1() -> None:
    """Versions of an older result get the same verdicts, distances and reasons as when it was written."""
    scenario = bounds_samples.scenario(
        [{"name": "one"}, {"name": "two", "expect": EXPECT}], verdict="fail", caught_by=["two.rows.max"]
    )
    versions = Result.from_json(EVERY_BOUND).versions
    baselines = {
        "good runs/best of all.json": {"two": {"test_f1": 0.45, "test_positives": 50.0, "test_rows": 200.0}}
    }
    judged = judge(list_bound_specs(scenario), versions, baselines)
    bounds = [json.loads(bound.model_dump_json(exclude={"spec"})) for bound in judged]
    assert _as_written(EVERY_BOUND)[1] == bounds
    assert {Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN} == {bound.verdict for bound in judged}


def test_an_older_run_is_listed(runs: Path, tmp_path: Path) -> None:
    """'harness list' shows the verdict of an older run."""
    shipped = Path("scenarios/three_versions.yaml").read_text(encoding="utf-8")
    write_text(tmp_path / "scenarios" / "three_versions.yaml", shipped)
    [listed] = list_scenarios(tmp_path / "scenarios", runs)
    assert "pass" == listed.newest


def test_an_older_run_is_compared(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """'harness compare' compares an older run with a newer one, and its page shows both."""
    monkeypatch.setenv("HARNESS_HOME", str(runs.parent))
    newer = Result.from_json(FIRST).model_copy(update={"run_id": "20261130-084527-three_versions-2358"})
    write_text(runs / newer.run_id / RESULT, newer.model_dump_json(by_alias=True))
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["compare", RUN, newer.run_id, "--html", str(page)])
    assert (ExitCode.PASS, True) == (done.exit_code, page.exists()), done.output


def test_an_older_run_is_shown_in_reports(runs: Path) -> None:
    """Reports and comparison pages show the bounds of an older run."""
    result = find_run(runs, RUN).read_result()
    text = render_markdown(report_samples.plan(), result)
    assert "0.0273" in text
    parity = compare(result, result)
    assert "change" in render_comparison(ComparedRun(result, None), ComparedRun(result, None), parity)


def test_an_older_run_can_not_be_a_baseline(runs: Path, tmp_path: Path) -> None:
    """Bounds can't compare with an older run, whose result has no digest; the message says so."""
    bound = {"baseline": {"from": RUN, "min": -0.1}}
    scenario = bounds_samples.scenario(
        [{"name": "march", "expect": {"metrics": {"cv_roc_auc": bound}, "nulls": {"dti": bound}}}]
    )
    with pytest.raises(ScenarioError, match=f"the run {RUN} has a result of format 1, which has no digest"):
        read_baselines(scenario, tmp_path, runs)


def _store_plan(runs: Path, scenario: Scenario) -> Plan:
    plan = report_samples.plan(run_id=RUN, scenario=scenario)
    write_text(runs / RUN / PLAN, plan.model_dump_json(by_alias=True))
    return plan


def test_an_older_run_counts_as_a_repeat(runs: Path) -> None:
    """Its values are calibrated like those of a new run."""
    scenario = report_samples.scenario()
    _store_plan(runs, scenario)
    stored = find_newest_result(runs, "three_versions")
    assert stored is not None
    offers = calibrate_bounds(scenario, [stored] * 3, 0.01)
    assert len(offers) == len(list_bound_specs(scenario))


def test_an_older_run_can_be_bisected(runs: Path) -> None:
    """'harness bisect' starts from the first bound that failed in an older run."""
    scenario = report_samples.scenario()
    _store_plan(runs, scenario)
    stored = find_newest_result(runs, "three_versions")
    assert stored is not None
    bounds = stored.versions[2].bounds
    failed = bounds[2].model_copy(update={"verdict": Verdict.FAIL})
    versions = (*stored.versions[:2], stored.versions[2].model_copy(update={"bounds": (failed,)}))
    question = find_first_failed_bound(
        stored.model_copy(update={"versions": versions}), Inquiry.from_scenario(scenario)
    )
    assert f"{failed.metric}.{failed.kind}" == str(question)


def test_judging_an_older_result_again_records_where_its_bounds_are_set() -> None:
    """Judging an older result again gives each of its bounds a location in the scenario file."""
    result = Result.from_json(FIRST)
    judged = judge_versions(report_samples.scenario(), result.versions)
    assert all(bound.spec.location.path for version in judged for bound in version.bounds)


@pytest.mark.parametrize("version", [CURRENT + 1, 0, "2", None, 1.5])
def test_a_result_of_an_unknown_format_is_an_error_with_a_remedy(version: object, tmp_path: Path) -> None:
    """A result of an unknown format is an error that names the file, the format and a remedy."""
    values = {**json.loads(FIRST), "format_version": version}
    with pytest.raises(UnknownFormatError, match=f"the result has format {version}, and this version"):
        upgrade(values)
    write_text(tmp_path / RUN / RESULT, json.dumps(values))
    with pytest.raises(PrerequisiteError) as raised:
        read_result(tmp_path, RUN)
    assert f"{tmp_path / RUN / RESULT}: the result has format {version}" in raised.value.message
    assert "Install that version of the harness, or a newer one." == raised.value.remedy


def test_a_baseline_of_a_newer_format_is_reported(tmp_path: Path, runs: Path) -> None:
    """A baseline of a newer format is reported with its file and a remedy."""
    newer = {**json.loads(FIRST), "format_version": CURRENT + 1}
    write_text(runs / RUN / RESULT, json.dumps(newer))
    bound = {"baseline": {"from": RUN, "min": 0}}
    scenario = bounds_samples.scenario([{"name": "march", "expect": {"rows": bound}}])
    with pytest.raises(ScenarioError) as raised:
        read_baselines(scenario, tmp_path, runs)
    [problem] = raised.value.problems
    assert f"can't read the run {RUN}" in problem.message
    assert "Install that version" in problem.message


@pytest.mark.parametrize(
    "text", ["[]", "1", '{"versions": 1}', '{"versions": [{"bounds": [{}], "name": "one"}]}', "{}", "{"]
)
def test_a_file_without_a_result_is_a_value_error(text: str) -> None:
    """A file that is not a result leads to a ValueError and to no other exception."""
    with pytest.raises(ValueError, match=r".") as raised:
        Result.from_json(text)
    assert not isinstance(raised.value, UnknownFormatError)
