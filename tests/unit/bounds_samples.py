"""Versions, scenarios and judged bounds for tests of bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.bounds.judge import Baselines, judge_versions
from harness.metrics import METRICS
from harness.results import BoundResult, FeatureExplanation, VersionResult
from harness.scenario.model import Scenario


def version(name: str = "march", **changes: Any) -> VersionResult:
    """Return a trained version with changes."""
    values = {
        "name": name,
        "version": 0,
        "rows": 100,
        "fingerprint": "0" * 32,
        "schema": {"id": "int"},
        "status": "trained",
    }
    return VersionResult.model_validate(values | changes)


def measured(name: str, **metrics: float | None) -> VersionResult:
    """Return a version with these metrics, on enough rows of both classes unless they say otherwise."""
    return version(name, metrics={**enough_rows(metrics), **metrics})


def enough_rows(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Return counts of rows and positives with which these metrics are proven."""
    classes = [
        METRICS[name].classes for name, value in metrics.items() if value is not None and name in METRICS
    ]
    counts = [(each.rows, each.positives) for each in classes if each is not None]
    return {name: count for names in counts for name, count in zip(names, (1000.0, 100.0), strict=True)}


def explained(name: str, weights: Mapping[str, float]) -> VersionResult:
    """Return a version with these weights per standard deviation; its raw weights are different."""
    explanations = {
        feature: FeatureExplanation(
            mean=1000 * weight, mean_abs=1000 * abs(weight), mean_per_sd=weight, mean_abs_per_sd=abs(weight)
        )
        for feature, weight in weights.items()
    }
    return version(name, explanations=explanations, metrics={"lime_r2_mean": 0.9})


def scenario(versions: Sequence[Mapping[str, Any]], **changes: Any) -> Scenario:
    """Return a scenario of these versions, which append all rows by default."""
    values = {
        "name": "bounds",
        "table": {"source": "rows.csv", "key": "id"},
        "pipeline": {
            "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
            "features": ["amount"],
        },
        "versions": [{"append": {}, **each} for each in versions],
    }
    return Scenario.model_validate(values | changes)


def judge(
    expect: Mapping[str, Any],
    now: VersionResult,
    *earlier: VersionResult,
    baselines: Baselines | None = None,
) -> list[BoundResult]:
    """Return the judged bounds of one version's expectations, after some earlier versions.

    Metrics of baselines are measured on enough rows, unless they say otherwise.
    """
    baselines = {
        run: {name: {**enough_rows(numbers), **numbers} for name, numbers in of_run.items()}
        for run, of_run in (baselines or {}).items()
    }
    names = [{"name": each.name} for each in earlier]
    expected = scenario([*names, {"name": now.name, "expect": expect}])
    return list(judge_versions(expected, [*earlier, now], baselines)[-1].bounds)


def judge_one(
    expect: Mapping[str, Any],
    now: VersionResult,
    *earlier: VersionResult,
    baselines: Baselines | None = None,
) -> BoundResult:
    """Return the judged bound of expectations with one part."""
    [bound] = judge(expect, now, *earlier, baselines=baselines)
    return bound
