"""Requests and how a session shows its lines."""

from __future__ import annotations

import io

from rich.console import Console

from harness.request import make_line_printer


def test_a_line_is_shown_as_it_is() -> None:
    """Brackets in a line, such as those of a section in harness.toml, are text and not rich's markup."""
    console = Console(file=io.StringIO(), width=40)
    make_line_printer(console)("[accounts.lake]: no key; see [/dev/x]")
    assert "[accounts.lake]: no key; see [/dev/x]\n" == console.file.getvalue()  # type: ignore[attr-defined]
