from typing import Any

import pytest

from harness.loading import rules
from harness.metrics import METRICS, OF_CUSTOM
from harness.scenario.model import Scenario


def _scenario(*expectations: dict[str, Any], **pipeline: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "rules",
            "table": {"name": "loans", "source": "rows.csv", "key": ["id"]},
            "pipeline": {
                "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
                "features": ["amount"],
                **pipeline,
            },
            "versions": [
                {"name": f"v{index}", "append": None, "expect": expect}
                for index, expect in enumerate(expectations)
            ],
        }
    )


def _messages(scenario: Scenario) -> list[str]:
    return [problem.message for problem in rules.problems(scenario)]


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in OF_CUSTOM])
def test_every_metric_may_be_bounded(metric: str) -> None:
    """Each metric of the built-in pipeline is known, and may be anything between 0 and 1."""
    assert _messages(_scenario({}, {"metrics": {metric: {"min": 0, "max": 1}}})) == []


@pytest.mark.parametrize(
    "bound",
    [
        {"min": 0.6, "max": 0.6},
        {"min": 0.6, "equals": 0.6, "max": 0.6},
        {"equals": 0.5, "tolerance": 0.1, "min": 0.6},
        {"equals": 1.05, "tolerance": 0.05},
        {"min": 1},
        {"max": 0},
    ],
)
def test_a_bound_that_one_number_can_meet_is_no_mistake(bound: dict[str, float]) -> None:
    """An interval of a single point can be met."""
    assert _messages(_scenario({"metrics": {"test_roc_auc": bound}})) == []


@pytest.mark.parametrize(("metric", "bound"), [("train_rows", {"min": 100}), ("lime_r2_mean", {"max": -0.5})])
def test_only_what_lies_between_0_and_1_is_held_to_it(metric: str, bound: dict[str, float]) -> None:
    """A count, or an R2, may be bounded outside of the unit interval."""
    assert _messages(_scenario({"metrics": {metric: bound}})) == []


def test_an_empty_version_may_be_expected() -> None:
    """0 is a number of rows like any other."""
    assert _messages(_scenario({"rows": 0})) == []


@pytest.mark.parametrize("rows", [-1, 0.5, {"min": 1.2, "max": 1.8}, {"max": -1}])
def test_rows_are_counted_in_whole_numbers(rows: Any) -> None:
    """A bound on rows that no count can meet is a mistake."""
    assert [message.partition(" (")[0] for message in _messages(_scenario({"rows": rows}))] == [
        "no number can meet the bound on 'rows'"
    ]


def test_a_change_since_any_earlier_version_may_be_bounded() -> None:
    """Not only the version just before."""
    change = {"metrics": {"cv_roc_auc": {"change": {"since": "v0", "min": -0.1}}}}
    assert _messages(_scenario({}, {}, change)) == []


def test_an_empty_half_of_a_change_is_a_mistake() -> None:
    """A key without a number says less than its author thinks."""
    change = {"metrics": {"cv_roc_auc": {"change": {"since": "v0", "min": -0.1, "max": None}}}}
    expected = "'max' of the bound on 'cv_roc_auc' is empty; add a number, or remove it."
    assert [expected] == _messages(_scenario({}, change))


def test_a_problem_knows_where_it_stands() -> None:
    """The location leads to the value in the file."""
    (problem,) = rules.problems(_scenario({"metrics": {"auc": {"min": 0}}}))
    assert problem.location == ("versions", 0, "expect", "metrics", "auc")
