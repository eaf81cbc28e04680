"""A preview of a run, as far as it can be predicted without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.authoring.run_estimate import Estimate, estimate_run, list_finished_runs
from harness.bounds.specs import explain_unjudged, find_approved_version, list_bound_specs, list_label_bounds
from harness.bounds.standard import STANDARD
from harness.loading.local_commits import ResolvedRead, resolve_reads
from harness.memory import find_memory_limit
from harness.plan import BaselineRun
from harness.scenario.model import Scenario, Version
from harness.setting_types import Settings, count_bytes
from harness.targets.registry import TARGETS
from harness.targets.spark_conf import choose_heap, is_small

DEPENDS = "depends on the data"
_WHEN = {"pass": "if every bound holds", "always": "even if bounds fail"}


@dataclass(frozen=True)
class Training:
    """Whether a model is trained at a version, and why."""

    known_run: str = ""
    """The earlier run that has trained it; empty if it is trained now."""
    changed: str = ""
    """What has changed since it was trained last; empty if it is new."""

    def __str__(self) -> str:
        if self.known_run:
            return f"as in run {self.known_run}"
        return f"again: {self.changed} changed" if self.changed else "new"


@dataclass(frozen=True)
class PlannedVersion:
    """A version that a run will build or read."""

    name: str
    step: str
    rows_from: str
    commits: int | None
    """Delta commits of the step; ``None`` if that depends on the data."""
    version: int | None
    """The Delta version after the step; ``None`` if that depends on the data."""
    trained: bool
    read_by: str
    """``version`` or ``timestamp``."""
    bounds: int
    """Number of its bounds that will be judged."""
    training: Training | None
    """``None`` if no model is trained."""


@dataclass(frozen=True)
class PlanPreview:
    """Everything that a run will do, with its expected cost."""

    scenario: str
    table: str
    versions: tuple[PlannedVersion, ...]
    model: str
    """Kind of the built-in model, or the custom pipeline."""
    grid_points: int | None
    """``None``, like the folds, if a custom pipeline decides what to fit."""
    folds: int | None
    explained_rows: int
    samples_per_row: int
    published: str
    approved: str
    """Which version a pass approves, and where; empty if none."""
    estimate: Estimate | None
    """``None`` if nothing is known about it, or the target isn't on this machine."""
    cost: Cost | None
    reads: dict[str, str]
    """Versions of an existing table that are read by a time, to which version that is."""
    observes: bool
    """Whether it looks without judging."""
    labels_checked: tuple[str, ...]
    """Versions that fail if a label has an unexpected value."""
    standard: dict[str, dict[str, float]]
    """Version to the checks of the standard gate that it must pass, with their limits."""
    baselines: dict[str, str]
    """Runs that bounds compare with: their name in the scenario to their ID and time."""
    unjudged: str
    """Why no bound is judged, so that the verdict will be *not proven*; empty if one is."""

    @property
    def fits(self) -> int | None:
        """Fits of the cross-validation at each version; the chosen point is then fitted on all rows."""
        return None if self.grid_points is None or self.folds is None else self.grid_points * self.folds

    @property
    def trainings(self) -> int:
        """Number of versions at which a model is trained, as no earlier run has trained it."""
        return _count_trainings(self.versions)

    def values(self) -> dict[str, Any]:
        """Return the preview as plain values, for other programs."""
        cost = None if self.cost is None else round(self.cost.cluster_minutes, 2)
        more = {"fits_per_version": self.fits, "trainings": self.trainings, "cluster_minutes": cost}
        versions = [{**asdict(each), "training": str(each.training or "")} for each in self.versions]
        return {**asdict(self), "versions": versions, **more}


def preview_run(
    scenario: Scenario,
    settings: Settings,
    folder: Path | None = None,
    baselines: Mapping[str, BaselineRun] | None = None,
    trainings: Mapping[str, Training] | None = None,
    data_bytes: int | None = None,
) -> PlanPreview:
    """Return a preview of a run of a scenario.

    Args:
        scenario: The scenario.
        settings: Settings with the model stores and the folder of earlier runs.
        folder: Folder of the scenario's file (default: the current one).
        baselines: The runs that bounds compare with (default: none).
        trainings: Trained version to whether its model is trained, and why (default: all are new).
        data_bytes: Size of the scenario's data; ``None`` if it is not known.

    Raises:
        UsageError: The scenario publishes to a model store that doesn't exist.
    """
    pipeline = scenario.pipeline
    bounds = Counter(spec.version for spec in list_bound_specs(scenario))
    reads = resolve_reads(scenario, folder or Path())
    versions = tuple(
        _preview_version(scenario, version, predicted, bounds[version.name], trainings or {})
        for version, predicted in zip(scenario.versions, predict_run(scenario, reads), strict=True)
    )
    return PlanPreview(
        scenario=scenario.name,
        table=scenario.table.uri or scenario.table.name,
        versions=versions,
        model=pipeline.use or pipeline.model.kind,
        grid_points=len(pipeline.model.grid.points) if pipeline.use is None else None,
        folds=pipeline.model.folds if pipeline.use is None else None,
        explained_rows=pipeline.explainer.rows,
        samples_per_row=pipeline.explainer.choose_samples(len(pipeline.features)),
        published=_describe_publication(scenario, settings),
        approved=_describe_approval(scenario),
        estimate=_estimate(scenario, settings, _count_trainings(versions), data_bytes),
        cost=find_expected_cost(settings.runs, scenario.name),
        reads={name: read.explanation for name, read in reads.items() if read.explanation},
        observes=scenario.observe,
        labels_checked=tuple(spec.version for spec in list_label_bounds(scenario)),
        standard=_list_standard_checks(scenario),
        baselines={name: run.text for name, run in (baselines or {}).items()},
        unjudged=explain_unjudged(scenario),
    )


