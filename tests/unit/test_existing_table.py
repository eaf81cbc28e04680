"""The check of an existing table before Spark starts."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from harness.loading.local_commits import list_local_commits, resolve_reads
from harness.loading.sources import locate_sources
from harness.scenario.model import Scenario

ROWS = {"id": [1, 2], "amount": [100, 200], "status": ["late", "paid"]}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return a folder with a table whose version 0 lacks the amount and whose newest version is 1."""
    table = tmp_path / "lake" / "loans"
    write_deltalake(table, pa.table({name: ROWS[name] for name in ("id", "status")}))
    write_deltalake(table, pa.table(ROWS), mode="overwrite", schema_mode="overwrite")
    return tmp_path


def _scenario(uri: str, versions: Any = ("latest",), **pipeline: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "existing",
            "table": {"uri": uri, "versions": list(versions), "key": "id"},
            "pipeline": {
                "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
                "features": ["amount"],
                **pipeline,
            },
        }
    )


def _problems(folder: Path, scenario: Scenario) -> list[tuple[str, tuple[str | int, ...]]]:
    return [(each.message, each.location) for each in locate_sources(scenario, folder)[1]]


@pytest.mark.parametrize("versions", [["latest"], [1], [1, "latest"], ["2999-01-01"]])
def test_a_table_with_all_columns_is_fine(folder: Path, versions: list[Any]) -> None:
    """A table with all columns at each numbered version has no problem, and neither has a later time."""
    assert [] == _problems(folder, _scenario("lake/loans", versions))


@pytest.mark.parametrize("uri", ["{folder}/lake/loans", "file://{folder}/lake/loans", "./lake/../lake/loans"])
def test_a_table_may_be_a_path_or_a_uri(folder: Path, uri: str) -> None:
    """A table is found by a path relative to the scenario, an absolute path or a URI."""
    assert [] == _problems(folder, _scenario(uri.format(folder=folder)))


@pytest.mark.parametrize(
    "uri",
    ["abfss://lake@account.dfs.core.windows.net/loans", "/Volumes/main/default/loans", "dbfs:/loans"],
)
def test_a_table_elsewhere_is_left_to_the_job(folder: Path, uri: str) -> None:
    """A table that this machine can't reach is not checked."""
    assert [] == _problems(folder, _scenario(uri))


def test_a_missing_column_is_reported_once(folder: Path) -> None:
    """A column is reported for the first version that lacks it, with a suggestion."""
    expected = "the table loans has no column 'amount' at version 0."
    assert [(expected, ("pipeline", "features", 0))] == _problems(folder, _scenario("lake/loans", [0, 1]))
    near = "the table loans has no column 'amounts' at version 1. Did you mean 'amount'?"
    found = _problems(folder, _scenario("lake/loans", [1, "latest"], features=["amounts"]))
    assert [(near, ("pipeline", "features", 0))] == found


def test_an_optional_or_derived_column_may_be_missing(folder: Path) -> None:
    """Optional features and inputs of derived columns don't have to be in the table."""
    assert [] == _problems(
        folder,
        _scenario(
            "lake/loans",
            [0],
            optional=["amount"],
            categorical=["status_of"],
            derive={"status_of": "upper(status)"},
        ),
    )


def test_an_unknown_sensitive_column_is_reported(folder: Path) -> None:
    """A sensitive column that none of the versions has is reported; one that only the newest has is not."""
    scenario = _scenario("lake/loans", [0, "latest"], derive={"twice": "amount * 2"})
    table = scenario.table.model_copy(update={"sensitive": ("amount", "Twice", "incme")})
    problems = _problems(folder, scenario.model_copy(update={"table": table}))
    [message] = [message for message, at in problems if at == ("table", "sensitive", 2)]
    assert message.startswith("the table loans has no column 'incme'.")
    assert [2] == [at[2] for _, at in problems if at[1] == "sensitive"]
    timed = _scenario("lake/loans", ["2031-01-01"])
    table = timed.table.model_copy(update={"sensitive": ("incme",)})
    assert [] == _problems(folder, timed.model_copy(update={"table": table}))


def test_a_version_that_is_not_trained_may_lack_columns(folder: Path) -> None:
    """The columns of a version without a model are not checked."""
    scenario = _scenario("lake/loans", [0])
    versions = tuple(each.model_copy(update={"train": False}) for each in scenario.versions)
    assert [] == _problems(folder, scenario.model_copy(update={"versions": versions}))


