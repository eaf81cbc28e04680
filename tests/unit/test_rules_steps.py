"""Steps and versions that look odd, and are no mistakes."""

from typing import Any

import pytest

from harness.loading import rules
from harness.scenario.model import Scenario

TABLE: dict[str, Any] = {"source": "rows.csv", "key": "id"}
EXISTING: dict[str, Any] = {"uri": "lake/loans", "key": "id"}
FIRST: dict[str, Any] = {"name": "one", "append": None}


def _told(versions: list[dict[str, Any]], table: dict[str, Any] = TABLE, **other: Any) -> list[str]:
    said = {
        "name": "rules",
        "table": table,
        "pipeline": {
            "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
            "features": ["amount"],
        },
        "versions": versions,
        **other,
    }
    return [problem.message for problem in rules.problems(Scenario.model_validate(said))]


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
def test_a_step_that_can_be_made_is_no_mistake(step: dict[str, Any]) -> None:
    """What the job can carry out is not refused."""
    assert _told([FIRST, {"name": "two", **step}]) == []


def test_partitions_may_be_chosen_where_sql_can_have_made_some() -> None:
    """Only of a table that no statement has touched it is known that it has none."""
    statement = "CREATE TABLE {table} (id INT) USING delta PARTITIONED BY (id)"
    made: dict[str, Any] = {"name": "one", "sql": statement}
    chosen: dict[str, Any] = {"name": "two", "optimize": {"where": "id = 1"}}
    assert _told([made, chosen]) == []


def test_the_first_version_may_be_called_first() -> None:
    """It is the one that ``since: first`` means."""
    versions: list[dict[str, Any]] = [{"name": "first", "append": None}, {"name": "second", "append": None}]
    assert _told(versions) == []


def test_the_first_version_is_not_called_first_where_another_is_trained_first() -> None:
    """By ``since: first`` the second would be meant."""
    versions: list[dict[str, Any]] = [
        {"name": "first", "append": None, "train": False},
        {"name": "second", "append": None},
    ]
    assert _told(versions) == [
        "a version can't be called 'first' here: 'since: first' means another version."
    ]


def test_rows_of_their_own_need_no_source_of_the_table() -> None:
    """A table may come about from the sources of its steps alone."""
    own: dict[str, Any] = {"name": "one", "append": {"from": "rows.csv"}}
    written: dict[str, Any] = {"name": "two", "append": {"rows": [{"id": 3}]}}
    assert _told([own, written], {"key": "id"}) == []


def test_a_table_that_is_there_is_read() -> None:
    """Its versions are listed by the table, or each with a name of its own."""
    assert _told([{"name": "newest", "read": "latest"}], EXISTING) == []
    said = {"table": {**EXISTING, "versions": [0, "2026-03-01", "latest"]}}
    listed = Scenario.model_validate(
        {
            "name": "rules",
            "pipeline": {
                "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
                "features": ["amount"],
            },
            **said,
        }
    )
    assert list(rules.problems(listed)) == []


def test_a_scenario_may_train_nothing() -> None:
    """Then there is nothing to publish, and nobody has asked for it."""
    assert _told([{**FIRST, "train": False}]) == []
    assert _told([{**FIRST, "train": False}], publish={"when": "never"}) == []


@pytest.mark.parametrize(
    "expect",
    [
        {"rows": 3, "same_data_as": "one", "schema": {"at_least": {"id": "bigint"}}},
        {"rows": {"change": {"since": "one", "min": 0, "max": 0}}},
        {"null_keys": {"min": 1}, "nulls": {"amount": 0.5}},
    ],
    ids=["data", "change", "nulls"],
)
def test_a_step_that_fails_leaves_data_to_be_held_against_expectations(expect: dict[str, Any]) -> None:
    """The table must be as it was."""
    assert _told([FIRST, {"name": "two", "append": None, "expect_error": "DELTA_X", "expect": expect}]) == []


def test_an_untrained_version_may_lack_keys_and_columns() -> None:
    """What a model needs is not asked of it."""
    expect = {"duplicate_keys": 2, "schema": {"exact": {"id": "bigint"}}, "nulls": {"rate": 0}}
    derive = {"label": {"column": "status", "positive": ["late"], "negative": ["paid"]}}
    pipeline = {**derive, "features": ["rate"], "derive": {"rate": "amount / 2"}}
    version = {"name": "two", "append": None, "train": False, "expect": expect}
    assert _told([FIRST, version], pipeline=pipeline) == []


def test_what_holds_of_every_version_may_name_one_of_them() -> None:
    """It is judged at those after it."""
    every = {"metrics": {"test_roc_auc": {"change": {"since": "one", "min": -0.1}}}}
    assert _told([FIRST, {"name": "two", "append": None}], every=every) == []


def test_each_bound_that_is_judged_may_be_named_as_the_one_that_fails() -> None:
    """Numbers, texts and agreements, a version's own and those of every version."""
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
    assert _told(versions, every={"rows": {"min": 1}}, verdict="fail", caught_by=names) == []


def test_a_bound_that_is_not_judged_can_not_fail() -> None:
    """A change since the version before is none at the first."""
    every = {"metrics": {"test_roc_auc": {"min": 0.5, "change": {"min": -0.1}}}}
    named = "one.test_roc_auc.change_min"
    hint = "Did you mean 'one.test_roc_auc.min'?"
    told = _told([FIRST], every=every, verdict="fail", caught_by=[named])
    assert told == [f"unknown bound '{named}'. {hint}"]
