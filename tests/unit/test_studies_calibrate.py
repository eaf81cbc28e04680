"""Calibration: bounds from repeated runs, up to the proposed YAML."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from harness.errors import UsageError
from harness.loading import rules
from harness.loading.baseline_lookup import look_up_baselines
from harness.request import RunRequest
from harness.results import Result
from harness.scenario.model import Scenario
from harness.studies.calibration.bound_offers import (
    CalibratedBound,
    Calibration,
    calibrate_bounds,
    count_passing,
)
from harness.studies.calibration.calibrate_runs import (
    calibrate,
    collect_expectations,
    render_proposal,
    set_seed,
)
from harness.studies.calibration.statistics import Limits, Sample, compute_false_alarm_rate, propose_limits
from harness.studies.study_tables import show_calibration
from tests.unit import report_samples
from tests.unit.studies_samples import loaded, measured, result, scenario, with_versions

AUCS = (0.71, 0.69, 0.72, 0.70, 0.68)


def _runs(*aucs: float | None) -> list[Result]:
    """Return runs of two versions; the first version's ROC AUC is always 0.8."""
    return [result(measured("v0", test_roc_auc=0.8), measured("v1", test_roc_auc=auc)) for auc in aucs]


def _calibrate(expected: dict[str, Any], *aucs: float | None, **how: Any) -> tuple[CalibratedBound, ...]:
    return calibrate_bounds(with_versions(2, **expected), _runs(*aucs), 0.01, **how)


def _calibration(bounds: tuple[CalibratedBound, ...], **changes: Any) -> Calibration:
    return Calibration(
        scenario="readings",
        seeds=(3, 4, 5, 6, 7),
        run_ids=("a", "b", "c", "d", "e"),
        taken=2,
        false_alarms=0.01,
        passed=4,
        bounds=bounds,
        **changes,
    )


def test_an_existing_bound_gets_a_proposal() -> None:
    """An existing bound and its proposal have false alarm rates from the same sample."""
    (calibrated,) = _calibrate({"metrics": {"test_roc_auc": {"min": 0.65}}}, *AUCS)
    sample = Sample.from_values(AUCS)
    assert (0.65, propose_limits(sample, "min", 0.01).low) == (
        calibrated.now and calibrated.now.value,
        calibrated.proposed and calibrated.proposed.value,
    )
    assert calibrated.now is not None
    assert compute_false_alarm_rate(sample, Limits(low=0.65)) == calibrated.now.false_alarms


def test_a_change_is_calibrated_by_the_spread_of_changes() -> None:
    """A bound on a change is calibrated with the changes of the metric, not with its values."""
    bound = {"change": {"since": "v0", "min": -0.2}}
    (calibrated,) = _calibrate({"metrics": {"test_roc_auc": bound}}, *AUCS)
    assert ("change_min", "v0") == (calibrated.kind, calibrated.since)
    assert pytest.approx(-0.1) == calibrated.mean


def test_a_missing_value_is_left_out() -> None:
    """A run without a value of the metric does not count for its mean."""
    (calibrated,) = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6}}}, None, *AUCS[1:])
    assert 4 == len(calibrated.values)
    assert pytest.approx(0.6975) == calibrated.mean


def test_too_few_values_lead_to_no_proposal() -> None:
    """A bound with two values of five gets neither a proposal nor a false alarm rate."""
    (calibrated,) = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6}}}, None, None, None, 0.7, 0.8)
    assert (None, None) == (calibrated.proposed, calibrated.mean)
    assert calibrated.now is not None
    assert (0.6, None) == (calibrated.now.value, calibrated.now.false_alarms)


def test_a_number_that_never_varies_keeps_its_bound() -> None:
    """A number that is the same for every seed gets no proposal."""
    (calibrated,) = _calibrate({"rows": {"equals": 300}}, *AUCS)
    assert (0.0, None) == (calibrated.sd, calibrated.proposed)


