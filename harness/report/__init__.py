"""Reports of a run: in the terminal, as a page, in a pull request and for a CI server."""

from __future__ import annotations

import json
from pathlib import Path

from harness.files import write_text
from harness.parity.compare import Parity
from harness.plan import Plan
from harness.results import Result
from harness.runs import JUNIT
from harness.stored_json import parse_json
from harness.views.drawings import Drawings

HTML = "report.html"
MARKDOWN = "report.md"
PARITY = "parity.json"
DRAWINGS = "drawings.json"
"""The drawings of the page, for the report of a later run with the same numbers."""


def write_reports(plan: Plan, result: Result, folder: Path, parity: Parity | None = None) -> None:
    """Write the HTML page, the Markdown comment and the JUnit results of a run into a folder.

    Args:
        plan: The run's plan.
        result: The run's result.
        folder: The run's folder.
        parity: The comparison of another run (``a``) with this one (``b``); also written, with every value.

    Raises:
        PrerequisiteError: The folder can't be written.
    """
    # Imported here: jinja2 takes longer to load than most commands take to answer.
    from harness.report.html import render_html
    from harness.report.junit import render_junit
    from harness.report.markdown import render_markdown

    if parity is not None:
        write_text(folder / PARITY, parity.model_dump_json(indent=2) + "\n")
    drawings = Drawings(_read_drawings(folder.parent / result.reused_from) if result.reused_from else {})
    write_text(folder / HTML, render_html(plan, result, parity, drawings))
    write_text(folder / DRAWINGS, json.dumps(drawings.used) + "\n")
    write_text(folder / MARKDOWN, render_markdown(plan, result, parity))
    write_text(folder / JUNIT, render_junit(result, parity))


def _read_drawings(folder: Path) -> dict[str, str]:
    """Return the drawings of a run's report; none if they can't be read."""
    try:
        values = parse_json((folder / DRAWINGS).read_bytes())
        return {str(key): str(svg) for key, svg in values.items()}
    except (OSError, ValueError, AttributeError):
        return {}
