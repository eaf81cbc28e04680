"""What an approved table records, which tables are never replaced, and how reports say what was approved."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from harness.approvals import ApprovedVersion, explain_overlap, explain_taken
from harness.bounds.specs import find_approved_version
from harness.errors import ScenarioError
from harness.loading.loader import load_scenario
from harness.report.terminal.verdict_summary import show_verdict
from harness.resolve import resolve_plan
from harness.results import Approval
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from tests.unit import report_samples, studies_samples

VERSION = ApprovedVersion("main.loans.lc_loan", 0, "f0", "run", "scenario")
APPROVAL = Approval(
    table="main.loans.approved", source="main.loans.lc_loan", name="now", version=0, fingerprint="f0"
)
ROWS = {"rows": 1}


def test_properties_record_the_version() -> None:
    """Version 0, too; a table without the properties shows no version."""
    assert ApprovedVersion.parse(VERSION.properties) == VERSION
    assert VERSION.is_version("main.loans.lc_loan", 0, "f0")
    assert not VERSION.is_version("main.loans.lc_loan", 0, "f1")
    for properties in ({}, {"harness.approved_from": "t"}, {"harness.approved_version": "1"}):
        assert ApprovedVersion.parse(properties) is None


@pytest.mark.parametrize(
    ("properties", "source", "reason"),
    [
        (VERSION.properties, "main.loans.lc_loan", None),
        (VERSION.properties, "`main`.loans.LC_loan", None),
        (
            VERSION.properties,
            "main.loans.other",
            "shows versions of main.loans.lc_loan, not of",
        ),
        ({}, "main.loans.lc_loan", "no run has made it"),
    ],
)
def test_a_table_is_only_replaced_by_versions_of_the_same_one(
    properties: Mapping[str, str], source: str, reason: str | None
) -> None:
    """A name in a catalog ignores case and backquotes."""
    found = explain_taken("main.loans.approved", properties, source)
    assert (found is None) if reason is None else (reason in str(found))


@pytest.mark.parametrize(
    ("table", "source", "overlaps"),
    [
        ("main.loans.a", "main.loans.A", True),
        ("main.loans.a", "main.loans.ab", False),
        ("/data/loans/", "file:///data/loans", True),
        ("/data/loans/approved", "/data/loans", True),
        ("/data", "/data/loans", True),
        ("/data/loans_approved", "/data/loans", False),
    ],
)
def test_tables_in_the_same_folder_overlap(table: str, source: str, *, overlaps: bool) -> None:
    """A vacuum of one of them would remove files of the other."""
    assert (explain_overlap(table, source) is not None) == overlaps


@pytest.mark.parametrize(
    ("bounds", "name"),
    [(("one",), "one"), (("one", "two"), "two"), (("two", "three"), "three"), ((), None)],
)
def test_the_last_version_with_bounds_is_approved(bounds: tuple[str, ...], name: str | None) -> None:
    """Versions after it are only looked at; without bounds, there is none."""
    versions = [
        {"name": each, **({"expect": ROWS} if each in bounds else {})} for each in ("one", "two", "three")
    ]
    assert find_approved_version(studies_samples.scenario(versions)) == name


@pytest.mark.parametrize(
    ("before", "reason", "line"),
    [
        (None, "", "approved  main.loans.approved now shows version 0 of main.loans.lc_loan (now)"),
        (0, "", "approved  main.loans.approved still shows version 0 of main.loans.lc_loan (now)"),
        (3, "", "now shows version 0 of main.loans.lc_loan (now), instead of version 3"),
        (
            3,
            "the verdict is fail",
            "not approved  main.loans.approved was left as it was: the verdict is",
        ),
    ],
)
def test_the_terminal_says_what_was_approved(before: int | None, reason: str, line: str) -> None:
    """Or why nothing was."""
    approval = APPROVAL.model_copy(update={"before": before, "reason": reason})
    result = report_samples.result().model_copy(update={"approval": approval})
    output = io.StringIO()
    show_verdict(Console(file=output, width=200), result, Path("run"))
    assert line in output.getvalue()


def test_names_that_are_mapped_to_the_same_folder_are_refused(tmp_path: Path) -> None:
    """The mistake only shows once both tables are located; the message has the line of 'approve'."""
    folder = tmp_path / "readings"
    (tmp_path / "harness.toml").write_text(
        f'[tables]\n"main.loans.a" = "{folder}"\n"main.loans.b" = "{folder}"\n'
    )
    file = tmp_path / "loans.yaml"
    file.write_text(
        "name: loans\n"
        "table: { uri: main.loans.a, versions: [0], key: id }\n"
        "pipeline:\n"
        "  label: { column: outcome, positive: [bad], negative: [good] }\n"
        "  features: [heat]\n"
        "every: { rows: 1 }\n"
        "approve: main.loans.b\n"
    )
    settings = read_settings(folder=tmp_path, environ={})
    with pytest.raises(ScenarioError, match=r"loans\.yaml:7: the approved table can't be the judged one"):
        resolve_plan(load_scenario(str(file)), settings, Embedded(settings))
