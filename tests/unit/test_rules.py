"""Bounds that look unusual but are valid, and the locations of problems."""

from typing import Any

import pytest

from harness.loading import rules
from harness.metrics import CHAMPION_METRICS, CUSTOM_METRICS, METRICS
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
    return [problem.message for problem in rules.check_rules(scenario)]


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in CUSTOM_METRICS])
def test_every_metric_may_be_bounded(metric: str) -> None:
    """Every metric of the built-in pipeline may be bounded by 1."""
    scenario = _scenario({}, {"metrics": {metric: {"min": 1}}})
    if metric in CHAMPION_METRICS:
        scenario = scenario.model_copy(update={"champion": "models:/loan@champion"})
    assert _messages(scenario) == []


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        ("test_roc_auc", {"min": 0, "max": 0.9}),
        ("test_roc_auc", {"change": {"min": -1, "max": 0.1}}),
        ("test_roc_auc", {"equals": 0.5, "tolerance": 0.4}),
        ("test_log_loss", {"max": 30}),
        ("test_log_loss", {"change": {"relative": True, "max": 5}}),
        ("test_rows", {"min": 1}),
        ("lime_r2_mean", {"min": -10}),
    ],
)
def test_a_bound_that_some_value_misses_is_valid(metric: str, bound: dict[str, Any]) -> None:
    """A bound is valid if some value misses it, even if one of its limits is the edge of what is possible."""
    assert _messages(_scenario({}, {"metrics": {metric: bound}})) == []


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
def test_a_bound_that_one_number_can_meet_is_valid(bound: dict[str, float]) -> None:
    """A bound that only a single number meets is valid."""
    assert _messages(_scenario({"metrics": {"test_roc_auc": bound}})) == []


@pytest.mark.parametrize(("metric", "bound"), [("train_rows", {"min": 100}), ("lime_r2_mean", {"max": -0.5})])
def test_counts_and_r2_may_be_bounded_outside_0_to_1(metric: str, bound: dict[str, float]) -> None:
    """Counts and R2 may have bounds below 0 or above 1."""
    assert _messages(_scenario({"metrics": {metric: bound}})) == []


def test_an_empty_version_may_be_expected() -> None:
    """A scenario may expect a version without rows."""
    assert _messages(_scenario({"rows": 0})) == []


@pytest.mark.parametrize("rows", [-1, 0.5, {"min": 1.2, "max": 1.8}, {"max": -1}])
def test_a_bound_on_rows_must_allow_a_whole_number(rows: Any) -> None:
    """A bound on rows that no count can meet is reported."""
    assert [message.partition(" (")[0] for message in _messages(_scenario({"rows": rows}))] == [
        "no number can meet the bound on 'rows'"
    ]


def test_a_change_since_any_earlier_version_may_be_bounded() -> None:
    """A change may be bounded since any earlier version, not only the previous one."""
    change = {"metrics": {"cv_roc_auc": {"change": {"since": "v0", "min": -0.1}}}}
    assert _messages(_scenario({}, {}, change)) == []


def test_an_empty_limit_of_a_change_is_reported() -> None:
    """A limit of a change without a number is reported."""
    change = {"metrics": {"cv_roc_auc": {"change": {"since": "v0", "min": -0.1, "max": None}}}}
    expected = "'max' of the bound on 'cv_roc_auc' is empty; add a number, or remove it."
    assert [expected] == _messages(_scenario({}, change))


def test_a_problem_has_its_location() -> None:
    """A problem has the location of the wrong value in the file."""
    (problem,) = rules.check_rules(_scenario({"metrics": {"auc": {"min": 0}}}))
    assert problem.location == ("versions", 0, "expect", "metrics", "auc")


def test_too_few_samples_are_reported() -> None:
    """Fewer samples than features are a mistake that needs no run to be found; enough of them are none."""
    features = {"features": [f"x{index}" for index in range(10)]}
    [message] = _messages(_scenario({}, **features, explainer={"samples": 11}))
    assert message.startswith("11 samples fit 10 features perfectly, so the explanations mean nothing; use ")
    assert [] == _messages(_scenario({}, **features, explainer={"samples": 12}))
    assert [] == _messages(_scenario({}, **features))


def test_a_stated_type_must_be_known() -> None:
    """A stated type that doesn't exist is reported, and so are types for a table that exists already."""
    scenario = _scenario({})
    table = scenario.table.model_copy(update={"columns": {"zip": "txt", "ZIP": "string"}})
    messages = _messages(scenario.model_copy(update={"table": table}))
    assert "column 'ZIP' is listed twice." == messages[0]
    assert messages[1].startswith("column 'zip': unknown type 'txt'; use one of string, tinyint, ")
    existing = table.model_copy(update={"source": None, "uri": "loans", "columns": {"zip": "string"}})
    messages = _messages(scenario.model_copy(update={"table": existing}))
    assert (
        "'columns' states types of the columns of sources, but the table exists already; remove it."
        in messages
    )


def test_a_key_from_content_is_one_new_column() -> None:
    """A key can't be added as two columns, nor to a table that exists already."""
    scenario = _scenario({})
    table = scenario.table.model_copy(update={"key": ("a", "b"), "key_from": "content"})
    messages = _messages(scenario.model_copy(update={"table": table}))
    assert "a key from the rows' content is one column; name one under 'key'." in messages
    existing = table.model_copy(update={"key": ("a",), "source": None, "uri": "loans"})
    messages = _messages(scenario.model_copy(update={"table": existing}))
    assert any(each.startswith("the key of an existing table can't be added to it;") for each in messages)
