"""Repeated runs and the bounds that they lead to, up to the YAML that is proposed."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from harness.errors import UsageError
from harness.loading import rules
from harness.request import RunRequest
from harness.results import Result
from harness.scenario.model import Scenario
from harness.studies.calibration.bound_offers import (
    CalibratedBound,
    Calibration,
    calibrate_bounds,
    count_passing,
)
from harness.studies.calibration.calibrate_runs import calibrate, with_seed
from harness.studies.calibration.proposal import expectations, snippet
from harness.studies.calibration.statistics import Limits, Sample, false_alarm_rate, propose
from harness.studies.study_tables import show_calibration
from tests.unit.studies_samples import loaded, measured, named, result, scenario

AUCS = (0.71, 0.69, 0.72, 0.70, 0.68)


def _runs(*aucs: float | None) -> list[Result]:
    """Runs of two versions; the first one's ROC AUC is always 0.8."""
    return [result(measured("v0", test_roc_auc=0.8), measured("v1", test_roc_auc=auc)) for auc in aucs]


def _calibrate(expected: dict[str, Any], *aucs: float | None, **how: Any) -> tuple[CalibratedBound, ...]:
    return calibrate_bounds(named(2, **expected), _runs(*aucs), 0.01, **how)


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


def test_a_bound_is_proposed_beside_the_one_that_is_there() -> None:
    """Each with its own rate of false alarms, by the same sample."""
    (found,) = _calibrate({"metrics": {"test_roc_auc": {"min": 0.65}}}, *AUCS)
    sample = Sample.of(AUCS)
    assert (0.65, propose(sample, "min", 0.01).low) == (
        found.now and found.now.value,
        found.proposed and found.proposed.value,
    )
    assert found.now is not None
    assert false_alarm_rate(sample, Limits(low=0.65)) == found.now.false_alarms


def test_a_change_is_calibrated_by_its_own_spread() -> None:
    """Not by that of the metric: the same rows are held out at both versions."""
    bound = {"change": {"since": "v0", "min": -0.2}}
    (found,) = _calibrate({"metrics": {"test_roc_auc": bound}}, *AUCS)
    assert ("change_min", "v0") == (found.kind, found.since)
    assert pytest.approx(-0.1) == found.mean


def test_a_value_that_proves_nothing_is_left_out() -> None:
    """Four of five count; the spread is theirs."""
    (found,) = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6}}}, None, *AUCS[1:])
    assert 4 == len(found.values)
    assert pytest.approx(0.6975) == found.mean


def test_too_few_values_lead_to_no_proposal() -> None:
    """Two of five: the bound stays without rates."""
    (found,) = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6}}}, None, None, None, 0.7, 0.8)
    assert (None, None) == (found.proposed, found.mean)
    assert found.now is not None
    assert (0.6, None) == (found.now.value, found.now.false_alarms)


def test_a_number_that_never_varies_keeps_its_bound() -> None:
    """A count of rows is the same for every seed."""
    (found,) = _calibrate({"rows": {"equals": 300}}, *AUCS)
    assert (0.0, None) == (found.sd, found.proposed)


def test_an_exact_value_is_proposed_with_its_tolerance() -> None:
    """Mean and half the width of both limits."""
    (found,) = _calibrate({"metrics": {"test_roc_auc": {"equals": 0.7, "tolerance": 0.01}}}, *AUCS)
    assert found.proposed is not None
    assert pytest.approx(0.7, abs=1e-3) == found.proposed.value
    assert pytest.approx(0.0798, abs=2e-3) == found.proposed.tolerance


def test_no_bound_is_proposed_beyond_what_a_metric_can_be() -> None:
    """A ROC AUC of at most 1.03 says nothing."""
    for bound, aucs in (({"max": 1.0}, (0.9, 0.95, 0.99)), ({"min": 0.0}, (0.1, 0.3, 0.5))):
        (found,) = _calibrate({"metrics": {"test_roc_auc": bound}}, *aucs)
        assert found.proposed is None


