"""Single rows in the reports: those whose score moved most, and those that changed."""

from __future__ import annotations

import io
import re
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console

from harness.parity.moved_scores import compare_scores
from harness.prediction_files import name_file, write_predictions
from harness.predictions import Predictions
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.terminal.verdict_summary import show_verdict
from harness.results import MovedRow, Result, StoredPredictions, VersionResult
from harness.views.moved_rows import build_changed_tables, build_moved_tables, describe_predictions
from tests.unit import report_samples as samples
from tests.unit.predictions_samples import make_predictions

_NASTY = "<b>|`x`|\n"


def _version(**changes: object) -> VersionResult:
    return samples.version(
        "february", 1, **{"moved": samples.moved(), "changed_columns": samples.changed_columns(), **changes}
    )


def _result(**changes: object) -> Result:
    return samples.result((samples.version("january", 0), _version(**changes)))


def _render_html(result: Result) -> str:
    """Return the text of the page's section about rows; empty if there is none."""
    page = render_html(samples.plan(), result)
    _, _, section = page.partition('<section aria-labelledby="rows">')
    text = re.sub("<[^>]+>", " ", section.partition("</section>")[0].replace("<wbr>", ""))
    return " ".join(unescape(text).split())


def _render_terminal(result: Result) -> str:
    file = io.StringIO()
    show_verdict(Console(file=file, width=200), result, Path("/runs/one"))
    return file.getvalue()


def test_a_moved_row_has_its_scores_and_weights() -> None:
    """A line has key, label, both scores, their difference, and each weight at the versions that have it."""
    [table] = build_moved_tables(_result().versions)
    assert "january → february" == table.title
    assert [
        ("100000", "negative", "0.1250", "0.7500", "+0.6250", "int_rate +0.0102 → +0.0117; dti -0.5000"),
        ("100001", "positive", "0.1250", "0.7400", "+0.6150", "not explained"),
    ] == list(table.lines)


def test_a_changed_row_has_a_line_per_column() -> None:
    """The note counts the rows by column, sensitive ones together; an example shows both values."""
    [table] = build_changed_tables(_result().versions)
    assert "dti in 120 rows, term in 1 row, sensitive columns in 3 rows." == table.note
    assert [("100007", "dti", "18.4", "null"), ("", "term", "36 months", "60 months")] == list(table.lines)


def test_a_row_with_many_changes_is_shown_in_part() -> None:
    """Of a row with many changed columns, the first ones are shown, and the others counted."""
    values = {f"column_{at}": ("0", "1") for at in range(10)}
    changed = samples.changed_columns(examples=({"key": "1", "values": values},))
    [table] = build_changed_tables(_result(changed_columns=changed).versions)
    assert (9, ("", "and 2 more columns", "", "")) == (len(table.lines), table.lines[-1])
    many = samples.changed_columns(columns={f"column_{at}": 1 for at in range(20)}, sensitive=0)
    [table] = build_changed_tables(_result(changed_columns=many).versions)
    assert table.note.endswith("column_11 in 1 row, 8 more columns.")


def test_every_report_has_the_rows() -> None:
    """The page and the comment have the rows that moved and changed; the terminal has a summary."""
    result = _result()
    expected = ("january → february", "100001", "+0.6150", "1,358 held-out rows with a score in both")
    page, comment = _render_html(result), render_markdown(samples.plan(), result)
    assert [[], []] == [[text for text in expected if text not in report] for report in (page, comment)]
    assert all("60 months" in report and "120 rows" in report for report in (page, comment))
    assert all(
        text in _render_terminal(result)
        for text in (
            "Rows whose score moved most, january → february",
            "Changed at february: dti in 120 rows,",
        )
    )


def test_the_terminal_shows_a_few_rows_of_the_last_version() -> None:
    """The terminal shows five rows, of the last version that has some to compare."""
    many = samples.result(
        (
            _version(moved=samples.moved(rows=10)),
            samples.version("march", 2, moved=samples.moved("march", 10)),
        )
    )
    shown = _render_terminal(many)
    assert (5, True, False) == (
        len(re.findall(r"10000\d", shown)),
        "january → march" in shown,
        "january → february" in shown,
    )


