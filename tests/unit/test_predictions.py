"""Predictions of single rows: which moved most, and what is hidden of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.predictions import Prediction, Predictions, find_moved_rows, list_moved_keys, show_key
from harness.results import MovedRows
from harness.scenario.sensitive import hide_value
from tests.unit.predictions_samples import make_predictions


def find(before: Predictions, after: Predictions, **options: Any) -> MovedRows:
    return find_moved_rows(before, after, "first", "second", **options)


def test_the_rows_that_moved_most_come_first() -> None:
    """Rows with a score in both are sorted by the size of the difference, then by key."""
    before = make_predictions({"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5, "gone": 0.1})
    after = make_predictions({"a": 0.4, "b": 0.9, "c": 0.6, "d": 0.5, "new": 0.9})
    moved = find(before, after)
    assert (4, ["b", "a", "c"]) == (moved.compared, [row.key for row in moved.rows])
    assert (0.5, 0.9, 0.9 - 0.5) == (moved.rows[0].before, moved.rows[0].after, moved.rows[0].change)


def test_the_number_of_rows_is_limited() -> None:
    """Only as many rows as asked for are returned, and those are the first of the whole list."""
    before = make_predictions({str(at): 0.5 for at in range(30)})
    after = make_predictions({str(at): 0.5 + at / 100 for at in range(30)})
    assert (10, 29) == (len(find(before, after).rows), len(find(before, after, count=100).rows))
    assert ["29", "28"] == [row.key for row in find(before, after, count=2).rows]
    assert ["29", "28"] == list_moved_keys(before, after, 2)


def test_equal_scores_have_not_moved() -> None:
    """Scores that are equal but for rounding have not moved."""
    moved = find(make_predictions({"a": 0.5, "b": 0.1}), make_predictions({"a": 0.5 + 1e-12, "b": 0.1}))
    assert (2, (), "") == (moved.compared, moved.rows, moved.reason)


def test_a_score_that_is_not_a_number_is_not_compared() -> None:
    """A row whose score is not a number is not compared."""
    moved = find(make_predictions({"a": math.nan, "b": 0.1}), make_predictions({"a": 0.5, "b": 0.2}))
    assert (1, ["b"]) == (moved.compared, [row.key for row in moved.rows])


def test_no_common_row_has_a_reason() -> None:
    """If no row is in both, nothing was compared, and the result says so."""
    moved = find(make_predictions({"a": 0.5}), make_predictions({"b": 0.5}))
    assert (0, "no row has a score in both") == (moved.compared, moved.reason)


def test_a_moved_row_has_its_largest_weights() -> None:
    """The weights of a moved row are comparable, the largest first, from both sides if both explain it."""
    before = make_predictions({"a": 0.1}, weights={"a": (1.0, 0.01)}, scales=(0.1, 20.0))
    after = make_predictions({"a": 0.9}, weights={"a": (2.0, math.nan)}, scales=(0.1, 20.0))
    [row] = find(before, after).rows
    assert [("x", 0.1, 0.2), ("z", 0.2, None)] == [
        (each.feature, each.before, each.after) for each in sorted(row.weights, key=lambda each: each.feature)
    ]
    [unexplained] = find(make_predictions({"a": 0.1}), make_predictions({"a": 0.9})).rows
    assert () == unexplained.weights


@pytest.mark.parametrize("hidden", ["before", "after", "both"])
def test_hidden_keys_are_matched(hidden: str) -> None:
    """Rows are matched by digest if one side hides its keys, and the other side then hides them too."""
    before, after = make_predictions({"a": 0.1, "b": 0.5}), make_predictions({"a": 0.9, "b": 0.5})
    if hidden in ("before", "both"):
        before = before.hide_keys().hide_keys()
    if hidden in ("after", "both"):
        after = after.hide_keys()
    moved = find(before, after)
    assert (2, [hide_value("a")]) == (moved.compared, [row.key for row in moved.rows])


def test_a_digest_does_not_contain_the_value() -> None:
    """The digest of a value is always the same, differs from that of others, and hides the value."""
    assert hide_value("123-45-6789") == hide_value("123-45-6789") != hide_value("123-45-6780")
    assert "6789" not in hide_value("123-45-6789")


@pytest.mark.parametrize("side", ["before", "after"])
def test_weights_of_sensitive_columns_are_hidden(side: str) -> None:
    """If a column is sensitive on one side only, the weights of both sides are left out."""
    sides = {
        name: make_predictions({"a": score}, weights={"a": (1.0, 2.0)})
        for name, score in (("before", 0.1), ("after", 0.9))
    }
    sides[side] = sides[side].hide_columns({"x"})
    [row] = find(sides["before"], sides["after"]).rows
    assert ["z"] == [each.feature for each in row.weights]


def test_values_of_a_sensitive_category_are_hidden() -> None:
    """The slots of a sensitive categorical feature are left out; those of another with a longer name stay."""
    rows = (Prediction("a", 1.0, 0.5, "test", (1.0, 2.0, 3.0)),)
    every = Predictions(rows, features=("home=RENT", "home_size", "Home"), scales=(1.0, 1.0, 1.0))
    hidden = every.hide_columns({"home"})
    assert (("home_size",), (2.0,)) == (hidden.features, hidden.rows[0].weights)


def test_hidden_labels_are_left_out() -> None:
    """A moved row has no label if the label is hidden on one of the sides."""
    before, after = make_predictions({"a": 0.1}), make_predictions({"a": 0.9})
    assert [1.0, None, None] == [
        find(*pair).rows[0].label
        for pair in ((before, after), (before.hide_labels(), after), (before, after.hide_labels()))
    ]


@pytest.mark.parametrize(
    ("key", "parts", "expected"),
    [("7", 1, "7"), ("1:12:ab", 2, "1, ab"), ("3:1:22:b,", 2, "1:2, b,"), ("1:12:ab", 1, "1:12:ab")],
)
def test_a_key_is_shown_without_lengths(key: str, parts: int, expected: str) -> None:
    """A key of several columns is shown as its parts; a key of one column as it is."""
    assert expected == show_key(key, parts)
