"""Measurements as tables with one column per version, shared by every report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from harness.metrics import METRICS
from harness.results import GridPoint, Measured, Result, VersionResult
from harness.views import formatting
from harness.views.bound_table import standard_error

TOTAL = "total"


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    note: str = ""
    share: float | None = None
    """The value as a share of the table's largest one, for a bar next to the text."""
    strong: bool = False


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    label: str
    cells: tuple[Cell, ...]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of named lines and columns; false if it is empty."""

    corner: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def __bool__(self) -> bool:
        return bool(self.columns and self.lines)

    def slices(self, width: int) -> tuple[Table, ...]:
        """Split the table into tables of at most ``width`` columns."""
        return tuple(self.part(slice(at, at + width)) for at in range(0, len(self.columns), width))

    def part(self, columns: slice) -> Table:
        """Return the table with a part of its columns."""
        lines = tuple(replace(line, cells=line.cells[columns]) for line in self.lines)
        return replace(self, columns=self.columns[columns], lines=lines)


def metric_table(result: Result) -> Table:
    """Return all metrics of any version, with standard errors next to their metrics."""
    standard_errors = {metric.standard_error for metric in METRICS.values()}
    measured = {name for version in result.versions for name in version.metrics}
    standard = [name for name in METRICS if name in measured]
    names = [name for name in (*standard, *sorted(measured - set(standard))) if name not in standard_errors]
    rows = Line(
        "rows", _cells(result, lambda version: Cell(formatting.number(version.rows))), "rows of the version"
    )
    return _table(result, "metric", (rows, *(_metric_line(name, result) for name in names)))


def explanation_table(result: Result) -> Table:
    """Return the mean explanation weight per feature, the most important first."""
    return _table(
        result, "feature", [_weight_line(name, result) for name in ranked_features(result.versions)]
    )


def coefficient_table(result: Result) -> Table:
    """Return the classifier's coefficients, the largest first, and its intercept."""
    sizes = {
        name: fmean(abs(version.coefficients[name].per_sd) for version in _having_coefficient(name, result))
        for version in result.versions
        for name in version.coefficients
    }
    lines = [_coefficient_line(name, result) for name in sorted(sizes, key=lambda name: -sizes[name])]
    if any(version.intercept is not None for version in result.versions):
        lines.append(Line("intercept", _cells(result, lambda version: _optional(version.intercept))))
    return _table(result, "feature", lines)


def grid_table(result: Result) -> Table:
    """Return the grid points of the cross-validation and the one chosen at each version."""
    points = {_parameters(point): None for version in result.versions for point in version.grid}
    return _table(result, "parameters", [_grid_line(parameters, result) for parameters in points])


def timing_table(result: Result) -> Table:
    """Return the duration of each step by version; steps of the whole run have only a total."""
    steps = dict.fromkeys((*result.timings, *(step for v in result.versions for step in v.timings)))
    longest = max((t for v in result.versions for t in v.timings.values()), default=0.0)
    lines = tuple(_timing_line(step, result, longest) for step in steps)
    return Table("step", (*(version.name for version in result.versions), TOTAL), lines)


def ranked_features(versions: tuple[VersionResult, ...]) -> tuple[str, ...]:
    """Return the explained features by mean absolute weight per standard deviation, largest first."""
    weights: dict[str, list[float]] = {}
    for version in versions:
        for name, feature in version.explanations.items():
            weights.setdefault(name, []).append(feature.mean_abs_per_sd)
    return tuple(sorted(weights, key=lambda name: -fmean(weights[name])))


def weights_of(feature: str, versions: tuple[VersionResult, ...]) -> tuple[Measured, ...]:
    """Return a feature's mean weight per standard deviation at each version; ``None`` if not explained."""
    explanations = (version.explanations.get(feature) for version in versions)
    return tuple(None if weight is None else weight.mean_per_sd for weight in explanations)


def changes_sign(weights: Iterable[Measured]) -> bool:
    """Return whether a feature raises the probability at one version and lowers it at another."""
    measured = [weight for weight in weights if weight is not None]
    return bool(measured) and min(measured) < 0 < max(measured)


def _table(result: Result, corner: str, lines: Iterable[Line]) -> Table:
    return Table(corner, tuple(version.name for version in result.versions), tuple(lines))


def _cells(result: Result, cell: Callable[[VersionResult], Cell]) -> tuple[Cell, ...]:
    return tuple(cell(version) for version in result.versions)


def _metric_line(name: str, result: Result) -> Line:
    def cell(version: VersionResult) -> Cell:
        return Cell(formatting.with_error(version.metrics.get(name), standard_error(name, version)))

    meaning = METRICS[name].meaning if name in METRICS else ""
    return Line(name, _cells(result, cell), meaning)


def _weight_line(name: str, result: Result) -> Line:
    def cell(version: VersionResult) -> Cell:
        weight = version.explanations.get(name)
        if weight is None:
            return Cell(formatting.ABSENT)
        return Cell(formatting.signed(weight.mean_per_sd), f"{formatting.signed(weight.mean)} per unit")

    return Line(
        name, _cells(result, cell), "changes sign" if changes_sign(weights_of(name, result.versions)) else ""
    )


def _coefficient_line(name: str, result: Result) -> Line:
    def cell(version: VersionResult) -> Cell:
        coefficient = version.coefficients.get(name)
        if coefficient is None:
            return Cell(formatting.ABSENT)
        return Cell(formatting.signed(coefficient.per_sd), f"{formatting.signed(coefficient.raw)} per unit")

    return Line(name, _cells(result, cell))


def _having_coefficient(name: str, result: Result) -> list[VersionResult]:
    return [version for version in result.versions if name in version.coefficients]


def _optional(value: Measured) -> Cell:
    return Cell(formatting.ABSENT if value is None else formatting.signed(value))


def _parameters(point: GridPoint) -> tuple[tuple[str, float], ...]:
    return tuple(point.parameters.items())


def _grid_line(parameters: tuple[tuple[str, float], ...], result: Result) -> Line:
    def cell(version: VersionResult) -> Cell:
        for point in version.grid:
            if _parameters(point) == parameters:
                note = "chosen" if point.chosen else ""
                return Cell(formatting.number(point.cv_roc_auc), note, strong=point.chosen)
        return Cell(formatting.ABSENT)

    label = ", ".join(f"{name} {value:g}" for name, value in parameters)
    return Line(label, _cells(result, cell))


def _timing_line(step: str, result: Result, longest: float) -> Line:
    def cell(version: VersionResult) -> Cell:
        elapsed_s = version.timings.get(step)
        if elapsed_s is None:
            return Cell("")
        return Cell(formatting.seconds(elapsed_s), share=elapsed_s / longest if longest else None)

    summed_s = result.timings.get(step)
    total = Cell("" if summed_s is None else formatting.seconds(summed_s), strong=True)
    return Line(step, (*_cells(result, cell), total))
