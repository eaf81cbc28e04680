"""Steps and versions that look unusual but are valid."""

from typing import Any

import pytest

from harness.loading import rules
from harness.scenario.model import Scenario

TABLE: dict[str, Any] = {"source": "rows.csv", "key": "id"}
EXISTING: dict[str, Any] = {"uri": "lake/loans", "key": "id"}
FIRST: dict[str, Any] = {"name": "one", "append": None}


def _messages(versions: list[dict[str, Any]], table: dict[str, Any] = TABLE, **other: Any) -> list[str]:
    values = {
        "name": "rules",
        "table": table,
        "pipeline": {
            "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
            "features": ["amount"],
        },
        "versions": versions,
        **other,
    }
    return [problem.message for problem in rules.check_rules(Scenario.model_validate(values))]


@pytest.mark.parametrize(
    "step",
    [
        {"append": None, "commits": 0},
        {"append": {"where": "month = 2", "sample": 0.5, "set": {"b": "a + 1"}, "shuffle": "b"}},
        {"append": {"rows": [{"id": 3, "amount": None}]}},
        {"append": {"rows": [{"amount": 3}], "set": {"id": "7"}}, "train": False},
        {"append": {"from": {"generate": {"rows": 10}}}},
        {"append": {"set": {"prediction": "1"}}, "train": False},
        {"overwrite": {"replace_where": "month = 2"}},
        {"merge": {"on": "other", "rows": [{"OTHER": 3}]}},
        {"merge": {"when_matched": "ignore"}},
        {"update": {"set": {"amount": "amount * 2"}}},
        {"delete": "id = 3", "commits": "any"},
        {"add_columns": {"region": "string", "price": "decimal(10, 2)", "rate": "REAL"}},
        {"restore": "one", "at": "timestamp"},
        {"optimize": {"z_order": "id"}, "commits": 0},
        {"vacuum": None, "commits": 0},
        {"sql": "ALTER TABLE {table} ALTER COLUMN amount DROP NOT NULL", "commits": 2},
        {"append": None, "expect_error": "DELTA_FAILED_TO_MERGE_FIELDS"},
        {"append": None, "expect_error": "java.lang.IllegalStateException", "commits": 0},
    ],
    ids=lambda step: next(iter(step)),
)
def test_a_valid_step_has_no_problems(step: dict[str, Any]) -> None:
    """A step that the job can apply has no problems."""
    assert _messages([FIRST, {"name": "two", **step}]) == []


def test_partitions_may_be_selected_after_sql() -> None:
    """Optimize may select partitions if an earlier SQL statement may have partitioned the table."""
    statement = "CREATE TABLE {table} (id INT) USING delta PARTITIONED BY (id)"
    created: dict[str, Any] = {"name": "one", "sql": statement}
    optimized: dict[str, Any] = {"name": "two", "optimize": {"where": "id = 1"}}
    assert _messages([created, optimized]) == []


def test_the_first_version_may_be_called_first() -> None:
    """The first version may be named 'first', because 'since: first' means the same version."""
    versions: list[dict[str, Any]] = [{"name": "first", "append": None}, {"name": "second", "append": None}]
    assert _messages(versions) == []


def test_an_untrained_version_cannot_be_called_first() -> None:
    """An untrained version can't be named 'first' if 'since: first' means another version."""
    versions: list[dict[str, Any]] = [
        {"name": "first", "append": None, "train": False},
        {"name": "second", "append": None},
    ]
    assert _messages(versions) == [
        "a version can't be called 'first' here: 'since: first' means another version."
    ]


def test_steps_with_their_own_rows_need_no_table_source() -> None:
    """A table needs no source if each step has its own source or rows."""
    own: dict[str, Any] = {"name": "one", "append": {"from": "rows.csv"}}
    written: dict[str, Any] = {"name": "two", "append": {"rows": [{"id": 3}]}}
    assert _messages([own, written], {"key": "id"}) == []


