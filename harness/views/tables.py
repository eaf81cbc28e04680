"""Measurements as tables with one column per version, shared by every report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from harness.metrics import CHAMPION, CHAMPION_METRICS, COUNTS, METRICS
from harness.results import GridPoint, MeasuredValue, Result, VersionResult
from harness.views import formatting
from harness.views.bound_table import find_standard_error

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
class Row:
    """One row of a table."""

    label: str
    cells: tuple[Cell, ...]
    note: str = ""


@dataclass(frozen=True)
class MeasurementTable:
    """A table of labelled rows and named columns; false if it is empty."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def __bool__(self) -> bool:
        return bool(self.columns and self.rows)

    def slices(self, width: int) -> tuple[MeasurementTable, ...]:
        """Split the table into tables of at most ``width`` columns."""
        return tuple(self.part(slice(at, at + width)) for at in range(0, len(self.columns), width))

    def part(self, columns: slice) -> MeasurementTable:
        """Return the table with a part of its columns."""
        rows = tuple(replace(row, cells=row.cells[columns]) for row in self.rows)
        return replace(self, columns=self.columns[columns], rows=rows)


def build_metric_table(result: Result) -> MeasurementTable:
    """Return all metrics of any version, with standard errors next to their metrics."""
    standard_errors = {metric.standard_error for metric in METRICS.values()}
    measured = {name for version in result.versions for name in version.metrics} - set(CHAMPION_METRICS)
    standard = [name for name in METRICS if name in measured]
    names = [name for name in (*standard, *sorted(measured - set(standard))) if name not in standard_errors]
    first = Row(
        "rows",
        _build_cells(result, lambda version: Cell(formatting.format_number(version.rows))),
        "rows of the version",
    )
    return _build_table(result, "metric", (first, *(_build_metric_row(name, result) for name in names)))


def build_champion_table(result: Result) -> MeasurementTable:
    """Return the champion's metrics, each with the difference of the model that was trained now to it."""
    measured = {name for version in result.versions for name in version.metrics if name in CHAMPION_METRICS}
    shown = [name for name in CHAMPION_METRICS if name in measured and METRICS[name].better is not None]
    counts = [name for name in CHAMPION_METRICS if name in measured and METRICS[name].domain == COUNTS]
    if not any(version.champion for version in result.versions):
        return MeasurementTable("champion", (), ())
    rows = [
        Row("model", _build_cells(result, _make_model_cell)),
        *(_build_champion_row(name, result) for name in shown),
        *(
            replace(_build_metric_row(name, result), label=name.removeprefix(CHAMPION), note="")
            for name in counts
        ),
    ]
    return _build_table(result, "champion", rows)


def _make_model_cell(version: VersionResult) -> Cell:
    champion = version.champion
    if champion is None:
        return Cell(formatting.ABSENT)
    problems = "; ".join(champion.input_problems)
    return Cell(champion.model, problems or champion.reason)


def _build_champion_row(name: str, result: Result) -> Row:
    own = name.removeprefix(CHAMPION)

    def cell(version: VersionResult) -> Cell:
        text = formatting.format_with_error(version.metrics.get(name), find_standard_error(name, version))
        difference = None if version.champion is None else version.champion.differences.get(own)
        if difference is None:
            return Cell(text)
        error = "" if difference.standard_error is None else f" ± {difference.standard_error:.2g}"
        return Cell(text, f"{formatting.format_signed(difference.value)}{error}")

    return Row(own, _build_cells(result, cell), METRICS[own].meaning)


def build_segment_table(result: Result) -> MeasurementTable:
    """Return the ROC AUC of each segment, and of the weakest part, with its rows."""
    names = dict.fromkeys(name for version in result.versions for name in version.segments)
    rows = [_build_segment_row(name, result) for name in names]
    if any(version.weakest is not None for version in result.versions):
        rows.append(Row("weakest part", _build_cells(result, _make_weakest_cell)))
    return _build_table(result, "segment", rows)


def build_explanation_table(result: Result) -> MeasurementTable:
    """Return the mean explanation weight per feature, the most important first."""
    return _build_table(
        result, "feature", [_build_weight_row(name, result) for name in rank_features(result.versions)]
    )


def build_coefficient_table(result: Result) -> MeasurementTable:
    """Return the classifier's coefficients, the largest first, and its intercept."""
    sizes = {
        name: fmean(
            abs(version.coefficients[name].per_sd) for version in _select_with_coefficient(name, result)
        )
        for version in result.versions
        for name in version.coefficients
    }
    rows = [_build_coefficient_row(name, result) for name in sorted(sizes, key=lambda name: -sizes[name])]
    if any(version.intercept is not None for version in result.versions):
        rows.append(
            Row("intercept", _build_cells(result, lambda version: _make_optional_cell(version.intercept)))
        )
    return _build_table(result, "feature", rows)


def build_grid_table(result: Result) -> MeasurementTable:
    """Return the grid points of the cross-validation and the one chosen at each version."""
    points = {_list_parameters(point): None for version in result.versions for point in version.grid}
    return _build_table(result, "parameters", [_build_grid_row(parameters, result) for parameters in points])


