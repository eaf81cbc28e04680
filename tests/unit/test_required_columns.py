"""Columns that a scenario needs, compared with those of its sources and steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.loading.sources import locate_sources
from harness.scenario.model import Scenario

FILES = {
    "rows.csv": "id,amount,status\n1,100,late\n2,200,paid\n",
    "more.csv": "id,amount,status,region\n3,300,late,north\n",
    "bare.csv": "amount,status\n400,paid\n",
    "late.csv": "id,region\n1,north\n",
}
OWN = {"name": "first", "append": {}}
MORE = {"name": "more", "append": {"from": "more.csv", "merge_schema": True}}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


def _scenario(*versions: dict[str, Any], **changes: Any) -> Scenario:
    table = {"name": "loans", "source": "rows.csv", "key": "id", **changes.pop("table", {})}
    pipeline = {
        "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
        "features": ["amount"],
        **changes,
    }
    return Scenario.model_validate(
        {"name": "columns", "table": table, "pipeline": pipeline, "versions": list(versions)}
    )


def _problems(folder: Path, scenario: Scenario) -> list[tuple[str, tuple[str | int, ...]]]:
    return [(each.message, each.location) for each in locate_sources(scenario, folder)[1]]


REGION = {"categorical": ["region"]}


@pytest.mark.parametrize(
    ("versions", "changes"),
    [
        pytest.param([OWN, MORE], {"categorical": ["region"], "optional": ["region"]}, id="optional"),
        pytest.param([OWN | {"train": False}, MORE], REGION, id="another source"),
        pytest.param([{"name": "first", "append": {"set": {"Region": "'north'"}}}], REGION, id="set"),
        pytest.param(
            [OWN | {"train": False}, {"name": "wider", "add_columns": {"region": "string"}}],
            REGION,
            id="add_columns",
        ),
        pytest.param(
            [
                OWN | {"train": False},
                {"name": "wider", "sql": "ALTER TABLE {table} ADD COLUMNS (region string)"},
            ],
            REGION,
            id="sql that names it",
        ),
        pytest.param(
            [
                OWN | {"train": False},
                {"name": "replaced", "sql": "CREATE OR REPLACE TABLE {table} AS SELECT * FROM other"},
            ],
            REGION,
            id="sql that may add any column",
        ),
        pytest.param(
            [{"name": "written", "append": {"rows": [{"id": 1, "status": "late", "region": "n"}]}}],
            {"features": [], "categorical": ["region"]},
            id="rows written out",
        ),
        pytest.param([OWN | {"train": False}], REGION, id="no version is trained"),
        pytest.param(
            [OWN, {"name": "elsewhere", "overwrite": {"from": "abfss://l@a/rows", "overwrite_schema": True}}],
            {"categorical": ["region"], "optional": ["region"]},
            id="a source elsewhere",
        ),
        pytest.param(
            [
                OWN,
                {"name": "patch", "merge": {"from": "late.csv", "merge_schema": True}, "train": False},
            ],
            {},
            id="a merge without the label",
        ),
        pytest.param(
            [OWN, MORE, {"name": "wider", "add_columns": {"score": "double"}}],
            {"table": {"sensitive": ["Region", "score", "twice"]}, "derive": {"twice": "amount * 2"}},
            id="sensitive columns of any version",
        ),
        pytest.param(
            [OWN, {"name": "bare", "append": {"from": "bare.csv", "set": {"id": "9"}}}], {}, id="a key by set"
        ),
        pytest.param(
            [OWN, {"name": "bare", "append": {"from": "bare.csv"}, "train": False}], {}, id="a key not needed"
        ),
        pytest.param(
            [
                OWN,
                {
                    "name": "fails",
                    "merge": {"from": "bare.csv"},
                    "expect_error": "DELTA_MERGE_UNRESOLVED_EXPRESSION",
                },
            ],
            {},
            id="a step that must fail",
        ),
        pytest.param(
            [OWN, {"name": "patch", "merge": {"from": "bare.csv", "on": "amount"}}],
            {},
            id="merged by another",
        ),
    ],
)
def test_a_column_that_a_step_may_add_is_not_missing(
    tmp_path: Path, versions: list[dict[str, Any]], changes: dict[str, Any]
) -> None:
    """A column is not reported as missing if any step may add it."""
    assert [] == _problems(tmp_path, _scenario(*versions, **changes))


def test_a_column_that_no_source_has_is_reported(tmp_path: Path) -> None:
    """A missing column is reported once, with every file that was searched and the nearest name."""
    scenario = _scenario(OWN, MORE, {**MORE, "name": "again"}, categorical=["regions"])
    expected = "none of rows.csv, more.csv has a column 'regions'. Did you mean 'region'?"
    assert [(expected, ("pipeline", "categorical", 0))] == _problems(tmp_path, scenario)


def test_an_unknown_sensitive_column_is_reported(tmp_path: Path) -> None:
    """A sensitive column that no version has is reported, even if no model is trained."""
    scenario = _scenario(OWN | {"train": False}, table={"sensitive": ["status", "amuont"]})
    expected = "rows.csv has no column 'amuont'. Did you mean 'amount'?"
    assert [(expected, ("table", "sensitive", 1))] == _problems(tmp_path, scenario)


def test_values_of_a_sensitive_column_are_not_shown(tmp_path: Path) -> None:
    """A feature that is text is reported without its value if the column is sensitive."""
    (tmp_path / "odd.csv").write_text("id,amount,status\n1,100,late\n2,Smith,paid\n")
    table = {"source": "odd.csv", "sensitive": ["amount"]}
    [(hidden, _)] = _problems(tmp_path, _scenario(OWN, table=table))
    assert "a value in line 3; if it stands for a missing value" in hidden
    assert "Smith" not in hidden
    [(shown, _)] = _problems(tmp_path, _scenario(OWN, table={"source": "odd.csv"}))
    assert "'Smith' in line 3" in shown


def test_a_source_that_no_step_reads_need_not_have_the_columns(tmp_path: Path) -> None:
    """Columns are only required of sources that steps read, not of the table's unused source."""
    scenario = _scenario(MORE, **REGION, table={"source": "bare.csv"})
    assert [] == _problems(tmp_path, scenario)