def test_an_exact_value_is_proposed_with_its_tolerance() -> None:
    """A bound of the form ``equals`` is proposed as the mean with half the width of both limits."""
    (calibrated,) = _calibrate({"metrics": {"test_roc_auc": {"equals": 0.7, "tolerance": 0.01}}}, *AUCS)
    assert calibrated.proposed is not None
    assert pytest.approx(0.7, abs=1e-3) == calibrated.proposed.value
    assert pytest.approx(0.0798, abs=2e-3) == calibrated.proposed.tolerance


def test_no_bound_is_proposed_outside_the_range_of_a_metric() -> None:
    """A limit that no value of the metric can violate is not proposed."""
    for bound, aucs in (({"max": 1.0}, (0.9, 0.95, 0.99)), ({"min": 0.0}, (0.1, 0.3, 0.5))):
        (calibrated,) = _calibrate({"metrics": {"test_roc_auc": bound}}, *aucs)
        assert calibrated.proposed is None


def test_a_bound_that_must_fail_gets_no_proposal() -> None:
    """For a bound that must fail, the rate is the chance that it does fail."""
    expected = {"metrics": {"test_roc_auc": {"min": 0.9}}}
    failing = with_versions(2, **expected).model_copy(update={"caught_by": ("v1.test_roc_auc",)})
    (calibrated,) = calibrate_bounds(failing, _runs(*AUCS), 0.01)
    assert "must fail" in _render(_calibration((calibrated,)))
    assert (True, None) == (calibrated.must_fail, calibrated.proposed)
    assert calibrated.now is not None
    assert (calibrated.now.false_alarms or 0) > 0.99


def test_every_quality_metric_can_be_calibrated() -> None:
    """With ``every_metric``, quality metrics without a bound are calibrated too, and so are their changes."""
    expected = {"metrics": {"test_roc_auc": {"min": 0.65}}}
    calibrated = _calibrate(expected, *AUCS, every_metric=True)
    assert [
        ("v0", "min", False),
        ("v1", "min", True),
        ("v1", "change_min", False),
    ] == [(each.version, each.kind, each.now is not None) for each in calibrated]


def test_a_baseline_may_have_another_seed_than_a_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeat differs in its seed from the run that bounds compare with, which doesn't refuse it."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    inputs = report_samples.plan(scenario=scenario()).inputs
    good = report_samples.result(scenario="readings", inputs=inputs)
    (tmp_path / "good.json").write_text(good.to_json(), encoding="utf-8")
    bound = {"baseline": {"from": "good.json", "version": "march", "min": -0.1}}
    bounded = loaded(
        tmp_path, [{"name": "one", "expect": {"metrics": {"test_f1": bound, "test_roc_auc": {"min": 0.1}}}}]
    )
    found = look_up_baselines(set_seed(bounded, 5), tmp_path)
    assert ("its seed is 3, not 5",) == found.runs["good.json"].differences


def test_a_loss_is_bounded_from_above() -> None:
    """The proposed bound on a loss is a maximum."""
    runs = [result(measured("one", test_log_loss=loss)) for loss in (0.3, 0.31, 0.32)]
    (calibrated,) = calibrate_bounds(scenario(), runs, 0.01, every_metric=True)
    assert calibrated.proposed is not None
    assert ("max", True) == (calibrated.kind, calibrated.proposed.value > 0.32)


def test_runs_that_pass_are_counted() -> None:
    """Runs that meet the current bounds are counted."""
    assert 4 == count_passing(with_versions(2, metrics={"test_roc_auc": {"min": 0.69}}), _runs(*AUCS))


EXPECTED: dict[str, Any] = {
    "metrics": {
        "test_roc_auc": {"min": 0.5, "max": 0.9, "change": {"since": "v0", "min": -0.3, "max": 0.1}},
        "added_test_roc_auc": {"equals": 0.7},
        "cv_roc_auc": [
            {"change": {"since": "v0", "relative": True, "min": -0.3}},
            {"change": {"since": "v0", "min": -0.3}},
        ],
        "test_log_loss": {"baseline": {"from": "data/good.json", "version": "v1", "max": 0.1}},
    },
    "explanations": {
        "weight": {"heat": {"min": 0.0}},
        "share": {"heat": {"max": 1.0}},
        "sign_agreement": {"min": 0.5},
        "top_k": {"k": 1, "since": "v0", "min": 1},
    },
}


