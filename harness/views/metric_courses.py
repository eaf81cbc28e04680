"""The course of each metric over the kept runs of a scenario, and over the versions of each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.ticker import MaxNLocator

from harness.metrics import METRICS
from harness.results import Verdict, VersionResult
from harness.views.formatting import format_number, show_control_characters
from harness.views.kept_runs import KeptRun
from harness.views.plot_data import Point, build_metric_panels, describe_point, make_unbounded_point

MOST_RUNS = 60
"""Number of runs of a scenario that are drawn: its newest ones."""
_STANDARD_ERRORS = {metric.standard_error for metric in METRICS.values()}

_HEIGHT, _TOP, _BOTTOM, _SIDE = 260, 14, 206, 58
"""Sizes in the drawing's units, which are about one pixel each."""
_STEPS = (10, 34)
"""Smallest and largest distance of two points."""
_USUAL_WIDTH, _LEAST_WIDTH = 1000, 330
_LABEL_WIDTH = 74
_MARK = 4.2


@dataclass(frozen=True)
class RunCourse:
    """A metric at each trained version of one run."""

    run: KeptRun
    points: tuple[Point, ...]

    @property
    def sentence(self) -> str:
        """The run and its values in words."""
        values = "; ".join(map(describe_point, self.points))
        return show_control_characters(f"{self.run.run_id} ({self.run.outcome.label}): {values}")


@dataclass(frozen=True)
class MetricCourse:
    """A metric over the runs of a scenario, oldest first."""

    scenario: str
    metric: str
    runs: tuple[RunCourse, ...]

    @property
    def meaning(self) -> str:
        """What the metric measures; empty if a custom pipeline defined it."""
        return METRICS[self.metric].meaning if self.metric in METRICS else ""


def build_courses(runs: Sequence[KeptRun]) -> tuple[MetricCourse, ...]:
    """Return the course of each metric, scenario by scenario, that with the newest run first.

    Args:
        runs: The runs, newest first.
    """
    scenarios: dict[str, list[KeptRun]] = {}
    for run in runs:
        scenarios.setdefault(run.folder.scenario, []).append(run)
    return tuple(course for name, own in scenarios.items() for course in _build_courses_of(name, own))


def list_metrics(courses: Sequence[MetricCourse]) -> tuple[str, ...]:
    """Return the names of all metrics: those of models, in the order of reports, then everything else."""
    names = dict.fromkeys(course.metric for course in courses)
    return (*(name for name in METRICS if name in names), *(name for name in names if name not in METRICS))


def _build_courses_of(scenario: str, runs: list[KeptRun]) -> Iterator[MetricCourse]:
    measured = [(run, points) for run in runs if (points := _list_points(run.versions))][:MOST_RUNS]
    names = dict.fromkeys(name for _, points in measured for name in points)
    for name in names:
        courses = [RunCourse(run, points[name]) for run, points in reversed(measured) if name in points]
        yield MetricCourse(scenario, name, tuple(courses))


def _list_points(versions: tuple[VersionResult, ...]) -> dict[str, tuple[Point, ...]]:
    """Return the points of each number that was measured at some version: bounded ones, and all metrics."""
    points = {panel.metric: panel.points for panel in build_metric_panels(versions)}
    measured = {name for version in versions for name in version.metrics} - _STANDARD_ERRORS
    for name in sorted(measured):
        points.setdefault(name, tuple(make_unbounded_point(name, version) for version in versions))
    found = {name: tuple(each for each in own if each.value is not None) for name, own in points.items()}
    return {name: own for name, own in found.items() if own}


def draw_course(course: MetricCourse) -> str:
    """Draw a course as an SVG that takes its colors from the page. Each run is a group of joined points."""
    slots = sum(len(run.points) + 1 for run in course.runs)
    step = min(max((_USUAL_WIDTH - 2 * _SIDE) / slots, _STEPS[0]), _STEPS[1])
    width = max(round(2 * _SIDE + slots * step), _LEAST_WIDTH)
    scale = _Scale.of([point for run in course.runs for point in run.points])
    label = escape(f"{course.metric} of {course.scenario} by run, oldest first")
    drawing = "".join((*_draw_ticks(scale, width), *_draw_runs(course, scale, step)))
    return (
        f'<svg class="course" viewBox="0 0 {width} {_HEIGHT}" role="group" aria-label="{label}" '
        f'style="min-width:{round(0.9 * width)}px;max-width:{round(1.2 * width)}px">{drawing}</svg>'
    )