def test_a_column_that_is_added_too_late_is_reported(tmp_path: Path) -> None:
    """A version that is trained with a column that only a later version adds is reported."""
    expected = (
        "version 'first' is trained with the column 'region', which doesn't exist before version 'more'; "
        "list it under 'optional', or set 'train: false'."
    )
    assert [(expected, ("pipeline", "categorical", 0))] == _problems(tmp_path, _scenario(OWN, MORE, **REGION))


def test_a_missing_key_is_reported_even_if_no_model_is_trained(tmp_path: Path) -> None:
    """A key column that never exists is reported even if no version is trained."""
    scenario = _scenario(OWN | {"train": False}, table={"key": "number"})
    assert [("rows.csv has no column 'number'.", ("table", "key", 0))] == _problems(tmp_path, scenario)


def test_generated_rows_have_the_columns_of_the_generator(tmp_path: Path) -> None:
    """The columns of synthetic loans are checked like those of a file."""
    generated = {"source": {"generate": {"kind": "loans", "rows": 10}}}
    label = {"column": "loan_status", "positive": ["Charged Off"], "negative": ["Fully Paid"]}
    good = _scenario(OWN, table=generated, label=label, features=["int_rate"])
    assert [] == _problems(tmp_path, good)
    bad = _scenario(OWN, table=generated, label=label, features=["int_rat"])
    expected = "generate: loans has no column 'int_rat'. Did you mean 'int_rate'?"
    assert [(expected, ("pipeline", "features", 0))] == _problems(tmp_path, bad)