def test_an_existing_table_is_read() -> None:
    """The versions of an existing table are valid in the table's list and as read steps."""
    assert _messages([{"name": "newest", "read": "latest"}], EXISTING) == []
    listed = Scenario.model_validate(
        {
            "name": "rules",
            "pipeline": {
                "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
                "features": ["amount"],
            },
            "table": {**EXISTING, "versions": [0, "2026-03-01", "latest"]},
        }
    )
    assert list(rules.check_rules(listed)) == []


def test_a_scenario_may_train_nothing() -> None:
    """A scenario without training is valid, whether or not it asks for publishing."""
    assert _messages([{**FIRST, "train": False}]) == []
    assert _messages([{**FIRST, "train": False}], publish={"when": "never"}) == []


@pytest.mark.parametrize(
    "expect",
    [
        {"rows": 3, "same_data_as": "one", "schema": {"at_least": {"id": "bigint"}}},
        {"rows": {"change": {"since": "one", "min": 0, "max": 0}}},
        {"null_keys": {"min": 1}, "nulls": {"amount": 0.5}},
    ],
    ids=["data", "change", "nulls"],
)
def test_a_failing_step_may_have_expectations_on_its_data(expect: dict[str, Any]) -> None:
    """A step that must fail may have expectations on the data, which must stay unchanged."""
    assert (
        _messages([FIRST, {"name": "two", "append": None, "expect_error": "DELTA_X", "expect": expect}]) == []
    )


def test_an_untrained_version_may_lack_keys_and_columns() -> None:
    """An untrained version may lack keys and columns that a model needs."""
    expect = {"duplicate_keys": 2, "schema": {"exact": {"id": "bigint"}}, "nulls": {"rate": 0}}
    derive = {"label": {"column": "status", "positive": ["late"], "negative": ["paid"]}}
    pipeline = {**derive, "features": ["rate"], "derive": {"rate": "amount / 2"}}
    version = {"name": "two", "append": None, "train": False, "expect": expect}
    assert _messages([FIRST, version], pipeline=pipeline) == []


def test_a_common_bound_may_name_a_version() -> None:
    """A common bound may compare with a named version, after which it is judged."""
    every = {"metrics": {"test_roc_auc": {"change": {"since": "one", "min": -0.1}}}}
    assert _messages([FIRST, {"name": "two", "append": None}], every=every) == []


def test_caught_by_may_name_any_judged_bound() -> None:
    """'caught_by' may name any judged bound on a number, a text or an agreement."""
    expect = {
        "operation": "WRITE",
        "nulls": {"amount": {"max": 0.1}},
        "metrics": {"test_roc_auc": [{"min": 0.6, "on": "added"}, {"min": 0.6, "change": {"min": -0.1}}]},
        "coefficients": {"amount": 0},
        "explanations": {"top_k": {"k": 1, "min": 1}, "share": {"amount": {"max": 0.5}}},
    }
    names = [
        "two.rows",
        "two.operation",
        "two.nulls(amount)",
        "two.added_test_roc_auc",
        "two.test_roc_auc.min",
        "two.test_roc_auc.change_min",
        "two.coefficient(amount)",
        "two.top_1_overlap",
        "two.share(amount).max",
    ]
    versions = [FIRST, {"name": "two", "append": None, "expect": expect}]
    assert _messages(versions, every={"rows": {"min": 1}}, verdict="fail", caught_by=names) == []


def test_caught_by_cannot_name_a_bound_that_is_not_judged() -> None:
    """'caught_by' can't name a bound that is not judged, such as a change at the first version."""
    every = {"metrics": {"test_roc_auc": {"min": 0.5, "change": {"min": -0.1}}}}
    named = "one.test_roc_auc.change_min"
    hint = "Did you mean 'one.test_roc_auc.min'?"
    messages = _messages([FIRST], every=every, verdict="fail", caught_by=[named])
    assert messages == [f"unknown bound '{named}'. {hint}"]
