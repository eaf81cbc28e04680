"""A result in a notebook: as a part of a page, and as a pandas table."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from harness.report.html import render_html
from harness.results import Result, Verdict
from harness.views.drawings import Drawings
from harness.views.result_frame import COLUMNS
from tests.unit import report_samples


@pytest.fixture(name="result", scope="module")
def _result() -> Result:
    return report_samples.result()


@pytest.fixture(name="page", scope="module")
def _page(result: Result) -> str:
    return result._repr_html_()


class _Parser(HTMLParser):
    """A parser that records elements and the attributes that load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.loaded += [
            value or ""
            for name, value in attrs
            if name in ("src", "href") and not (value or "").startswith("#")
        ]


def test_a_notebook_shows_verdict_bounds_and_plots(result: Result, page: str) -> None:
    """A result shows its verdict, every bound with its value, and the plots of the report."""
    whole = render_html(report_samples.plan(), result)
    assert f"> {report_samples.result().verdict.value.upper()}</h2>" in page
    tables = [re.findall(r'<table class="matrix">.*?</table>', text, re.DOTALL) for text in (page, whole)]
    assert tables[0] == tables[1] != []
    plots = [set(re.findall(r"<svg.*?</svg>", text, re.DOTALL)) for text in (page, whole)]
    assert plots[0] <= plots[1]
    assert len(plots[0]) > len(result.versions)


def test_a_result_in_a_notebook_loads_nothing(page: str) -> None:
    """The part of the page has no scripts, loads nothing, and contains no other page."""
    parsed = _Parser(page)
    assert [] == parsed.loaded
    assert set() == {"script", "link", "html", "body", "img", "iframe"} & set(parsed.elements)
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_a_result_leaves_the_rest_of_the_page_alone(page: str) -> None:
    """Every rule of its style sheet applies within the result only, and colors follow the page's scheme."""
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    top = _list_top_selectors(style)
    assert {".harness-result", "@media (prefers-color-scheme: dark)"} == top
    assert "background: var(--paper); color: var(--ink)" in style


def test_two_results_have_different_anchors(page: str) -> None:
    """The headings of two results on one page have different ids; plots with the same id are the same."""
    other = report_samples.result().model_copy(update={"run_id": "other"})
    ids = [
        [each for each in _Parser(text).ids if each.endswith(("verdict", "bounds"))]
        for text in (page, other._repr_html_())
    ]
    assert [2, 2, 4] == [len(ids[0]), len(ids[1]), len({*ids[0], *ids[1]})]


def test_a_result_escapes_what_it_shows(result: Result) -> None:
    """Markup in a result's texts is shown, not interpreted."""
    page = result.model_copy(update={"warnings": ("<script>alert(1)</script>",)})._repr_html_()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


def test_a_failed_run_shows_why() -> None:
    """A run that stopped shows the reason and what to do, even if it has no versions."""
    stopped = report_samples.result(versions=(), failure=report_samples.failure(), verdict=Verdict.NOT_PROVEN)
    page = stopped._repr_html_()
    assert "STOPPED" in page
    assert report_samples.failure().message.split("'")[0] in page
    assert "<table" not in page


def test_methods_for_notebooks_are_no_part_of_the_document(result: Result) -> None:
    """Showing a result changes neither the result nor its JSON."""
    before = result.to_json()
    result._repr_html_()
    result.to_pandas()
    assert before == result.to_json()


def test_every_bound_and_every_metric_has_a_row(result: Result) -> None:
    """The table has a row for each bound, and one for each metric of a version that has no bound."""
    frame = result.to_pandas()
    judged = frame[frame["bound"].notna()]
    assert sum(len(version.bounds) for version in result.versions) == len(judged)
    for version in result.versions:
        rows = frame[frame["version"] == version.name]
        assert set(version.metrics) <= set(rows["metric"])
        assert {version.version} == set(rows["number"])
        for name, value in version.metrics.items():
            found = set(rows.loc[rows["metric"] == name, "value"].dropna())
            assert ({value} if value is not None else set()) == found


def test_a_change_has_its_metric_and_its_difference(result: Result) -> None:
    """A row of a bound on a change has the metric itself, and the difference that the bound compares."""
    frame = result.to_pandas()
    [bound] = [each for each in result.versions[1].bounds if each.metric == "cv_roc_auc" and each.since]
    [row] = frame.query("number == 1 and metric == 'cv_roc_auc' and since == 'january'").to_dict("records")
    assert (bound.measured, bound.text, bound.outcome.value) == (
        row["measured"],
        row["bound"],
        row["verdict"],
    )
    assert result.versions[1].metrics["cv_roc_auc"] == row["value"]


def test_the_table_has_fixed_columns_even_if_it_is_empty(result: Result) -> None:
    """A run without versions gives an empty table with the same columns and types."""
    empty = result.model_copy(update={"versions": ()}).to_pandas()
    assert 0 == len(empty)
    assert list(result.to_pandas().dtypes) == list(empty.dtypes)
    assert list(COLUMNS) == list(empty.columns)


def test_a_metric_of_all_versions_is_a_row_each(result: Result) -> None:
    """Values by version and metric can be pivoted: repeated rows of a metric have the same value."""
    frame = result.to_pandas()
    wide = frame.pivot_table(index="version", columns="metric", values="value", sort=False)
    assert [version.name for version in result.versions] == list(wide.index)
    expected = [version.metrics["test_roc_auc"] for version in result.versions]
    assert expected == pytest.approx(list(wide["test_roc_auc"]))
    assert isinstance(wide, pd.DataFrame)


def test_known_drawings_are_used(result: Result) -> None:
    """Drawings of the report can be shown again without drawing them."""
    from harness.report.html import render_result

    drawings = Drawings()
    page = render_result(result, drawings)
    assert page == render_result(result, Drawings(dict(drawings.used)))


def _list_top_selectors(style: str) -> set[str]:
    """Return what is before the outermost braces."""
    depth, text, found = 0, "", set[str]()
    for character in style:
        if character == "{":
            if depth == 0:
                found.add(text.strip())
            depth, text = depth + 1, ""
        elif character == "}":
            depth, text = depth - 1, ""
        else:
            text += character
    assert depth == 0
    return found
