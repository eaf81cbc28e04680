"""Bounds on a version's data: rows, keys, nulls, schema and commit."""

from typing import Any

import pytest

from harness.results import Verdict, VersionResult
from tests.unit.bounds_samples import judge, judge_one, version

PASS, FAIL, NOT_PROVEN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN
TIME = "2026-03-01T10:15:00Z"
COLUMNS = {"id": "int", "Amount": "decimal(10,2)", "tags": "array<string>"}


def _committed(operation: str = "WRITE", reader: int = 1, writer: int = 2) -> VersionResult:
    commit = {"operation": operation, "time": TIME, "reader": reader, "writer": writer}
    return version(commit=commit)


@pytest.mark.parametrize(
    ("expect", "now", "verdict"),
    [
        ({"rows": 3395}, version(rows=3395), PASS),
        ({"rows": 3395}, version(rows=3394), FAIL),
        ({"rows": 3395}, version(rows=3396), FAIL),
        ({"rows": 0}, version(rows=0), PASS),
        ({"rows": 1}, version(rows=0), FAIL),
        ({"rows": {"min": 100}}, version(rows=99), FAIL),
        ({"null_keys": 0}, version(), PASS),
        ({"null_keys": 0}, version(null_keys=1), FAIL),
        ({"null_keys": {"max": 2}}, version(null_keys=2), PASS),
        ({"duplicate_keys": 0}, version(), PASS),
        ({"duplicate_keys": 0}, version(duplicate_keys=3), FAIL),
        ({"nulls": {"dti": {"max": 0.01}}}, version(nulls={"dti": 0.01}), PASS),
        ({"nulls": {"dti": {"max": 0.01}}}, version(nulls={"dti": 0.02}), FAIL),
        ({"nulls": {"DTI": 0}}, version(nulls={"dti": 0.0}), PASS),
        ({"nulls": {"dti": 1}}, version(nulls={"dti": 1.0}), PASS),
        ({"nulls": {"dti": {"max": 0.01}}}, version(nulls={"amount": 0.0}), NOT_PROVEN),
        ({"protocol": {"writer": {"max": 7}}}, _committed(writer=7), PASS),
        ({"protocol": {"writer": {"max": 7}}}, _committed(writer=8), FAIL),
        ({"protocol": {"reader": 1}}, _committed(reader=1), PASS),
        ({"protocol": {"reader": 1}}, _committed(reader=3), FAIL),
        ({"protocol": {"reader": 1}}, version(), NOT_PROVEN),
        ({"operation": "WRITE"}, _committed("WRITE"), PASS),
        ({"operation": "write"}, _committed("WRITE"), PASS),
        ({"operation": "WRITE"}, _committed("MERGE"), FAIL),
        ({"operation": "WRITE"}, version(), NOT_PROVEN),
    ],
)
def test_data_is_compared_with_its_bound(
    expect: dict[str, Any], now: VersionResult, verdict: Verdict
) -> None:
    """Counts must match exactly, case in column names is ignored, and unknown values are not proven."""
    assert verdict == judge_one(expect, now).verdict


def test_bounds_on_data_have_the_names_of_reports() -> None:
    """Each bound on data has the name that reports show, including the column."""
    expect = {
        "rows": 1,
        "null_keys": 0,
        "duplicate_keys": 0,
        "nulls": {"dti": 0},
        "protocol": {"reader": 1, "writer": 2},
    }
    names = ["rows", "null_keys", "duplicate_keys", "nulls(dti)", "protocol.reader", "protocol.writer"]
    assert names == [bound.metric for bound in judge(expect, version())]


def test_the_number_of_rows_may_have_a_bounded_change() -> None:
    """A bound on a change applies to the number of rows, too."""
    expect = {"rows": {"change": {"relative": True, "min": -0.1}}}
    bounds = [judge_one(expect, version(rows=rows), version("first", rows=100)) for rows in (90, 89)]
    assert [(PASS, -0.1), (FAIL, -0.11)] == [(bound.verdict, bound.measured) for bound in bounds]


