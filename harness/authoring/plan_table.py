"""What a run of a scenario will do, as far as that can be told without Spark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from harness.authoring.cost import Cost, expected_cost
from harness.authoring.step_words import rows_from, step_in_words
from harness.scenario.base import Model
from harness.scenario.expect import (
    FIRST,
    PREVIOUS,
    Agreement,
    Baseline,
    Bound,
    Change,
    Overlap,
    Schema,
)
from harness.scenario.model import Scenario, Version
from harness.scenario.predict import Prediction, predict
from harness.settings import Settings

DEPENDS = "depends on the data"
_ADDED = "added"
_WHEN = {"pass": "when every bound holds", "always": "whatever the bounds say"}


@dataclass(frozen=True)
class PlannedVersion:
    """One version, before it is there."""

    name: str
    step: str
    rows_from: str
    commits: int | None
    """Delta commits of the step; ``None`` where that depends on the data."""
    version: int | None
    """The Delta version after it; ``None`` where that depends on the data."""
    trained: bool
    read_by: str
    """``version`` or ``timestamp``."""
    bounds: int
    """How many of its bounds will be judged."""


@dataclass(frozen=True)
class Planned:
    """All that a run will do."""

    scenario: str
    table: str
    versions: tuple[PlannedVersion, ...]
    model: str
    """The built-in model's kind, or the pipeline in Python."""
    grid_points: int | None
    """``None`` where a pipeline in Python decides itself what to fit; the same of folds."""
    folds: int | None
    explained_rows: int
    samples_per_row: int
    published: str
    cost: Cost | None

    @property
    def fits(self) -> int | None:
        """Fits of the cross-validation at each version; the chosen point is then fitted on all rows."""
        return None if self.grid_points is None or self.folds is None else self.grid_points * self.folds

    @property
    def trainings(self) -> int:
        """How many versions a model is trained at."""
        return sum(version.trained for version in self.versions)

    def values(self) -> dict[str, Any]:
        """All of it as plain values, for programs."""
        cost = None if self.cost is None else round(self.cost.cluster_minutes, 2)
        more = {"fits_per_version": self.fits, "trainings": self.trainings, "cluster_minutes": cost}
        return {**asdict(self), **more}


def plan_of(scenario: Scenario, settings: Settings) -> Planned:
    """What a run of this scenario will do.

    Raises:
        UsageError: It publishes to a model store that does not exist.
    """
    pipeline = scenario.pipeline
    grid = pipeline.model.grid
    return Planned(
        scenario=scenario.name,
        table=scenario.table.uri or scenario.table.name,
        versions=tuple(
            _version(scenario, version, predicted)
            for version, predicted in zip(scenario.versions, predict(scenario), strict=True)
        ),
        model=pipeline.use or pipeline.model.kind,
        grid_points=len(grid.reg_param) * len(grid.elastic_net_param) if pipeline.use is None else None,
        folds=pipeline.model.folds if pipeline.use is None else None,
        explained_rows=pipeline.explainer.rows,
        samples_per_row=pipeline.explainer.samples,
        published=_published(scenario, settings),
        cost=expected_cost(settings.runs, scenario.name),
    )


def _version(scenario: Scenario, version: Version, predicted: Prediction) -> PlannedVersion:
    return PlannedVersion(
        name=version.name,
        step=step_in_words(version),
        rows_from=rows_from(scenario.table, version),
        commits=predicted.commits,
        version=predicted.version,
        trained=version.is_trained,
        read_by=version.at,
        bounds=_parts(scenario.expected_of(version.name), _unjudged(scenario, version)),
    )


def _unjudged(scenario: Scenario, version: Version) -> frozenset[str]:
    """What a bound here may be said ``since`` or ``on`` and is then not judged at this version."""
    names = [each.name for each in scenario.versions]
    place = names.index(version.name)
    peers = scenario.trained if version.is_trained else names
    none_before = {PREVIOUS, FIRST} if version.name == peers[0] else set()
    all_new = {_ADDED} if place == 0 else set()
    return frozenset({*names[place:], *none_before, *all_new})


def _parts(value: object, unjudged: frozenset[str]) -> int:
    """How many verdicts an expectation leads to."""
    if getattr(value, "since", None) in unjudged or getattr(value, "on", None) in unjudged:
        return 0
    if isinstance(value, Bound | Change | Baseline | Schema):
        fields = ("min", "max", "equals", "exact", "at_least")
        own = sum(getattr(value, name, None) is not None for name in fields)
        inner = (getattr(value, name, None) for name in ("change", "baseline"))
        return own + _sum(inner, unjudged)
    if isinstance(value, str | Overlap | Agreement):
        return 1
    if isinstance(value, Model):
        return _sum((getattr(value, name) for name in type(value).model_fields), unjudged)
    if isinstance(value, dict | tuple):
        return _sum(value.values() if isinstance(value, dict) else value, unjudged)
    return 0


def _sum(values: Iterable[object], unjudged: frozenset[str]) -> int:
    return sum(_parts(value, unjudged) for value in values)


def _published(scenario: Scenario, settings: Settings) -> str:
    publish = scenario.publish
    if publish.when == "never":
        return "nothing"
    return f"to '{publish.to}' ({settings.store(publish.to)}), {_WHEN[publish.when]}"
