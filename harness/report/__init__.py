"""How a run is shown: in the terminal, as a page, in a pull request, and to a CI server."""

from __future__ import annotations

from pathlib import Path

from harness.files import write_text
from harness.parity.compare import Parity
from harness.plan import Plan
from harness.results import Result

HTML = "report.html"
MARKDOWN = "report.md"
JUNIT = "junit.xml"
PARITY = "parity.json"


def write_reports(plan: Plan, result: Result, folder: Path, parity: Parity | None = None) -> None:
    """Write the page, the pull request's comment and the CI server's results into a folder.

    Args:
        plan: The run.
        result: What came out of it.
        folder: The run's own.
        parity: The run as ``b``, held against another one; written too, with every value.

    Raises:
        NotThereError: The folder can't be written.
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
