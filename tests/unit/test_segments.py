"""Bounds on segments of the held-out rows, and the part where the model is weakest."""

from __future__ import annotations

from typing import Any

import pytest

from harness.bounds.drift import merge_bins
from harness.bounds.judge import judge_versions
from harness.bounds.standard import History, run_check
from harness.loading.rules import check_rules
from harness.results import Verdict, VersionResult, WeakSegment
from harness.views.tables import build_segment_table
from tests.unit.bounds_samples import scenario, version
from tests.unit.studies_samples import result

_ENOUGH = {"test_rows": 1000.0, "test_positives": 100.0}


def _on(segment: str, **limits: Any) -> dict[str, Any]:
    return {"metrics": {"test_roc_auc": {**limits, "on": segment}}}


def _judge(values: dict[str, float], **limits: Any) -> Any:
    gate = scenario([{"name": "march", "expect": _on("long", **limits)}], segments={"long": "term = 60"})
    measured = version(metrics={**_ENOUGH, "test_roc_auc": 0.9}, segments={"long": values})
    [bound] = judge_versions(gate, [measured])[0].bounds
    return bound


def test_a_bound_on_a_segment_looks_at_its_rows_only() -> None:
    """The metric of the segment counts, not that of all rows."""
    bound = _judge({**_ENOUGH, "test_roc_auc": 0.55}, min=0.6)
    assert (Verdict.FAIL, 0.55) == (bound.verdict, bound.measured)
    assert "test_roc_auc on long" == bound.metric
    assert Verdict.PASS is _judge({**_ENOUGH, "test_roc_auc": 0.65}, min=0.6).verdict


def test_a_small_segment_proves_nothing() -> None:
    """The smaller class of the segment must be large enough."""
    bound = _judge({"test_rows": 50.0, "test_positives": 4.0, "test_roc_auc": 0.99}, min=0.6)
    assert (Verdict.NOT_PROVEN, "only 4 positives at march on long, fewer than 10") == (
        bound.verdict,
        bound.reason,
    )


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        (_on("lang", min=0.6), "unknown segment 'lang'. Did you mean 'long'?"),
        (
            {"metrics": {"cv_roc_auc": {"min": 0.6, "on": "long"}}},
            "'cv_roc_auc' can't be measured on a segment",
        ),
        ({"rows": {"min": 5, "on": "long"}}, "'rows' can't be measured on a segment"),
    ],
)
def test_a_bound_on_other_rows_is_a_mistake(expect: dict[str, Any], message: str) -> None:
    """It names the known rows, or what can be measured on them."""
    gate = scenario([{"name": "march", "expect": expect}], segments={"long": "term = 60"})
    assert any(problem.message.startswith(message) for problem in check_rules(gate))


def test_a_segment_needs_a_name_and_a_condition() -> None:
    """``added`` and ``all`` are taken."""
    gate = scenario([{"name": "march"}], segments={"added": "x = 1", "empty": " "})
    messages = [problem.message for problem in check_rules(gate)]
    assert "bounds already use 'on: added' for other rows; choose another name for the segment." in messages
    assert "the segment 'empty' has an empty condition; remove it, or write SQL." in messages


def test_the_report_shows_segments_and_the_weakest_part() -> None:
    """Each with the number of its rows."""
    weakest = WeakSegment(name="term = 60", rows=400, positives=40, roc_auc=0.55, roc_auc_se=0.04)
    measured = version(
        segments={"long": {**_ENOUGH, "test_roc_auc": 0.7, "test_roc_auc_se": 0.02}}, weakest=weakest
    )
    table = build_segment_table(result(measured))
    assert ["long", "weakest part"] == [row.label for row in table.rows]
    assert "1,000 rows, 100 positive" == table.rows[0].cells[0].note
    assert "term = 60: 400 rows, 40 positive" == table.rows[1].cells[0].note


def test_bins_are_merged_from_the_first_on() -> None:
    """Each has the share, and the last one what is left over."""
    assert ((3, 2), (1, 9)) == merge_bins((1, 2, 0, 2, 0), (0, 1, 3, 4, 2), 0.4)
    assert ((5,), (1,)) == merge_bins((5, 0), (0, 1), 0.5)


def _score(before: tuple[int, ...], added: tuple[int, ...]) -> VersionResult:
    return version(scores={"before": before, "added": added})


def test_the_standard_gate_compares_scores() -> None:
    """The scores of the added rows must be spread as those from before, beyond chance."""
    same, other = _score((500, 500), (260, 240)), _score((500, 500), (20, 480))
    holds = [run_check("score", History(each, each, ())).holds for each in (same, other)]
    assert [True, False] == holds
    assert run_check("score", History(_score((9, 9), (0, 18)), None, ())).holds
