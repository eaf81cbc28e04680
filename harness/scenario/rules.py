"""What a scenario must obey beyond its grammar."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.metrics import METRICS
from harness.scenario.model import Bound, Change, Pipeline, Scenario, Version
from harness.scenario.suggest import did_you_mean


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that is wrong with a scenario in itself, without looking at its data."""
    yield from _key(scenario.table.key)
    yield from _pipeline(scenario.pipeline)
    earlier: list[str] = []
    for index, version in enumerate(scenario.versions):
        at: Location = ("versions", index)
        if version.name in earlier:
            yield Problem(f"version name '{version.name}' is used twice.", (*at, "name"))
        yield from _version(version, at, earlier, [each.name for each in scenario.versions])
        earlier.append(version.name)


def _key(columns: tuple[str, ...]) -> Iterator[Problem]:
    for index, name in enumerate(columns):
        if name.lower() in [each.lower() for each in columns[:index]]:
            yield Problem(f"key column '{name}' is named twice.", ("table", "key", index))


def _pipeline(pipeline: Pipeline) -> Iterator[Problem]:
    """Spark knows columns whatever their case, so that ``Status`` is the label ``status``."""
    label = pipeline.label
    for value in label.positive:
        if value in label.negative:
            yield Problem(f"label value {value!r} is both positive and negative.", ("pipeline", "label"))
    if not pipeline.features and not pipeline.categorical:
        message = "the pipeline has no features; name at least one under 'features' or 'categorical'."
        yield Problem(message, ("pipeline",))
    seen: set[str] = set()
    for kind in ("features", "categorical"):
        for index, name in enumerate(getattr(pipeline, kind)):
            if name.lower() in seen:
                yield Problem(f"feature '{name}' is named twice.", ("pipeline", kind, index))
            if name.lower() == label.column.lower():
                yield Problem(f"the label column '{name}' can't be a feature.", ("pipeline", kind, index))
            seen.add(name.lower())


def _version(version: Version, at: Location, earlier: list[str], names: list[str]) -> Iterator[Problem]:
    if "rows" in version.expect.model_fields_set:
        yield from _bound("rows", version.expect.rows or Bound(), (*at, "expect", "rows"), earlier, names)
    for metric, bound in version.expect.metrics.items():
        where: Location = (*at, "expect", "metrics", metric)
        if metric not in METRICS:
            yield Problem(f"unknown metric '{metric}'.{did_you_mean(metric, METRICS)}", where)
        yield from _bound(metric, bound, where, earlier, names)


def _bound(
    metric: str, bound: Bound, at: Location, earlier: list[str], names: list[str]
) -> Iterator[Problem]:
    parts = (bound.min, bound.max, bound.equals, bound.change)
    if all(part is None for part in parts):
        yield Problem(f"the bound on '{metric}' says nothing; give min, max, equals or change.", at)
    else:
        yield from _empty(metric, bound, at)
    if bound.tolerance is not None and bound.equals is None:
        yield Problem(f"the bound on '{metric}' has a tolerance, but no equals.", (*at, "tolerance"))
    yield from _satisfiable(metric, bound, at)
    if bound.change is not None:
        yield from _change(metric, bound.change, (*at, "change"), earlier, names)


def _empty(metric: str, said: Bound | Change, at: Location) -> Iterator[Problem]:
    for name in sorted(said.model_fields_set):
        if getattr(said, name) is None:
            yield Problem(
                f"'{name}' of the bound on '{metric}' is empty; give a number, or leave it out.", (*at, name)
            )


def _satisfiable(metric: str, bound: Bound, at: Location) -> Iterator[Problem]:
    """The interval that all parts leave together must hold at least one number that the metric can take."""
    definition = METRICS.get(metric)
    low, high = -math.inf, math.inf
    if metric == "rows":
        low = 0.0
    elif definition is not None and definition.unit_interval:
        low, high = 0.0, 1.0
    low = max(low, bound.min) if bound.min is not None else low
    high = min(high, bound.max) if bound.max is not None else high
    if bound.equals is not None:
        low = max(low, bound.equals - (bound.tolerance or 0.0))
        high = min(high, bound.equals + (bound.tolerance or 0.0))
    if metric == "rows" and math.isfinite(high):
        low, high = math.ceil(low), math.floor(high)
    if low > high:
        said = ", ".join(
            f"{name} {value:g}"
            for name in ("min", "max", "equals")
            if (value := getattr(bound, name)) is not None
        )
        yield Problem(f"no number can meet the bound on '{metric}' ({said}).", at)


def _change(
    metric: str, change: Change, at: Location, earlier: list[str], names: list[str]
) -> Iterator[Problem]:
    if change.min is None and change.max is None:
        yield Problem(f"the change of '{metric}' says nothing; give min or max.", at)
    else:
        yield from _empty(metric, change, at)
    if change.min is not None and change.max is not None and change.min > change.max:
        yield Problem(
            f"no number can meet the change of '{metric}' (min {change.min:g}, max {change.max:g}).", at
        )
    if change.since not in earlier:
        if change.since in names:
            reason = f"version '{change.since}' is not earlier than this one"
        else:
            reason = f"there is no version '{change.since}'"
        yield Problem(
            f"the change of '{metric}' can't be told: {reason}.{did_you_mean(change.since, earlier)}",
            (*at, "since"),
        )