@dataclass(frozen=True)
class _Scale:
    """The vertical scale of a drawing."""

    low: float
    high: float

    @classmethod
    def of(cls, points: Sequence[Point]) -> _Scale:
        """Return a scale with room for each value, its standard error and its limits."""
        numbers = [number for point in points for number in _list_numbers(point)]
        low, high = min(numbers), max(numbers)
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin)

    def place(self, value: float) -> str:
        """Return the vertical position of a value."""
        return f"{_BOTTOM - (value - self.low) / (self.high - self.low) * (_BOTTOM - _TOP):.1f}"

    def list_ticks(self) -> list[float]:
        """Return round numbers in the scale."""
        ticks = MaxNLocator(4).tick_values(self.low, self.high)
        return [float(tick) for tick in ticks if self.low <= tick <= self.high]


def _list_numbers(point: Point) -> Iterator[float]:
    if point.value is not None:
        error = point.standard_error or 0.0
        yield from (point.value - error, point.value + error, *(limit.value for limit in point.limits))


def _draw_ticks(scale: _Scale, width: int) -> Iterator[str]:
    for tick in scale.list_ticks():
        y = scale.place(tick)
        yield f'<path class="grid" d="M{_SIDE} {y}H{width - _SIDE}"/>'
        # On both sides: a wide drawing is scrolled.
        for x, anchor in ((_SIDE - 8, "end"), (width - _SIDE + 8, "start")):
            yield f'<text x="{x}" y="{y}" dy="4" text-anchor="{anchor}">{format_number(tick)}</text>'


def _draw_runs(course: MetricCourse, scale: _Scale, step: float) -> Iterator[str]:
    """Draw each run; under the first ones of those that are too close together, the day and time."""
    left, free = _SIDE + step, 0.0
    for run in course.runs:
        is_labeled = left >= free
        yield from _draw_run(run, scale, left, step, is_labeled=is_labeled)
        free = left + _LABEL_WIDTH if is_labeled else free
        left += (len(run.points) + 1) * step


def _draw_run(run: RunCourse, scale: _Scale, left: float, step: float, *, is_labeled: bool) -> Iterator[str]:
    yield f'<g role="img" data-run="{escape(run.run.run_id)}"><title>{escape(run.sentence)}</title>'
    places = [(left + at * step, point) for at, point in enumerate(run.points)]
    line = " ".join(f"{x:.1f},{scale.place(point.value or 0.0)}" for x, point in places)
    yield f'<polyline points="{line}"/>'
    for x, point in places:
        yield from _draw_point(point, scale, x, step)
    if is_labeled and run.run.started is not None:
        for row, text in enumerate((f"{run.run.started:%Y-%m-%d}", f"{run.run.started:%H:%M}")):
            yield f'<text x="{left - _MARK:.1f}" y="{_BOTTOM + 24 + 16 * row}">{text}</text>'
    yield "</g>"


def _draw_point(point: Point, scale: _Scale, x: float, step: float) -> Iterator[str]:
    value = point.value or 0.0
    for limit in point.limits:
        kind = "limit relative" if limit.relative else "limit"
        yield f'<path class="{kind}" d="M{x - step / 2:.1f} {scale.place(limit.value)}h{step:.1f}"/>'
    if point.standard_error:
        ends = scale.place(value - point.standard_error), scale.place(value + point.standard_error)
        yield f'<path class="whisker" d="M{x:.1f} {ends[0]}V{ends[1]}"/>'
    yield _draw_mark(point.verdict, x, float(scale.place(value)))


def _draw_mark(verdict: Verdict | None, x: float, y: float) -> str:
    """Draw a point with the symbols and colors of the report's plots."""
    match verdict:
        case Verdict.FAIL:
            size = _MARK
            return (
                f'<path class="mark fail" d="M{x - size:.1f} {y - size:.1f}l{2 * size:.1f} {2 * size:.1f}'
                f'm0 {-2 * size:.1f}l{-2 * size:.1f} {2 * size:.1f}"/>'
            )
        case Verdict.NOT_PROVEN:
            size = _MARK + 1
            return (
                f'<path class="mark not-proven" d="M{x:.1f} {y - size:.1f}l{size} {size} {-size} {size} '
                f'{-size} {-size}z"/>'
            )
        case Verdict.PASS:
            return f'<circle class="mark pass" cx="{x:.1f}" cy="{y:.1f}" r="{_MARK}"/>'
        case Verdict.OBSERVED | None:
            return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="{_MARK}"/>'