def test_a_bound_that_must_fail_is_left_as_it_is() -> None:
    """Its rate is the chance that it catches what it is there for."""
    expected = {"metrics": {"test_roc_auc": {"min": 0.9}}}
    failing = named(2, **expected).model_copy(update={"caught_by": ("v1.test_roc_auc",)})
    (found,) = calibrate_bounds(failing, _runs(*AUCS), 0.01)
    assert "must fail" in _render(_calibration((found,)))
    assert (True, None) == (found.must_fail, found.proposed)
    assert found.now is not None
    assert (found.now.false_alarms or 0) > 0.99


def test_every_metric_is_looked_at_where_that_is_asked() -> None:
    """Those of quality that were measured, and their changes; a bound that is there stays one."""
    expected = {"metrics": {"test_roc_auc": {"min": 0.65}}}
    found = _calibrate(expected, *AUCS, every_metric=True)
    assert [
        ("v0", "min", False),
        ("v1", "min", True),
        ("v1", "change_min", False),
    ] == [(each.version, each.kind, each.now is not None) for each in found]


def test_a_loss_is_bounded_from_above() -> None:
    """It is better the smaller it is."""
    runs = [result(measured("one", test_log_loss=loss)) for loss in (0.3, 0.31, 0.32)]
    (found,) = calibrate_bounds(scenario(), runs, 0.01, every_metric=True)
    assert found.proposed is not None
    assert ("max", True) == (found.kind, found.proposed.value > 0.32)


def test_runs_that_pass_are_counted() -> None:
    """By the bounds as they are."""
    assert 4 == count_passing(named(2, metrics={"test_roc_auc": {"min": 0.69}}), _runs(*AUCS))


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
    bounded = named(2, **EXPECTED)
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


def test_what_is_proposed_can_be_pasted() -> None:
    """The proposed expectations obey grammar and rules, and bound the same numbers on the same sides."""
    bounded, found = _calibrate_expected()
    expect = expectations(each for each in found if each.version == "v1")
    pasted = named(2, **expect)
    assert [] == list(rules.problems(pasted))
    said = {(each.metric, each.kind, each.since) for each in found if each.proposed}
    runs = [result(measured("v0"), measured("v1"))]
    assert said == {(each.metric, each.kind, each.since) for each in calibrate_bounds(pasted, runs, 0.01)}
    assert {"weight(heat)", "share(heat)"} <= {each.metric for each in found if each.proposed}
    assert bounded.versions[1].expect.explanations is not None


def test_the_parts_of_a_bound_stand_together() -> None:
    """One mapping for one number; a second change since the same version makes a list."""
    _, found = _calibrate_expected()
    metrics = expectations(found)["metrics"]
    (whole,) = metrics["test_roc_auc"]
    assert ({"min", "max", "change"}, {"since", "min", "max"}) == (set(whole), set(whole["change"]))
    assert [True, None] == [each["change"].get("relative") for each in metrics["cv_roc_auc"]]


def test_a_bound_on_added_rows_is_proposed_where_the_file_sets_it() -> None:
    """It stays under its metric with ``on: added``, beside the bound on all rows."""
    both = {"test_roc_auc": [{"min": 0.5}, {"on": "added", "min": 0.4}]}
    runs = [
        result(measured("v0"), measured("v1", test_roc_auc=auc, added_test_roc_auc=auc - 0.1)) for auc in AUCS
    ]
    found = calibrate_bounds(named(2, metrics=both), runs, 0.01)
    proposed = expectations(found)["metrics"]["test_roc_auc"]
    assert [None, "added"] == [each.get("on") for each in proposed]
    pasted = named(2, metrics={"test_roc_auc": proposed})
    assert [] == list(rules.problems(pasted))
    assert [each.metric for each in found] == [each.metric for each in calibrate_bounds(pasted, runs, 0.01)]


def test_a_bound_of_every_version_is_proposed_for_each() -> None:
    """``previous`` is written as the version that it means there."""
    every = {"metrics": {"test_roc_auc": {"change": {"since": "previous", "min": -0.5}}}}
    found = calibrate_bounds(scenario([{"name": "v0"}, {"name": "v1"}], every=every), _runs(*AUCS), 0.01)
    [bound] = expectations(found)["metrics"]["test_roc_auc"]
    assert ("v0", {"since", "min"}) == (bound["change"]["since"], set(bound["change"]))