def test_a_run_without_rows_says_nothing() -> None:
    """Without predictions, no report has a section about rows."""
    result = samples.result()
    assert "" == _render_html(result)
    for report in (render_markdown(samples.plan(), result), _render_terminal(result)):
        assert "score moved most" not in report


def test_versions_without_common_rows_are_explained() -> None:
    """If no row is in both versions, the report says why no row was compared."""
    moved = samples.moved(rows=0, compared=0, reason="no row has a score in both")
    assert "Not compared: no row has a score in both." in _render_html(_result(moved=moved))
    [table] = build_moved_tables(_result(moved=samples.moved(rows=0)).versions)
    assert table.note.endswith("no score differs.")


def test_a_sample_is_declared() -> None:
    """If only a part of the held-out rows was kept, the reports say how many, and how they were chosen."""
    stored = StoredPredictions(
        file="predictions/february.parquet", sha256="0", rows=100_000, held_out=250_000
    )
    result = _result(predictions=stored)
    expected = (
        "february: 100,000 of 250,000 held-out rows were compared and kept, chosen by a hash of the key."
    )
    assert (expected,) == describe_predictions(result)
    assert expected in _render_html(result)
    assert expected in render_markdown(samples.plan(), result)
    assert () == describe_predictions(_result(predictions=stored.model_copy(update={"held_out": 100_000})))


def test_values_cannot_break_a_report() -> None:
    """Keys and values with markup are shown as they are, and no table of the comment gets more cells."""
    row = MovedRow(key=_NASTY, before=0.1, after=0.9)
    changed = samples.changed_columns(examples=({"key": _NASTY, "values": {"dti": (_NASTY, _NASTY)}},))
    result = _result(moved=samples.moved(rows=0).model_copy(update={"rows": (row,)}), changed_columns=changed)
    assert (
        "<b>"
        not in render_html(samples.plan(), result)
        .partition('aria-labelledby="rows"')[2]
        .partition("</section>")[0]
    )
    lines = [line for line in render_markdown(samples.plan(), result).splitlines() if "<b>" in line]
    assert [7, 5] == [line.replace("\\|", "").count("|") for line in lines]


A, B = "20260301-101500-three_versions-7f3a", "20260302-101500-three_versions-0b1c"


def _store(folder: Path, predictions: Predictions | None, run_id: str) -> Result:
    stored = None
    if predictions is not None:
        write_predictions(predictions, folder / name_file("march"))
        stored = StoredPredictions(file=name_file("march"), sha256="0", rows=1, held_out=1)
    return samples.result((samples.version("march", 2, predictions=stored),), run_id=run_id)


@pytest.mark.parametrize(("count", "expected"), [(10, ["b", "a"]), (1, ["b"])])
def test_two_runs_are_compared_row_by_row(tmp_path: Path, count: int, expected: list[str]) -> None:
    """The rows whose score differs most between two runs are named, as many as asked for."""
    folders = (tmp_path / "a", tmp_path / "b")
    a = _store(folders[0], make_predictions({"a": 0.5, "b": 0.5, "c": 0.5}), A)
    b = _store(folders[1], make_predictions({"a": 0.4, "b": 0.9, "c": 0.5}), B)
    [moved] = compare_scores(a, b, folders, count)
    assert ("march", 3, expected) == (moved.version, moved.compared, [row.key for row in moved.rows])


def test_a_run_without_predictions_has_a_reason(tmp_path: Path) -> None:
    """If one of the runs has no predictions, it is named; if neither has any, there is nothing to report."""
    folders = (tmp_path / "a", tmp_path / "b")
    a, b = _store(folders[0], make_predictions({"a": 0.5}), A), _store(folders[1], None, B)
    [moved] = compare_scores(a, b, folders)
    assert f"the run {B} has no predictions for it" == moved.reason
    assert () == compare_scores(b, b, folders)
    (folders[0] / name_file("march")).unlink()
    assert () == compare_scores(a, b, folders)


def test_untrained_versions_are_not_compared(tmp_path: Path) -> None:
    """A version that a run doesn't have, or trained no model on, is left out."""
    a = _store(tmp_path, make_predictions({"a": 0.5}), A)
    untrained = samples.result((samples.version("march", 2, status="built"), samples.version("april", 3)))
    assert () == compare_scores(a, untrained, (tmp_path, tmp_path))