def _calibrate_expected() -> tuple[Scenario, tuple[CalibratedBound, ...]]:
    bounded = with_versions(2, **EXPECTED)
    runs = [
        result(
            measured("v0", test_roc_auc=0.8, cv_roc_auc=0.8, test_log_loss=0.5),
            measured(
                "v1",
                heat=auc - 0.6,
                test_roc_auc=auc,
                added_test_roc_auc=auc,
                cv_roc_auc=auc,
                test_log_loss=auc,
            ),
        )
        for auc in AUCS
    ]
    baselines = {"data/good.json": {"v1": {"test_log_loss": 0.6}}}
    return bounded, calibrate_bounds(bounded, runs, 0.01, baselines)


def test_proposed_bounds_can_be_pasted() -> None:
    """The proposed expectations are valid, and bound the same numbers on the same sides."""
    bounded, calibrated = _calibrate_expected()
    expect = collect_expectations(each for each in calibrated if each.version == "v1")
    pasted = with_versions(2, **expect)
    assert [] == list(rules.check_rules(pasted))
    proposed_bounds = {(each.metric, each.kind, each.since) for each in calibrated if each.proposed}
    runs = [result(measured("v0"), measured("v1"))]
    assert proposed_bounds == {
        (each.metric, each.kind, each.since) for each in calibrate_bounds(pasted, runs, 0.01)
    }
    assert {"weight(heat)", "share(heat)"} <= {each.metric for each in calibrated if each.proposed}
    assert bounded.versions[1].expect.explanations is not None


def test_the_parts_of_a_bound_are_combined() -> None:
    """Parts of a bound become one mapping; a second change since the same version becomes a list."""
    _, calibrated = _calibrate_expected()
    metrics = collect_expectations(calibrated)["metrics"]
    (whole,) = metrics["test_roc_auc"]
    assert ({"min", "max", "change"}, {"since", "min", "max"}) == (set(whole), set(whole["change"]))
    assert [True, None] == [each["change"].get("relative") for each in metrics["cv_roc_auc"]]


def test_a_bound_on_added_rows_is_proposed_where_the_file_sets_it() -> None:
    """A bound on added rows stays under its metric with ``on: added``."""
    both = {"test_roc_auc": [{"min": 0.5}, {"on": "added", "min": 0.4}]}
    runs = [
        result(measured("v0"), measured("v1", test_roc_auc=auc, added_test_roc_auc=auc - 0.1)) for auc in AUCS
    ]
    calibrated = calibrate_bounds(with_versions(2, metrics=both), runs, 0.01)
    proposed = collect_expectations(calibrated)["metrics"]["test_roc_auc"]
    assert [None, "added"] == [each.get("on") for each in proposed]
    pasted = with_versions(2, metrics={"test_roc_auc": proposed})
    assert [] == list(rules.check_rules(pasted))
    assert [each.metric for each in calibrated] == [
        each.metric for each in calibrate_bounds(pasted, runs, 0.01)
    ]


def test_a_bound_of_every_version_is_proposed_for_each() -> None:
    """A bound under ``every`` is proposed for each version, with a named version for ``previous``."""
    every = {"metrics": {"test_roc_auc": {"change": {"since": "previous", "min": -0.5}}}}
    calibrated = calibrate_bounds(scenario([{"name": "v0"}, {"name": "v1"}], every=every), _runs(*AUCS), 0.01)
    [bound] = collect_expectations(calibrated)["metrics"]["test_roc_auc"]
    assert ("v0", {"since", "min"}) == (bound["change"]["since"], set(bound["change"]))