def test_agreement_with_another_version_is_proposed_in_its_own_words() -> None:
    """Top features, signs and ranks have keys of their own."""
    bounded = named(2, explanations={"top_k": {"k": 2, "since": "v0", "min": 0.1}})
    (found,) = calibrate_bounds(bounded, _runs(*AUCS), 0.01)
    varied = found.model_copy(update={"proposed": found.now})
    assert {"explanations": {"top_k": {"k": 2, "since": "v0", "min": 0.1}}} == expectations([varied])


def test_the_snippet_says_what_it_rests_on() -> None:
    """YAML with a comment; every version under its name."""
    found = _calibrate({"metrics": {"test_roc_auc": {"min": 0.65}}}, *AUCS)
    text = snippet(_calibration(found))
    assert "# harness calibrate: 5 runs, seeds 3 to 7; each bound fails by chance in at most 1 %." in text
    expected = {"versions": [{"name": "v1", "expect": {"metrics": {"test_roc_auc": {"min": 0.635}}}}]}
    assert expected == YAML(typ="safe").load(text)


def test_nothing_to_propose_is_no_snippet() -> None:
    """Not a list of nothing."""
    assert not snippet(_calibration(_calibrate({"rows": 300}, *AUCS)))


def test_false_alarms_add_up() -> None:
    """At most the sum over the proposed bounds, and never more than all runs."""
    found = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6, "max": 0.8}}}, *AUCS)
    alone = sum(each.proposed.false_alarms or 0 for each in found if each.proposed)
    assert alone == pytest.approx(_calibration(found).together)
    assert 1.0 == _calibration(found * 100).together


def _render(calibration: Calibration) -> str:
    out = io.StringIO()
    show_calibration(Console(file=out, width=120), calibration, snippet(calibration))
    return out.getvalue()


def test_the_table_tells_each_bound_and_what_it_rests_on() -> None:
    """Bound and proposal with their rates, and the assumption in words."""
    shown = _render(_calibration(_calibrate({"metrics": {"test_roc_auc": {"min": 0.65}}}, *AUCS)))
    for text in (">= 0.65", ">= 0.635", "2.2 %", "0.99 %", "4 of 5 runs meet", "normally distributed"):
        assert text in shown, shown


def test_the_table_tells_why_nothing_is_proposed() -> None:
    """The same value every time, or too few that prove something."""
    assert "the same in every run" in _render(_calibration(_calibrate({"rows": 300}, *AUCS)))
    few = _calibrate({"metrics": {"test_roc_auc": {"min": 0.6}}}, None, None, 0.7)
    assert "too few runs" in _render(_calibration(few))


def test_a_seed_is_a_parameter_and_publishes_nothing(tmp_path: Path) -> None:
    """The plan says in what the run differs from the file."""
    one = with_seed(loaded(tmp_path, publish={"when": "always"}), 5)
    assert (5, "never", {"seed": "5"}) == (one.scenario.seed, one.scenario.publish.when, one.parameters)


@pytest.mark.parametrize("repeats", [-1, 0, 2, 1001])
def test_fewer_than_three_runs_are_refused(repeats: int) -> None:
    """Before anything is read or run."""
    with pytest.raises(UsageError, match=f"--repeats is {repeats}: use 3 to 1000 runs"):
        calibrate(RunRequest("nothing"), Console(quiet=True), repeats=repeats)


@pytest.mark.parametrize("rate", [0.0, 0.5, -1.0, float("nan")])
def test_a_rate_of_false_alarms_is_a_small_chance(rate: float) -> None:
    """A bound that fails every other time is none."""
    with pytest.raises(UsageError, match="use a rate between 0 and"):
        calibrate(RunRequest("nothing"), Console(quiet=True), repeats=5, false_alarms=rate)


def test_a_file_that_can_not_be_written_is_told_before_the_runs(tmp_path: Path) -> None:
    """Not after hours of them."""
    with pytest.raises(UsageError, match="not a file in an existing folder"):
        calibrate(RunRequest("nothing"), Console(quiet=True), repeats=5, out=tmp_path / "no" / "file.json")
