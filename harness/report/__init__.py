"""Reports of a run: in the terminal, as a page, in a pull request and for a CI server."""

from __future__ import annotations

from pathlib import Path

from harness.files import write_text
from harness.parity.compare import Parity
from harness.plan import Plan
from harness.results import Result
from harness.runs import JUNIT

HTML = "report.html"
MARKDOWN = "report.md"
PARITY = "parity.json"


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
    # Imported here: matplotlib and jinja2 take longer to load than most commands take to answer.
    from harness.report.html import render_html
    from harness.report.junit import render_junit
    from harness.report.markdown import render_markdown

    if parity is not None:
        write_text(folder / PARITY, parity.model_dump_json(indent=2) + "\n")
    write_text(folder / HTML, render_html(plan, result, parity))
    write_text(folder / MARKDOWN, render_markdown(plan, result, parity))
    write_text(folder / JUNIT, render_junit(result, parity))