@pytest.mark.parametrize(
    ("schema", "verdict", "found"),
    [
        ({"exact": COLUMNS}, PASS, "as expected"),
        ({"exact": {"id": "INT", "Amount": "decimal(10, 2)", "tags": "array<string>"}}, PASS, "as expected"),
        (
            {"exact": {"Amount": "decimal(10,2)", "id": "int", "tags": "array<string>"}},
            FAIL,
            "the order is id, Amount, tags",
        ),
        ({"exact": {**COLUMNS, "more": "int"}}, FAIL, "more is missing"),
        (
            {"exact": {"id": "int", "Amount": "decimal(10,2)"}},
            FAIL,
            "tags is not expected",
        ),
        (
            {"exact": {"id": "int", "amount": "decimal(10,2)", "tags": "array<string>"}},
            FAIL,
            "amount is written Amount",
        ),
        ({"exact": {**COLUMNS, "id": "bigint"}}, FAIL, "id is int, not bigint"),
        (
            {"exact": {"no": "int"}},
            FAIL,
            "no is missing; " + "; ".join(f"{n} is not expected" for n in COLUMNS),
        ),
        ({"at_least": {"tags": "array<string>", "id": "int"}}, PASS, "as expected"),
        ({"at_least": {"amount": "decimal(10,2)"}}, PASS, "as expected"),
        ({"at_least": {"amount": "decimal(10,3)"}}, FAIL, "amount is decimal(10,2), not decimal(10,3)"),
        ({"at_least": {"more": "int"}}, FAIL, "more is missing"),
    ],
)
def test_a_schema_is_compared_with_the_expected_one(
    schema: dict[str, Any], verdict: Verdict, found: str
) -> None:
    """An exact schema fixes columns, types and order; 'at_least' accepts other columns and any order."""
    bound = judge_one({"schema": schema}, version(schema=COLUMNS))
    assert ("schema", "is", verdict, found) == (bound.metric, bound.kind, bound.verdict, bound.found)


def test_both_parts_of_a_schema_are_judged() -> None:
    """The parts 'exact' and 'at_least' are judged separately, each with its expected columns."""
    expect = {"schema": {"exact": {"id": "int"}, "at_least": {"id": "int"}}}
    bounds = judge(expect, version())
    assert ["exactly id int", "at least id int"] == [bound.expected for bound in bounds]


@pytest.mark.parametrize(
    ("now", "verdict", "found"),
    [
        (version(), PASS, "the same data"),
        (version(fingerprint="1" * 32), FAIL, "other data"),
        (version(rows=95, fingerprint="1" * 32), FAIL, "other data: 95 rows, not 100"),
        (version(schema={"id": "bigint"}), FAIL, "another schema"),
        (version(schema={"id": "int", "more": "int"}), FAIL, "another schema"),
    ],
    ids=["same", "fingerprint", "rows", "type", "columns"],
)
def test_the_same_data_have_one_schema_and_fingerprint(
    now: VersionResult, verdict: Verdict, found: str
) -> None:
    """Versions with the same schema and fingerprint have the same data; a difference is reported."""
    bound = judge_one({"same_data_as": "january"}, now, version("january"))
    assert (verdict, "january", found) == (bound.verdict, bound.expected, bound.found)


def test_columns_in_another_order_are_different_data() -> None:
    """Columns in another order are different data."""
    now, before = (
        version(schema={"a": "int", "b": "int"}),
        version("january", schema={"b": "int", "a": "int"}),
    )
    assert FAIL == judge_one({"same_data_as": "january"}, now, before).verdict


def test_equality_with_an_unmeasured_version_is_not_proven() -> None:
    """Equality with a version that was not measured is not proven."""
    bound = judge_one({"same_data_as": "january"}, version())
    assert (NOT_PROVEN, "version january was not measured") == (bound.verdict, bound.reason)


def test_a_bound_on_a_text_has_no_numbers() -> None:
    """A bound on a text is shown with the expected and the actual text, and has no numbers."""
    bound = judge_one({"operation": "MERGE"}, _committed("WRITE"))
    assert ("= MERGE", "WRITE", None, None, None) == (
        bound.text,
        bound.found,
        bound.measured,
        bound.bound,
        bound.distance,
    )
