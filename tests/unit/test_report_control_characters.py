"""Control characters of the data in every report: visible, and without effect."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from harness.cli.options import report_error
from harness.errors import UsageError
from harness.plan import Plan
from harness.report.comparison_page import ComparedRun, render_comparison
from harness.report.github import list_verdict_commands
from harness.report.html import render_html
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.report.runs_page import write_runs_page
from harness.report.terminal.console import PlainConsole
from harness.report.terminal.verdict_summary import show_verdict
from harness.results import Result, Verdict
from harness.runs import PLAN, RESULT, RunFolder
from harness.targets.run_parity import compare_runs
from harness.views.kept_runs import RunFilter
from tests.unit import report_samples as samples

_NAME = "amount\x1b[31m\u202etxt"
_VISIBLE = r"amount\x1b[31m\u202etxt"
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
Render = Callable[[Plan, Result], str]


def _show_in_terminal(plan: Plan, result: Result) -> str:
    del plan
    file = io.StringIO()
    show_verdict(PlainConsole(file=file, width=300), result, Path("/runs"), compare_runs(result, result))
    return file.getvalue()


def _compare(plan: Plan, result: Result) -> str:
    other = result.model_copy(update={"run_id": _NAME})
    run = ComparedRun(result, plan)
    return render_comparison(run, ComparedRun(other), compare_runs(result, other))


def _render_runs(plan: Plan, result: Result) -> str:
    with TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder), "20260301-101500-three_versions-7f3a")
        (run.path / PLAN).write_text(
            plan.model_copy(update={"existing_table": _NAME}).model_dump_json(by_alias=True)
        )
        (run.path / RESULT).write_text(result.to_json())
        return write_runs_page(Path(folder), RunFilter()).read_text()


REPORTS: dict[str, Render] = {
    "html": render_html,
    "markdown": render_markdown,
    "junit": lambda _, result: render_junit(result),
    "github": lambda plan, result: "\n".join(list_verdict_commands(plan, result)),
    "terminal": _show_in_terminal,
    "comparison": _compare,
    "runs": _render_runs,
}


def _result() -> Result:
    """Return a result with control characters in every kind of text that comes from the data."""
    bound = samples.bound(_NAME, Verdict.FAIL, reason=_NAME)
    version = samples.version(
        "march",
        2,
        bounds=(bound,),
        schema={_NAME: _NAME},
        explanations={_NAME: samples.explanation(1)},
        metrics={_NAME: 1},
        coefficients={},
        run_id=_NAME,
        bundle=_NAME,
        unlabelled={_NAME: 1},
        nulls={_NAME: 0.5},
    )
    failure = samples.failure(message=_NAME, remedy=_NAME)
    return samples.result((version,), failure=failure, warnings=(_NAME,), libraries={_NAME: _NAME})


@pytest.mark.parametrize("render", REPORTS.values(), ids=REPORTS)
def test_control_characters_of_the_data_are_visible(render: Render) -> None:
    """A report shows control characters of the data as escapes, and contains none itself."""
    text = render(samples.plan(scenario_file=_NAME), _result())
    plain = unescape(text).replace("\\\\", "\\").replace("\\[", "[").replace("<wbr>", "")
    assert (_VISIBLE in plain, _RAW.findall(text)) == (True, [])


def test_progress_and_errors_show_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """What a run reports while it runs, and an error's message, can't control the terminal either."""
    file = io.StringIO()
    PlainConsole(file=file, force_terminal=True, color_system=None).print(_NAME, markup=False)
    report_error(UsageError(f"Unknown {_NAME}"))
    shown = file.getvalue() + capsys.readouterr().err
    assert (shown.count(_VISIBLE), _RAW.findall(shown)) == (2, [])


class _Page(HTMLParser):
    """The policy of a page, its style sheets, and everything that a policy has to allow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.policy: dict[str, str] = {}
        self.styles: list[str] = []
        self.used: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("http-equiv") == "Content-Security-Policy":
            directives = (each.split(maxsplit=1) for each in values["content"].split(";"))
            self.policy = {each[0]: each[1] for each in directives}
        elif tag in ("link", "style", "script"):
            assert self.policy, "the policy must come before everything that it is about"
        if "style" in values:
            self.used.add("style-src-attr 'unsafe-inline'")
        if any(name.startswith("on") for name in values) or tag in (
            "script",
            "form",
            "base",
            "iframe",
            "img",
        ):
            self.used.add(tag)
        for name in ("src", "href"):
            if name in values and not values[name].startswith("#"):
                self.used.add(f"img-src {values[name].partition(',')[0]}")
        if tag == "style":
            self.styles.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.styles[-1] += data


@pytest.mark.parametrize("kind", ["html", "comparison"])
def test_a_page_allows_only_what_it_uses(kind: str) -> None:
    """A page's policy allows its own style sheet, by its hash, and what is in the page, and nothing else."""
    page = _Page(REPORTS[kind](samples.plan(), samples.result()))
    digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in page.styles]
    expected = {
        "default-src": "'none'",
        "style-src-elem": " ".join(f"'sha256-{digest}'" for digest in digests),
        "style-src-attr": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert expected == page.policy
    assert {"style-src-attr 'unsafe-inline'", "img-src data:"} == page.used
