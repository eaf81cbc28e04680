"""Rules of the approved table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.approvals import explain_overlap
from harness.errors import Location, Problem
from harness.loading.existing_table import resolve_table_uri
from harness.scenario.model import Scenario
from harness.storage.uris import describe_password, explain_unusable

_AT: Location = ("approve",)


def check_approve(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that keeps a scenario from ever approving a version."""
    if scenario.approve is None:
        return
    if not scenario.approve.strip():
        yield Problem("'approve' is blank; name a table, or remove it.", _AT)
    elif password := describe_password(scenario.approve):
        yield Problem(f"the approved table's URI contains {password}; remove it.", _AT)
    elif reason := explain_unusable(scenario.approve):
        yield Problem(reason, _AT)
    if scenario.table.uri is None:
        message = "the table that a run builds is removed with the run, so no version of it can be approved"
        yield Problem(f"{message}; give the 'uri' of an existing table, or remove 'approve'.", _AT)
    if scenario.observe:
        message = "'observe: true' looks without judging, so no version can be approved; remove one of them."
        yield Problem(message, _AT)
    if scenario.verdict == "fail":
        message = "a scenario that passes because bounds fail can't approve a version"
        yield Problem(f"{message}; remove 'approve' or 'verdict'.", _AT)
    if scenario.matrix:
        message = "each combination of the matrix would approve a version by itself"
        yield Problem(f"{message}; remove 'approve' or 'matrix'.", _AT)


def check_approved_table(scenario: Scenario, folder: Path) -> Iterator[Problem]:
    """Yield a problem if the approved table shares files with the judged one.

    Args:
        scenario: Names both tables.
        folder: Folder that their paths are relative to.
    """
    table, source = scenario.approve, scenario.table.uri
    if table is None or source is None or not table.strip() or not source.strip():
        return
    try:
        reason = explain_overlap(resolve_table_uri(table, folder), resolve_table_uri(source, folder))
    except (OSError, ValueError, RuntimeError) as error:
        reason = f"can't access {table!r} or {source!r}: {error}."
    if reason is not None:
        yield Problem(reason, _AT)