def build_timing_table(result: Result) -> MeasurementTable:
    """Return the duration of each step by version; steps of the whole run have only a total."""
    steps = dict.fromkeys((*result.timings, *(step for v in result.versions for step in v.timings)))
    longest = max((t for v in result.versions for t in v.timings.values()), default=0.0)
    rows = tuple(_build_timing_row(step, result, longest) for step in steps)
    return MeasurementTable("step", (*(version.name for version in result.versions), TOTAL), rows)


def rank_features(versions: tuple[VersionResult, ...]) -> tuple[str, ...]:
    """Return the explained features by mean absolute weight per standard deviation, largest first."""
    weights: dict[str, list[float]] = {}
    for version in versions:
        for name, feature in version.explanations.items():
            weights.setdefault(name, []).append(feature.mean_abs_per_sd)
    return tuple(sorted(weights, key=lambda name: -fmean(weights[name])))


def list_weights(feature: str, versions: tuple[VersionResult, ...]) -> tuple[MeasuredValue, ...]:
    """Return a feature's mean weight per standard deviation at each version; ``None`` if not explained."""
    explanations = (version.explanations.get(feature) for version in versions)
    return tuple(None if weight is None else weight.mean_per_sd for weight in explanations)


def changes_sign(weights: Iterable[MeasuredValue]) -> bool:
    """Return whether a feature raises the probability at one version and lowers it at another."""
    measured = [weight for weight in weights if weight is not None]
    return bool(measured) and min(measured) < 0 < max(measured)


def _build_table(result: Result, corner: str, rows: Iterable[Row]) -> MeasurementTable:
    return MeasurementTable(corner, tuple(version.name for version in result.versions), tuple(rows))


def _build_cells(result: Result, cell: Callable[[VersionResult], Cell]) -> tuple[Cell, ...]:
    return tuple(cell(version) for version in result.versions)


def _build_metric_row(name: str, result: Result) -> Row:
    def cell(version: VersionResult) -> Cell:
        return Cell(
            formatting.format_with_error(version.metrics.get(name), find_standard_error(name, version))
        )

    meaning = METRICS[name].meaning if name in METRICS else ""
    return Row(name, _build_cells(result, cell), meaning)


def _build_segment_row(name: str, result: Result) -> Row:
    def cell(version: VersionResult) -> Cell:
        measured = version.segments.get(name, {})
        area = formatting.format_with_error(measured.get("test_roc_auc"), measured.get("test_roc_auc_se"))
        rows, positives = (measured.get(each) or 0.0 for each in ("test_rows", "test_positives"))
        return Cell(area, _count_classes(rows, positives)) if measured else Cell(formatting.ABSENT)

    return Row(name, _build_cells(result, cell))


def _make_weakest_cell(version: VersionResult) -> Cell:
    weakest = version.weakest
    if weakest is None:
        return Cell(formatting.ABSENT)
    counts = _count_classes(weakest.rows, weakest.positives)
    return Cell(
        formatting.format_with_error(weakest.roc_auc, weakest.roc_auc_se), f"{weakest.name}: {counts}"
    )


def _count_classes(rows: float, positives: float) -> str:
    return f"{rows:,.0f} rows, {positives:,.0f} positive"


def _build_weight_row(name: str, result: Result) -> Row:
    def cell(version: VersionResult) -> Cell:
        weight = version.explanations.get(name)
        if weight is None:
            return Cell(formatting.ABSENT)
        return Cell(
            formatting.format_signed(weight.mean_per_sd), f"{formatting.format_signed(weight.mean)} per unit"
        )

    return Row(
        name,
        _build_cells(result, cell),
        "changes sign" if changes_sign(list_weights(name, result.versions)) else "",
    )


def _build_coefficient_row(name: str, result: Result) -> Row:
    def cell(version: VersionResult) -> Cell:
        coefficient = version.coefficients.get(name)
        if coefficient is None:
            return Cell(formatting.ABSENT)
        return Cell(
            formatting.format_signed(coefficient.per_sd),
            f"{formatting.format_signed(coefficient.raw)} per unit",
        )

    return Row(name, _build_cells(result, cell))


def _select_with_coefficient(name: str, result: Result) -> list[VersionResult]:
    return [version for version in result.versions if name in version.coefficients]


def _make_optional_cell(value: MeasuredValue) -> Cell:
    return Cell(formatting.ABSENT if value is None else formatting.format_signed(value))


def _list_parameters(point: GridPoint) -> tuple[tuple[str, float], ...]:
    return tuple(point.parameters.items())


def _build_grid_row(parameters: tuple[tuple[str, float], ...], result: Result) -> Row:
    def cell(version: VersionResult) -> Cell:
        for point in version.grid:
            if _list_parameters(point) == parameters:
                note = "chosen" if point.chosen else ""
                return Cell(formatting.format_number(point.cv_roc_auc), note, strong=point.chosen)
        return Cell(formatting.ABSENT)

    label = ", ".join(f"{name} {value:g}" for name, value in parameters)
    return Row(label, _build_cells(result, cell))


def _build_timing_row(step: str, result: Result, longest: float) -> Row:
    def cell(version: VersionResult) -> Cell:
        elapsed_s = version.timings.get(step)
        if elapsed_s is None:
            return Cell("")
        return Cell(formatting.format_seconds(elapsed_s), share=elapsed_s / longest if longest else None)

    summed_s = result.timings.get(step)
    total = Cell("" if summed_s is None else formatting.format_seconds(summed_s), strong=True)
    return Row(step, (*_build_cells(result, cell), total))