@pytest.mark.parametrize(
    ("step", "message", "location"),
    [
        (
            {"append": {"from": "bare.csv"}},
            "bare.csv has no column 'id', which version 'second' needs as the table's key.",
            ("append", "from"),
        ),
        (
            {"merge": {"from": "bare.csv"}, "train": False},
            "bare.csv has no column 'id', which version 'second' needs to merge the rows by.",
            ("merge", "from"),
        ),
        (
            {"merge": {"from": "late.csv", "on": "amount"}},
            "late.csv has no column 'amount', which version 'second' needs to merge the rows by.",
            ("merge", "on"),
        ),
        (
            {"append": {"from": "bare.csv", "sample": 0.5, "set": {"id": "1"}}, "train": False},
            "bare.csv has no column 'id', which version 'second' needs to sample the rows by.",
            ("append", "sample"),
        ),
        (
            {"append": {"from": "bare.csv", "shuffle": "status"}, "train": False},
            "bare.csv has no column 'id', which version 'second' needs to shuffle the rows by.",
            ("append", "shuffle"),
        ),
        (
            {"append": {"shuffle": "state"}},
            "rows.csv has no column 'state', which version 'second' needs to shuffle its values.",
            ("append", "shuffle"),
        ),
    ],
)
def test_rows_without_a_needed_column_are_reported(
    tmp_path: Path, step: dict[str, Any], message: str, location: tuple[str, ...]
) -> None:
    """A column that a step needs and its rows lack is reported where the step names it."""
    scenario = _scenario(OWN, {"name": "second", **step})
    assert [(message, ("versions", 1, *location))] == _problems(tmp_path, scenario)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.csv", "the source absent.csv doesn't exist"),
        ({"path": "rows.csv", "format": "json"}, "the source rows.csv is used twice, with different formats"),
        ({"path": "rows.csv", "options": {"sep": ";"}}, "the source rows.csv is used twice, with different"),
        ({"path": "more.csv", "format": "json"}, "can't read more.csv as json"),
        ({"path": "more.csv", "options": {"token": "x"}}, "option 'token' looks like a secret"),
    ],
)
def test_a_wrong_source_is_reported_at_its_step(tmp_path: Path, source: Any, message: str) -> None:
    """A problem with a step's source has the location of the step, not that of the table."""
    [(reported, location)] = _problems(
        tmp_path, _scenario(OWN, {"name": "second", "append": {"from": source}})
    )
    assert (True, ("versions", 1, "append", "from")) == (reported.startswith(message), location)


def test_a_source_can_be_used_several_times(tmp_path: Path) -> None:
    """Steps that use the same path with the same format and options share one source."""
    again = {"name": "again", "append": {"from": {"path": "rows.csv", "format": "csv"}}}
    sources, problems = locate_sources(_scenario(OWN, MORE, again), tmp_path)
    assert (["rows.csv", "more.csv"], []) == (list(sources), problems)


def test_a_missing_source_is_reported_once(tmp_path: Path) -> None:
    """A missing source is reported once, however many steps use it."""
    absent = {"append": {"from": "absent.csv"}}
    problems = _problems(tmp_path, _scenario(OWN, {"name": "a", **absent}, {"name": "b", **absent}))
    assert [("versions", 1, "append", "from")] == [location for _, location in problems]


def test_a_version_without_a_step_is_left_to_the_rules(tmp_path: Path) -> None:
    """A version without a step causes no problem of columns, as the rules report it."""
    assert [] == _problems(tmp_path, _scenario({"name": "nothing"}, categorical=["region"]))


def test_a_key_from_content_is_in_no_source(tmp_path: Path) -> None:
    """The column that is added is not missing, and a source that has it is reported."""
    sampled = {"name": "first", "append": {"sample": 0.5}}
    scenario = _scenario(sampled, table={"key": "row", "key_from": "content"})
    assert [] == _problems(tmp_path, scenario)
    taken = _scenario(OWN, table={"key": "ID", "key_from": "content"})
    message = "rows.csv has a column 'ID' already; name another one, or remove 'key_from'."
    assert [(message, ("table", "key"))] == _problems(tmp_path, taken)
