"""Names of tables in a catalog: what is one, and what it stands for on this machine."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.loading.sources import locate_sources
from harness.scenario.model import Scenario
from harness.settings import read_settings
from harness.storage.uris import find_table_folder
from harness.table_names import (
    choose_expiry,
    find_expiry,
    is_built_by,
    is_table_name,
    name_built_table,
    normalize_table_name,
    quote_table_name,
)
from harness.targets.checks import map_table


@pytest.mark.parametrize(
    "name",
    ["main.loans.lc_loan", "loans.lc_loan", "main.`my-loans`.lc", "my-catalog.s.t", "ä.b.c", "`a`.`b`"],
)
def test_names(name: str) -> None:
    """Two or three parts, each of which may be in backquotes."""
    assert is_table_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "lc_loan",
        "a.b.c.d",
        "./a.b",
        "data/a.b",
        "/data/a.b",
        "abfss://lake@account.dfs.core.windows.net/t",
        "file:/a.b",
        "a..b",
        "a.b.",
        "a b.c",
        "`a.b`.c",
        "main.loans.lc loan",
        "",
    ],
)
def test_paths_and_uris_are_no_names(text: str) -> None:
    """Neither is anything with more or fewer parts, or with other characters."""
    assert not is_table_name(text)


def test_quoting() -> None:
    """Spark takes any part in backquotes; without them, it is the name that the workspace knows."""
    assert quote_table_name("main.`my-loans`.lc") == "`main`.`my-loans`.`lc`"
    assert normalize_table_name("main.`my-loans`.lc") == "main.my-loans.lc"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("main.risk.raw", ("main.risk.raw", "delta", {})),
        ("main.`risk`.raw", ("main.risk.raw", "delta", {})),
        ({"path": "risk.raw", "format": "delta"}, ("risk.raw", "delta", {})),
        (
            {"path": "main.risk.raw", "options": {"versionAsOf": "3"}},
            ("main.risk.raw", "delta", {"versionAsOf": "3"}),
        ),
    ],
)
def test_a_source_may_be_a_table(
    tmp_path: Path, source: object, expected: tuple[str, str, dict[str, str]]
) -> None:
    """By its whole name; by two levels, which look like a file's name, only with 'format: delta'."""
    found, problems = locate_sources(make_scenario(source), tmp_path)
    assert problems == []
    [file] = found.values()
    assert ((file.uri, file.format, file.options), file.path) == (expected, None)


@pytest.mark.parametrize(
    "source", ["risk.raw", "loans.2018.csv", {"path": "main.risk.raw", "format": "parquet"}]
)
def test_a_missing_file_is_not_taken_for_a_table(tmp_path: Path, source: object) -> None:
    """Its path is reported, as that of any missing file."""
    _, problems = locate_sources(make_scenario(source), tmp_path)
    assert "doesn't exist" in problems[0].message


def test_a_file_with_the_name_of_a_table_is_a_file(tmp_path: Path) -> None:
    """A path that exists is never taken for a name."""
    (tmp_path / "main.risk.raw").mkdir()
    (tmp_path / "main.risk.raw" / "part.csv").write_text("id,x,status\n1,2,good\n")
    found, _ = locate_sources(make_scenario("main.risk.raw"), tmp_path)
    assert [file.path for file in found.values()] == [tmp_path / "main.risk.raw"]


def make_scenario(source: object) -> Scenario:
    """Return a scenario whose table is built from a source."""
    return Scenario.model_validate(
        {
            "name": "tiny",
            "table": {"name": "tiny", "source": source, "key": "id"},
            "pipeline": {
                "label": {"column": "status", "positive": ["bad"], "negative": ["good"]},
                "features": ["x"],
            },
            "versions": [{"name": "first", "append": {}}],
        }
    )


def test_a_folder_that_exists_is_no_name(tmp_path: Path) -> None:
    """A folder may be called like a table; a name without such a folder is elsewhere."""
    assert find_table_folder("loans.delta", tmp_path) is None
    (tmp_path / "loans.delta").mkdir()
    assert find_table_folder("loans.delta", tmp_path) == tmp_path / "loans.delta"


def test_names_stand_for_folders_and_uris(tmp_path: Path) -> None:
    """Paths are relative to the settings file; backquotes don't matter; the report shows the origin."""
    uri = "abfss://lake@account.dfs.core.windows.net/t"
    (tmp_path / "harness.toml").write_text(
        f'[tables]\n"main.loans.lc_loan" = "lake/lc"\nmain.my-loans.other = "{uri}"\n"s.t" = "/data/t"\n'
    )
    settings = read_settings(folder=tmp_path, environ={})
    assert map_table("main.loans.lc_loan", settings) == str(tmp_path / "lake/lc")
    assert not (tmp_path / "lake").exists()
    assert map_table("main.`my-loans`.other", settings) == uri
    assert map_table("s.t", settings) == "/data/t"
    assert map_table("/some/folder", settings) == "/some/folder"
    assert settings.by_name["tables.s.t"].origin == "harness.toml:4"


def test_a_name_without_a_folder_shows_the_line_to_write(tmp_path: Path) -> None:
    """The message has the section and the whole line."""
    with pytest.raises(UsageError) as caught:
        map_table("main.`loans`.lc_loan", read_settings(folder=tmp_path, environ={}))
    assert "[tables]" in str(caught.value)
    assert '"main.loans.lc_loan" = "/path/of/its/folder"' in str(caught.value)
    assert caught.value.exit_code == ExitCode.WRONG_INPUT


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('lc_loan = "x"', "'lc_loan' is not the name of a table"),
        ('"a b.c" = "x"', "'a b.c' is not the name of a table"),
        ("main.loans.lc = 3.5", "must be text"),
        (
            '"main.loans.lc" = "abfss://lake@a.dfs.core.windows.net/t?sig=abcdef"',
            "contains a password ('sig')",
        ),
    ],
)
def test_wrong_mappings_are_refused(tmp_path: Path, line: str, message: str) -> None:
    """With the line in the settings file, and without a secret."""
    (tmp_path / "harness.toml").write_text(f"[tables]\n{line}\n")
    with pytest.raises(UsageError) as caught:
        read_settings(folder=tmp_path, environ={})
    assert message in str(caught.value)
    assert "harness.toml:2" in str(caught.value)
    assert "abcdef" not in str(caught.value)


def test_the_name_of_a_built_table_has_its_run_and_a_day() -> None:
    """Nothing else counts as built by a run; the day is always a Monday."""
    until = choose_expiry(date(2026, 5, 5), 14)
    name = name_built_table("main.harness", "loans", "20260505-093011-nightly-7f3a", until)
    assert name == "main.harness.loans_run_20260505_093011_nightly_7f3a_until_20260525"
    assert is_table_name(name)
    assert find_expiry(name) == until
    assert is_built_by(name, "20260505-093011-nightly-7f3a")
    assert not is_built_by(name, "20260505-093011-nightly-0000")
    assert [find_expiry(each) for each in ("main.harness.loans", "a.b.loans_until_20200101")] == [None, None]