def _count_trainings(versions: Sequence[PlannedVersion]) -> int:
    return sum(each.training is not None and not each.training.known_run for each in versions)


def _estimate(
    scenario: Scenario, settings: Settings, trainings: int, data_bytes: int | None
) -> Estimate | None:
    definition = TARGETS.get(settings["target"])
    if definition is not None and not definition.is_local:
        return None
    heap = choose_heap(settings["driver_memory"], find_memory_limit(), small=is_small(data_bytes))
    return estimate_run(
        scenario,
        trainings=trainings,
        data_bytes=data_bytes,
        heap_bytes=count_bytes(heap),
        runs=settings.runs,
    )


def _list_standard_checks(scenario: Scenario) -> dict[str, dict[str, float]]:
    checks: dict[str, dict[str, float]] = {}
    for spec in list_bound_specs(scenario):
        if spec.quantity.kind == STANDARD and spec.limit is not None:
            checks.setdefault(spec.version, {})[spec.quantity.name] = spec.limit
    return checks


def _preview_version(
    scenario: Scenario,
    version: Version,
    predicted: Prediction,
    bounds: int,
    trainings: Mapping[str, Training],
) -> PlannedVersion:
    return PlannedVersion(
        name=version.name,
        step=version.describe(),
        rows_from=version.step.describe_origin(scenario.table.source, scenario.table.uri),
        commits=predicted.commits,
        version=predicted.version,
        trained=version.is_trained,
        read_by=version.at,
        bounds=bounds,
        training=trainings.get(version.name, Training()) if version.is_trained else None,
    )


def _describe_publication(scenario: Scenario, settings: Settings) -> str:
    publish = scenario.publish
    if not scenario.may_publish:
        return "nothing"
    published = f"to '{publish.to}' ({settings.store(publish.to)}), {_WHEN[publish.when]}"
    if publish.model is None:
        return published
    alias = f" as '{publish.alias}'" if publish.alias else ""
    return f"{published}; {scenario.trained[-1]} is registered in '{publish.model}'{alias} if the run passes"


def _describe_approval(scenario: Scenario) -> str:
    name = find_approved_version(scenario)
    if scenario.approve is None or name is None:
        return ""
    return f"{name}, if every bound holds: {scenario.approve} then shows it"


@dataclass(frozen=True)
class Prediction:
    """The predicted effect of one step."""

    name: str
    commits: int | None
    """Delta commits of the step; ``None`` if that depends on the data."""
    version: int | None
    """The table's version after the step; ``None`` if it depends on the data, here or before."""


def predict_run(
    scenario: Scenario, reads: Mapping[str, ResolvedRead] | None = None
) -> tuple[Prediction, ...]:
    """Predict the effect of each of the scenario's steps, in order.

    A table that the scenario builds begins with version 0. Reading an existing table commits nothing, and its
    version is known if the scenario specifies a number, or the table is on this machine.

    Args:
        scenario: The scenario.
        reads: The versions of an existing table that are known (default: none).
    """
    known: dict[str, int | None] = {}
    predictions = []
    latest: int | None = -1
    for version in scenario.versions:
        if version.read is not None:
            number = version.read.version
            commits: int | None = 0
            found = (reads or {}).get(version.name)
            resolved = None if found is None else found.version
            known[version.name] = number if isinstance(number, int) else resolved
        else:
            commits = _predict_commits(version, latest, known)
            latest = None if latest is None or commits is None else latest + commits
            known[version.name] = latest
        predictions.append(Prediction(version.name, commits, known[version.name]))
    return tuple(predictions)


def _predict_commits(version: Version, latest: int | None, known: Mapping[str, int | None]) -> int | None:
    declared = version.declared_commits
    if declared != "any":
        return declared
    return version.step.predict_commits(latest, known) if version.commits is None else None


@dataclass(frozen=True)
class Cost:
    """Cluster time of the newest run on a target whose clusters cost money."""

    target: str
    """Title of the target."""

    run_id: str
    minutes: float
    """Duration of the job."""
    nodes: int
    """Largest number of nodes that the cluster may have had, including the driver."""

    @property
    def cluster_minutes(self) -> float:
        """Minutes times nodes, without the time in which the cluster started."""
        return self.minutes * self.nodes


def find_expected_cost(runs: Path, scenario: str) -> Cost | None:
    """Return the cost of a scenario's newest finished run on a target that costs money, or ``None``."""
    costs = lambda target: target.count_nodes is not None  # noqa: E731 - a name for one condition
    for definition, plan, result in list_finished_runs(runs, scenario, costs):
        count = definition.count_nodes
        nodes = count and count({setting.name: setting.value for setting in plan.settings})
        if nodes is not None:
            return Cost(definition.title, result.run_id, result.duration_s / 60, nodes)
    return None
