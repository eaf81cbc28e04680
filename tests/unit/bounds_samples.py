"""Versions and expectations for tests of bounds: a scenario is made around whatever a test expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.bounds.judge import Baselines, judge_versions
from harness.results import BoundResult, FeatureExplanation, VersionResult
from harness.scenario.model import Scenario


def version(name: str = "march", **changes: Any) -> VersionResult:
    """A version; its metrics, and whatever a test changes about it."""
    said = {
        "name": name,
        "version": 0,
        "rows": 100,
        "fingerprint": "0" * 32,
        "schema": {"id": "int"},
        "status": "trained",
    }
    return VersionResult.model_validate(said | changes)


def measured(name: str, **metrics: float | None) -> VersionResult:
    """A version with these metrics."""
    return version(name, metrics=metrics)


def explained(name: str, weights: Mapping[str, float]) -> VersionResult:
    """A version with these weights per standard deviation; in their own units they are others."""
    explanations = {
        feature: FeatureExplanation(
            mean=1000 * weight, mean_abs=1000 * abs(weight), mean_per_sd=weight, mean_abs_per_sd=abs(weight)
        )
        for feature, weight in weights.items()
    }
    return version(name, explanations=explanations)


def scenario(versions: Sequence[Mapping[str, Any]], **changes: Any) -> Scenario:
    """A scenario of these versions, which append all rows where they say nothing else."""
    said = {
        "name": "bounds",
        "table": {"source": "rows.csv", "key": "id"},
        "pipeline": {
            "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
            "features": ["amount"],
        },
        "versions": [{"append": {}, **each} for each in versions],
    }
    return Scenario.model_validate(said | changes)


def judge(
    expect: Mapping[str, Any],
    now: VersionResult,
    *earlier: VersionResult,
    baselines: Baselines | None = None,
) -> list[BoundResult]:
    """What comes of expectations of a version, after these others."""
    names = [{"name": each.name} for each in earlier]
    expected = scenario([*names, {"name": now.name, "expect": expect}])
    return list(judge_versions(expected, [*earlier, now], baselines)[-1].bounds)


def judge_one(
    expect: Mapping[str, Any],
    now: VersionResult,
    *earlier: VersionResult,
    baselines: Baselines | None = None,
) -> BoundResult:
    """The same of expectations that have one part."""
    [bound] = judge(expect, now, *earlier, baselines=baselines)
    return bound
