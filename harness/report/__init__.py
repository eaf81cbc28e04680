"""How a run is shown: in the terminal, as a page, in a pull request, and to a CI server."""

from __future__ import annotations

from pathlib import Path

from harness.files import write_text
from harness.results import Result
from harness.scenario.plan import Plan

HTML = "report.html"
MARKDOWN = "report.md"
JUNIT = "junit.xml"


def write_reports(plan: Plan, result: Result, folder: Path) -> None:
    """Write the page, the pull request's comment and the CI server's results into a folder.

    Raises:
        NotThereError: The folder can't be written.
    """
    # Imported here: matplotlib and jinja2 take longer to load than most commands take to answer.
    from harness.report.html import render_html
    from harness.report.junit import render_junit
    from harness.report.markdown import render_markdown

    write_text(folder / HTML, render_html(plan, result))
    write_text(folder / MARKDOWN, render_markdown(plan, result))
    write_text(folder / JUNIT, render_junit(result))
