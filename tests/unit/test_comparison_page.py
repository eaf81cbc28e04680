"""The page that shows two runs side by side."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode
from harness.report.comparison_page import (
    ComparedRun,
    Pair,
    group_data,
    group_metrics,
    group_weights,
    pair_bounds,
    pair_facts,
    render_comparison,
)
from harness.results import Result, Verdict
from harness.runs import PLAN, RESULT
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples

A, B = "20260301-101500-three_versions-7f3a", "20260302-101500-three_versions-0b1c"
GOOD, OTHER = ComparedRun(samples.result(run_id=A), samples.plan()), samples.result(run_id=B)


def _one(**changes: Any) -> Result:
    return samples.result((samples.version("march", 2, **changes),))


def _page(a: ComparedRun, b: ComparedRun) -> str:
    return render_comparison(a, b, compare_runs(a.result, b.result))


def test_different_facts_come_first() -> None:
    """Different facts are listed first; of the settings, only different ones are listed."""
    plan = samples.plan(harness_version="0.2.0")
    pairs = pair_facts(GOOD, ComparedRun(OTHER, plan))
    differing = [pair for pair in pairs if pair.differs]
    assert list(pairs[: len(differing)]) == differing
    assert Pair("Harness", GOOD.plan.harness_version if GOOD.plan else "", "0.2.0", differs=True) in differing
    assert not any(pair.name.startswith("setting ") for pair in pairs)


def test_a_run_without_a_plan_is_described_by_its_result() -> None:
    """A run whose plan can't be read is described by its result."""
    pairs = {pair.name: pair for pair in pair_facts(ComparedRun(OTHER), GOOD)}
    assert (B, A) == (pairs["Run"].a, pairs["Run"].b)
    assert ("", True) == (pairs["Seed"].a, pairs["Seed"].differs)


def test_bounds_with_different_outcomes_come_first() -> None:
    """Bounds with different outcomes, and bounds of only one run, are listed first."""
    passed, failed = samples.bound("test_f1"), samples.bound("test_f1", Verdict.FAIL)
    rows = samples.bound("rows", limit=1.0)
    pairs = pair_bounds(_one(bounds=(rows, passed)), _one(bounds=(rows, failed, passed)))
    assert [("test_f1", True), ("test_f1", True), ("rows", False)] == [
        (pair.column, pair.outcome_differs) for pair in pairs
    ]
    assert pairs[1].a is None


def test_metrics_are_paired_with_their_difference() -> None:
    """Metrics are paired with their difference, second run minus first; a missing one is empty."""
    a = _one(metrics={"test_roc_auc": 0.7, "test_roc_auc_se": 0.02, "test_f1": 0.5, "own": 1.0})
    b = _one(metrics={"test_roc_auc": 0.75, "test_roc_auc_se": 0.02, "test_f1": 0.5})
    [(version, pairs)] = group_metrics(a, b)
    assert "march" == version
    assert (
        Pair("test_roc_auc", "0.7000 ± 0.020", "0.7500 ± 0.020", "+0.0500", differs=True),
        Pair("own", "1", "", "", differs=True),
        Pair("test_f1", "0.5000", "0.5000", "0", differs=False),
    ) == pairs


def test_the_largest_difference_in_weight_comes_first() -> None:
    """The feature with the largest difference in weight is listed first."""
    a = _one(explanations={"x": samples.explanation(0.1), "y": samples.explanation(0.1)})
    b = _one(explanations={"x": samples.explanation(0.11), "y": samples.explanation(-0.3)})
    [(_, pairs)] = group_weights(a, b)
    assert ["y", "x"] == [pair.name for pair in pairs]


def test_a_version_that_one_run_lacks_is_shown() -> None:
    """A version that only one run has is shown with an empty side."""
    both, one = samples.result(), samples.result(samples.result().versions[:2])
    name, pairs = group_data(one, both)[-1]
    assert ("march", {""}) == (name, {pair.a for pair in pairs})


class _Tags(HTMLParser):
    """A parser that records the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_can_be_read_by_all() -> None:
    """Each header cell has a scope, each plot a text, each section a heading linked from the contents."""
    parser = _Tags()
    parser.feed(_page(GOOD, ComparedRun(OTHER, samples.plan())))
    assert {"row", "col"} == {attributes.get("scope") for tag, attributes in parser.found if tag == "th"}
    drawn = [attributes for tag, attributes in parser.found if tag == "svg"]
    assert drawn
    assert all(each["role"] == "img" and each["aria-label"] for each in drawn)
    links = [attributes["href"] for tag, attributes in parser.found if tag == "a"]
    assert ["#verdict", *links] == [f"#{each['id']}" for tag, each in parser.found if tag == "h2"]


def test_names_are_escaped() -> None:
    """Names of features and versions are escaped."""
    name = "<script>alert(1)</script>"
    page = _page(ComparedRun(_one(explanations={name: samples.explanation(0.1)})), ComparedRun(_one()))
    assert "<script>" not in page


def test_the_page_loads_nothing() -> None:
    """The page loads nothing from the network."""
    page = _page(GOOD, ComparedRun(OTHER))
    assert not any(sign in page for sign in ("http:", "https:", "@import", "src="))


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a home with two runs; only the first one has a readable plan."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    for run_id in (A, B):
        folder = tmp_path / "runs" / run_id
        folder.mkdir(parents=True)
        result = samples.result(run_id=run_id).model_dump_json(by_alias=True)
        (folder / RESULT).write_text(result, encoding="utf-8")
    (tmp_path / "runs" / A / PLAN).write_text(samples.plan().model_dump_json(by_alias=True), encoding="utf-8")
    return tmp_path


def test_the_command_writes_the_page(home: Path) -> None:
    """The command compare writes the page and prints its path."""
    done = CliRunner().invoke(app, ["compare", A, B, "--html", "both.html"])
    assert (ExitCode.PASS, "page    both.html") == (done.exit_code, done.stdout.splitlines()[-1])
    assert A in (home / "both.html").read_text(encoding="utf-8")


def test_json_stays_json_beside_the_page(home: Path) -> None:
    """With --json, the page's path is printed to standard error."""
    done = CliRunner().invoke(app, ["compare", A, B, "--json", "--html", "both.html"])
    assert (True, "page    both.html\n") == (done.stdout.rstrip().endswith("}"), done.stderr)
    assert (home / "both.html").is_file()


@pytest.mark.usefixtures("home")
def test_a_page_that_cannot_be_written_is_reported() -> None:
    """A page that can't be written leads to exit code 3 and a message with the file."""
    done = CliRunner().invoke(app, ["compare", A, B, "--html", f"runs/{A}/{RESULT}/both.html"])
    assert done.exception is not None
    assert ExitCode.PREREQUISITE_MISSING == getattr(done.exception, "exit_code", None)
    assert "both.html" in str(done.exception) or RESULT in str(done.exception)
