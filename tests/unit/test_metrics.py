"""The list of metrics is complete in itself: every other list of them is derived from it."""

from __future__ import annotations

import pytest

from harness.bounds.quantities import numbers
from harness.metrics import ADDED, COUNTS, METRICS, OF_QUALITY, ON_HELD_OUT, SHARES
from harness.scenario.expectations import Expect


@pytest.mark.parametrize("name", ON_HELD_OUT)
def test_a_metric_on_held_out_rows_exists_for_added_rows(name: str) -> None:
    """The metric of added rows has the same domain and direction, and depends on metrics of added rows."""
    metric, added = METRICS[name], METRICS[f"{ADDED}{name}"]
    assert (metric.domain, metric.better) == (added.domain, added.better)
    assert [f"{ADDED}{each}" for each in (metric.positives, metric.standard_error) if each] == [
        each for each in (added.positives, added.standard_error) if each
    ]
    assert "that this version added" in added.meaning or f"{ADDED}test_roc_auc" in added.meaning


def test_only_metrics_on_held_out_rows_exist_for_added_rows() -> None:
    """There is no metric of added rows without the one of all rows."""
    added = [name.removeprefix(ADDED) for name in METRICS if name.startswith(ADDED)]
    assert list(ON_HELD_OUT) == added


def test_what_a_metric_depends_on_is_a_metric() -> None:
    """Positives are counts, and standard errors are shares."""
    assert {METRICS[each.positives].domain for each in METRICS.values() if each.positives} == {COUNTS}
    assert {METRICS[each.standard_error].domain for each in METRICS.values() if each.standard_error} == {
        SHARES
    }


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_a_name_and_a_meaning(name: str) -> None:
    """The meaning is finished text, and a count has no better direction."""
    metric = METRICS[name]
    assert name == metric.name
    assert metric.meaning
    assert not {"{", "}"} & set(metric.meaning)
    assert metric.domain != COUNTS or name not in OF_QUALITY


@pytest.mark.parametrize("name", METRICS)
def test_a_bound_has_the_domain_of_its_metric(name: str) -> None:
    """The rules of bounds take the domain from the list of metrics."""
    [number] = numbers(Expect.model_validate({"metrics": {name: 0.5}}))
    assert number.domain == METRICS[name].domain