def test_bounds_on_agreement_are_proposed_with_their_keys() -> None:
    """A bound on the top features is proposed with its number of features and its reference."""
    bounded = with_versions(2, explanations={"top_k": {"k": 2, "since": "v0", "min": 0.1}})
    (calibrated,) = calibrate_bounds(bounded, _runs(*AUCS), 0.01)
    varied = calibrated.model_copy(update={"proposed": calibrated.now})
    assert {"explanations": {"top_k": {"k": 2, "since": "v0", "min": 0.1}}} == collect_expectations([varied])


def test_the_snippet_has_a_comment_about_its_runs() -> None:
    """The snippet is YAML by version, with a comment about the runs and the false alarm rate."""
    calibrated = _calibrate({"metrics": {"test_roc_auc": {"min": 0.65}}}, *AUCS)
    text = render_proposal(_calibration(calibrated))
    assert "# harness calibrate: 5 runs, seeds 3 to 7; each bound fails by chance in at most 1 %." in text
    expected = {"versions": [{"name": "v1", "expect": {"metrics": {"test_roc_auc": {"min": 0.635}}}}]}
    assert expected == YAML(typ="safe").load(text)


def test_the_snippet_is_empty_without_proposals() -> None:
    """Without a proposal there is no YAML, not even an empty list."""
    assert not render_proposal(_calibration(_calibrate({"rows": 300}, *AUCS)))


def test_false_alarms_add_up() -> None:
    """The joint rate is the sum over the proposed bounds, and at most 1."""
    calibrated = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6, "max": 0.8}}}, *AUCS)
    alone = sum(each.proposed.false_alarms or 0 for each in calibrated if each.proposed)
    assert alone == pytest.approx(_calibration(calibrated).together)
    assert 1.0 == _calibration(calibrated * 100).together


def _render(calibration: Calibration) -> str:
    out = io.StringIO()
    show_calibration(Console(file=out, width=120), calibration, render_proposal(calibration))
    return out.getvalue()


def test_the_output_shows_bounds_rates_and_the_assumption() -> None:
    """The output has each bound and proposal with its rate, and the assumption."""
    output = _render(_calibration(_calibrate({"metrics": {"test_roc_auc": {"min": 0.65}}}, *AUCS)))
    for text in (">= 0.65", ">= 0.635", "2.2 %", "0.99 %", "4 of 5 runs meet", "normally distributed"):
        assert text in output, output


def test_the_output_explains_missing_proposals() -> None:
    """The output explains a value without spread, and a bound with too few values."""
    assert "the same in every run" in _render(_calibration(_calibrate({"rows": 300}, *AUCS)))
    few = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6}}}, None, None, 0.7)
    assert "too few runs" in _render(_calibration(few))


def test_a_seed_is_a_parameter_and_publishes_nothing(tmp_path: Path) -> None:
    """A run with another seed has it as a parameter, and publishes nothing."""
    one = set_seed(loaded(tmp_path, publish={"when": "always"}), 5)
    assert (5, "never", {"seed": "5"}) == (one.scenario.seed, one.scenario.publish.when, one.parameters)


@pytest.mark.parametrize("repeats", [-1, 0, 2, 1001])
def test_an_invalid_number_of_runs_is_refused(repeats: int) -> None:
    """Fewer than 3 or more than 1000 repeats are refused before anything is loaded."""
    with pytest.raises(UsageError, match=f"--repeats is {repeats}: use 3 to 1000 runs"):
        calibrate(RunRequest("nothing"), Console(quiet=True), repeats=repeats)


@pytest.mark.parametrize("rate", [0.0, 0.5, -1.0, float("nan")])
def test_an_invalid_false_alarm_rate_is_refused(rate: float) -> None:
    """A false alarm rate must be above 0 and below 0.5."""
    with pytest.raises(UsageError, match="use a rate between 0 and"):
        calibrate(RunRequest("nothing"), Console(quiet=True), repeats=5, false_alarms=rate)


def test_an_output_file_is_checked_before_the_runs(tmp_path: Path) -> None:
    """An output file in a missing folder is refused before the runs, not after them."""
    with pytest.raises(UsageError, match="not a file in an existing folder"):
        calibrate(RunRequest("nothing"), Console(quiet=True), repeats=5, out=tmp_path / "no" / "file.json")