def test_a_version_that_the_table_has_not_reached_is_problems(folder: Path) -> None:
    """A version that doesn't exist is reported at its location, with the newest version."""
    expected = "the table loans has no version 12; its newest is 1."
    assert [(expected, ("table", "versions", 1))] == _problems(folder, _scenario("lake/loans", [1, 12]))


def test_a_time_before_the_first_commit_is_reported_with_its_time(folder: Path) -> None:
    """A time before the first commit of the log is reported with that commit's time, before Spark starts."""
    _set_times(folder)
    expected = (
        "the table loans has no version as old as 2026-02-28 00:00:00+00:00; "
        "its log begins with version 0 (2026-03-01 12:00:00 UTC)."
    )
    problems = _problems(folder, _scenario("lake/loans", ["2026-03-02", "2026-02-28"]))
    assert [(expected, ("table", "versions", 1))] == problems


def test_times_are_resolved_as_delta_does(folder: Path) -> None:
    """A time leads to the newest commit up to it; one after the newest commit says so."""
    _set_times(folder)
    scenario = _scenario("lake/loans", [0, "latest", "2026-03-01T12:00:00Z", "2031-01-01"])
    resolved = resolve_reads(scenario, folder)
    assert [0, 1, 0, 1] == [each.version for each in resolved.values()]
    assert [
        "",
        "",
        "as of 2026-03-01 12:00:00 UTC: version 0, committed 2026-03-01 12:00:00 UTC",
        "as of 2031-01-01 00:00:00 UTC: version 1, committed 2026-03-03 12:00:00 UTC, the newest",
    ] == [each.explanation for each in resolved.values()]
    assert {} == resolve_reads(_scenario("abfss://lake@account.dfs.core.windows.net/t", ["latest"]), folder)


def test_commits_at_the_same_time_are_told_apart(folder: Path) -> None:
    """A commit is later than the one before it, even if the storage gives both the same time."""
    _set_times(folder, MARCH, MARCH)
    first, second = list_local_commits(folder / "lake" / "loans")
    assert timedelta(milliseconds=1) == second.time - first.time


def test_times_in_commits_count_more_than_those_of_files(folder: Path) -> None:
    """If the table keeps a commit's time in the commit, as Delta can, the time of its file doesn't matter."""
    file = folder / "lake" / "loans" / "_delta_log" / f"{1:020}.json"
    milliseconds = int(datetime(2030, 1, 1, tzinfo=UTC).timestamp() * 1000)
    info = json.dumps({"commitInfo": {"inCommitTimestamp": milliseconds}})
    file.write_text(f"{info}\n{file.read_text()}")
    assert "version 1 (2030-01-01 00:00:00 UTC)" == str(list_local_commits(folder / "lake" / "loans")[1])


MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _set_times(folder: Path, *times: datetime) -> None:
    """Give the table's commits these times (default: the first and third of March)."""
    for version, time in enumerate(times or (MARCH, MARCH + timedelta(days=2))):
        log = folder / "lake" / "loans" / "_delta_log" / f"{version:020}.json"
        os.utime(log, (time.timestamp(), time.timestamp()))


def test_a_listed_version_is_reported_at_its_step(folder: Path) -> None:
    """If the scenario lists its versions, a problem has the location of the version's step."""
    scenario = _scenario("lake/loans", [12])
    table = scenario.table.model_copy(update={"versions": None})
    [(_, location)] = _problems(folder, scenario.model_copy(update={"table": table}))
    assert ("versions", 0, "read") == location


def test_a_name_in_a_catalog_is_left_to_the_target(folder: Path) -> None:
    """Only the target knows its catalog, or where the name's rows are."""
    assert not _problems(folder, _scenario("main.default.loans"))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("lake/loan", "the table lake/loan doesn't exist ({folder}/lake/loan). Did you mean 'loans'?"),
        (
            "./main.default.loans",
            "the table ./main.default.loans doesn't exist ({folder}/main.default.loans).",
        ),
        ("lake", "{folder}/lake is not a Delta table: it has no folder _delta_log."),
        ("rows.csv", "{folder}/rows.csv is not a Delta table: it has no folder _delta_log."),
        ("broken", "can't read the table 'broken': "),
        ("null\0", "can't read the table 'null\\x00': "),
        ("abfss://me:secret@account/loans", "the table's URI contains a password; remove it."),
    ],
)
def test_an_invalid_table_is_reported(folder: Path, uri: str, message: str) -> None:
    """A table that can't be read is one problem, at the table's URI."""
    (folder / "rows.csv").write_text("id\n1\n")
    log = folder / "broken" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no JSON")
    [(found, location)] = _problems(folder, _scenario(uri))
    assert (True, ("table", "uri")) == (found.startswith(message.format(folder=folder)), location)
