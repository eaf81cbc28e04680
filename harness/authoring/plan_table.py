"""What a run of a scenario will do, as far as that can be told without Spark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.authoring.cost import Cost, expected_cost
from harness.authoring.step_words import rows_from, step_in_words
from harness.scenario.model import Scenario, Version
from harness.scenario.predict import Prediction, predict
from harness.scenario.rules.judged import judged_at
from harness.settings import Settings

DEPENDS = "depends on the data"
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
        bounds=sum(1 for _ in judged_at(scenario, scenario.index_of(version.name))),
    )


def _published(scenario: Scenario, settings: Settings) -> str:
    publish = scenario.publish
    if publish.when == "never":
        return "nothing"
    return f"to '{publish.to}' ({settings.store(publish.to)}), {_WHEN[publish.when]}"
