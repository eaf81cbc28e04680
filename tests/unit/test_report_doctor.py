"""The checks of a target, shown line by line."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from harness.report.terminal.console import show_checks
from harness.targets.checks import Check

CHECKS = (
    Check("Java 17", "ok", "17.0.15"),
    Check("lake", "not checkable", "only a cluster can check it"),
    Check("files", "failed", "No such volume.\nsecond line", "Make it."),
)


def _render(encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    show_checks(Console(file=file, width=40), CHECKS)
    file.seek(0)
    return file.read().splitlines()


def test_each_check_is_a_line() -> None:
    """Each check is an unbroken line with symbol, state, subject and finding; a failed one has a remedy."""
    assert [
        "✓ ok             Java 17: 17.0.15",
        "? not checkable  lake: only a cluster can check it",
        "✗ failed         files: No such volume.",
        "                 second line",
        "                 Make it.",
    ] == _render()


def test_checks_are_shown_in_ascii() -> None:
    """On an output limited to ASCII, the symbols of checks are replaced."""
    assert ["+", "?", "x"] == [line[0] for line in _render("ascii") if line[0] != " "]


def test_a_check_is_shown_when_it_is_done() -> None:
    """Each check is shown as soon as it is done, as some take seconds."""
    file = io.StringIO()

    def slow() -> Iterator[Check]:
        yield CHECKS[0]
        assert "Java 17" in file.getvalue()

    assert show_checks(Console(file=file), slow())


@pytest.mark.parametrize(("checks", "well"), [(CHECKS[:2], True), (CHECKS, False), ((), True)])
def test_a_failed_check_is_returned(checks: tuple[Check, ...], well: bool) -> None:
    """A failed check is returned as a failure; one that is not checkable is not."""
    assert well is show_checks(Console(file=io.StringIO()), checks)
