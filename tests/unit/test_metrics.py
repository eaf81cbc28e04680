"""The list of metrics, from which every other list of them is derived."""

from __future__ import annotations

import pytest

from harness.bounds.quantities import list_numbers
from harness.metrics import ADDED, COUNTS, HELD_OUT_METRICS, METRICS, QUALITY_METRICS, Classes
from harness.scenario.expectations import Expect


@pytest.mark.parametrize("name", HELD_OUT_METRICS)
def test_a_metric_on_held_out_rows_exists_for_added_rows(name: str) -> None:
    """Each metric on held-out rows has one on added rows with the same domain and direction."""
    metric, added = METRICS[name], METRICS[f"{ADDED}{name}"]
    assert (metric.domain, metric.better) == (added.domain, added.better)
    assert (metric.standard_error and f"{ADDED}{metric.standard_error}") == added.standard_error
    expected = metric.classes and Classes(
        f"{ADDED}{metric.classes.rows}", f"{ADDED}{metric.classes.positives}"
    )
    assert expected == added.classes
    assert "that this version added" in added.meaning or f"{ADDED}test_" in added.meaning


def test_only_metrics_on_held_out_rows_exist_for_added_rows() -> None:
    """Each metric on added rows has one on all held-out rows."""
    added = [name.removeprefix(ADDED) for name in METRICS if name.startswith(ADDED)]
    assert list(HELD_OUT_METRICS) == added


def test_a_metric_depends_on_other_metrics_only() -> None:
    """The rows of a metric are counted by other metrics, and its standard error has its own domain."""
    classes = [each.classes for each in METRICS.values() if each.classes]
    assert {METRICS[name].domain for each in classes for name in (each.rows, each.positives)} == {COUNTS}
    with_error = [each for each in METRICS.values() if each.standard_error]
    assert [each.domain for each in with_error] == [
        METRICS[each.standard_error or ""].domain for each in with_error
    ]


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_a_name_and_a_meaning(name: str) -> None:
    """Each metric has a name and a meaning without placeholders, and no count has a better direction."""
    metric = METRICS[name]
    assert name == metric.name
    assert metric.meaning
    assert not {"{", "}"} & set(metric.meaning)
    assert metric.domain != COUNTS or name not in QUALITY_METRICS


@pytest.mark.parametrize("name", METRICS)
def test_a_bound_has_the_domain_of_its_metric(name: str) -> None:
    """A bound has the domain that the list of metrics gives its metric."""
    [number] = list_numbers(Expect.model_validate({"metrics": {name: 0.5}}))
    assert number.domain == METRICS[name].domain
