"""The page that shows two runs side by side: their inputs, measurements and differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from harness.metrics import METRICS
from harness.parity.compare import Parity
from harness.plan import Plan
from harness.report import parity_table
from harness.report.html import make_parity_context, make_template_environment
from harness.results import MeasuredValue, Result, Verdict, VersionResult
from harness.storage.uris import remove_password
from harness.views import formatting
from harness.views.bound_table import BoundRow, find_standard_error, make_bound_rows
from harness.views.moved_rows import make_moved_table
from harness.views.plot_data import MetricPanel, build_metric_panels
from harness.views.plots import draw_pair
from harness.views.run_info import list_facts


@dataclass(frozen=True)
class ComparedRun:
    """One of the two compared runs."""

    result: Result
    plan: Plan | None = None
    """``None`` if only the result is available."""


@dataclass(frozen=True)
class Pair:
    """One value in both runs; empty if a run lacks it."""

    name: str
    a: str
    b: str
    difference: str = ""
    differs: bool = False


@dataclass(frozen=True)
class BoundPair:
    """One bound in both runs; ``None`` if a run lacks it."""

    version: str
    column: str
    a: BoundRow | None
    b: BoundRow | None

    @property
    def outcome_differs(self) -> bool:
        """Whether the bound has different outcomes in the two runs."""
        return self.a is None or self.b is None or self.a.verdict is not self.b.verdict


Group = tuple[str, tuple[Pair, ...]]
"""The name of a version and its pairs."""


def pair_facts(a: ComparedRun, b: ComparedRun) -> tuple[Pair, ...]:
    """Return the inputs and locations of both runs, different ones first."""
    pairs = _pair_texts(_list_facts(a), _list_facts(b))
    settings = _pair_texts(_list_settings(a), _list_settings(b))
    return _sort_different_first((*pairs, *(pair for pair in settings if pair.differs)))


def pair_bounds(a: Result, b: Result) -> tuple[BoundPair, ...]:
    """Return every bound of either run, those with different outcomes first."""
    left, right = _number_bounds(a), _number_bounds(b)
    pairs = [
        BoundPair(version, column, left.get((version, column, at)), right.get((version, column, at)))
        for version, column, at in dict.fromkeys([*left, *right])
    ]
    return tuple(sorted(pairs, key=lambda pair: not pair.outcome_differs))


def group_data(a: Result, b: Result) -> tuple[Group, ...]:
    """Return the data of every version of either run."""
    return _group_by_version(a, b, _pair_data)


def group_metrics(a: Result, b: Result) -> tuple[Group, ...]:
    """Return every metric of every version, different ones first."""
    return _group_by_version(a, b, _pair_metrics)


def group_weights(a: Result, b: Result) -> tuple[Group, ...]:
    """Return the explanation weights of every version, the largest difference first."""
    return _group_by_version(a, b, _pair_weights)


def _group_by_version(
    a: Result,
    b: Result,
    pairs: Callable[[VersionResult | None, VersionResult | None], tuple[Pair, ...]],
) -> tuple[Group, ...]:
    left, right = ({version.name: version for version in result.versions} for result in (a, b))
    groups = ((name, pairs(left.get(name), right.get(name))) for name in dict.fromkeys([*left, *right]))
    return tuple((name, rows) for name, rows in groups if rows)


def _pair_data(a: VersionResult | None, b: VersionResult | None) -> tuple[Pair, ...]:
    return tuple(_pair_texts(_list_data(a), _list_data(b)))


def _list_data(version: VersionResult | None) -> dict[str, str]:
    if version is None:
        return {}
    changes = version.changes.model_dump() if version.changes else {}
    nulls = {f"nulls({name})": f"{100 * share:.1f} %" for name, share in version.nulls.items() if share}
    return {
        "Delta version": str(version.version),
        "rows": formatting.format_number(version.rows),
        **{f"rows {what}": formatting.format_number(count) for what, count in changes.items()},
        "columns": ", ".join(version.data_schema),
        "fingerprint": version.fingerprint,
        **nulls,
    }


def _pair_metrics(a: VersionResult | None, b: VersionResult | None) -> tuple[Pair, ...]:
    metrics = {**(a.metrics if a else {}), **(b.metrics if b else {})}
    standard_errors = {metric.standard_error for metric in METRICS.values()}
    names = [
        *(name for name in METRICS if name in metrics),
        *(name for name in metrics if name not in METRICS),
    ]
    pairs = (
        _pair_numbers(name, _format_metric(a, name), _format_metric(b, name))
        for name in names
        if name not in standard_errors
    )
    return _sort_different_first(pairs)


def _format_metric(version: VersionResult | None, name: str) -> tuple[MeasuredValue, str]:
    if version is None or name not in version.metrics:
        return None, ""
    value = version.metrics[name]
    return value, formatting.format_with_error(value, find_standard_error(name, version))


def _pair_weights(a: VersionResult | None, b: VersionResult | None) -> tuple[Pair, ...]:
    left, right = (
        {name: each.mean_per_sd for name, each in version.explanations.items()} if version else {}
        for version in (a, b)
    )
    names = sorted(
        dict.fromkeys([*left, *right]), key=lambda name: -abs(right.get(name, 0.0) - left.get(name, 0.0))
    )
    return tuple(
        _pair_numbers(name, _format_weight(left.get(name)), _format_weight(right.get(name))) for name in names
    )


def _format_weight(value: MeasuredValue) -> tuple[MeasuredValue, str]:
    return value, "" if value is None else formatting.format_signed(value)


def _pair_numbers(name: str, a: tuple[MeasuredValue, str], b: tuple[MeasuredValue, str]) -> Pair:
    (left, left_text), (right, right_text) = a, b
    difference = "" if left is None or right is None else formatting.format_signed(right - left)
    return Pair(name, left_text, right_text, difference, differs=left != right or left_text != right_text)


def _pair_texts(a: Mapping[str, str], b: Mapping[str, str]) -> list[Pair]:
    names = dict.fromkeys([*a, *b])
    return [
        Pair(name, a.get(name, ""), b.get(name, ""), differs=a.get(name, "") != b.get(name, ""))
        for name in names
    ]


def _sort_different_first(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    return tuple(sorted(pairs, key=lambda pair: not pair.differs))


def _list_facts(run: ComparedRun) -> dict[str, str]:
    if run.plan is None:
        result = run.result
        return {
            "Run": result.run_id,
            "Target": result.target,
            "Started": f"{result.started:%Y-%m-%d %H:%M:%S %Z}",
        }
    return {fact.name: fact.value for fact in list_facts(run.plan, run.result)}


def _list_settings(run: ComparedRun) -> dict[str, str]:
    settings = run.plan.settings if run.plan is not None else ()
    return {f"setting {each.name}": remove_password(each.value) for each in settings}


def _number_bounds(result: Result) -> dict[tuple[str, str, int], BoundRow]:
    """Return the bounds by version, column and index within that column."""
    numbered: dict[tuple[str, str, int], BoundRow] = {}
    for row in make_bound_rows(result.versions):
        at = sum(key[:2] == (row.version, row.column) for key in numbered)
        numbered[row.version, row.column, at] = row
    return numbered


_HEADLINES = {Verdict.PASS: "SAME", Verdict.FAIL: "DIFFERENT", Verdict.NOT_PROVEN: "NOT PROVEN"}


def render_comparison(a: ComparedRun, b: ComparedRun, parity: Parity) -> str:
    """Render the page, with all names and messages escaped.

    Args:
        a: The first run.
        b: The second run; differences are ``b - a``.
        parity: The comparison of both.
    """
    bounds = pair_bounds(a.result, b.result)
    sides = parity_table.name_sides(parity)
    plans = [run.plan for run in (b, a) if run.plan is not None]
    context = {
        "written_by": plans[0].harness_version if plans else "",
        "word": _HEADLINES[parity.verdict],
        "runs": (a.result, b.result),
        "turned": sum(pair.outcome_differs for pair in bounds),
        "facts": pair_facts(a, b),
        "bounds": bounds,
        "plots": _draw_plots(a, b, (sides[0].name, sides[1].name)),
        "groups": (
            ("data", "Data", group_data(a.result, b.result)),
            ("metrics", "Metrics", group_metrics(a.result, b.result)),
            ("explanations", "Explanations", group_weights(a.result, b.result)),
        ),
        "moved_rows": [make_moved_table(moved) for moved in parity.moved],
        "parity": parity,
        **make_parity_context(parity),
    }
    return make_template_environment().get_template("compare.html.j2").render(context)


def _draw_plots(a: ComparedRun, b: ComparedRun, names: tuple[str, str]) -> list[tuple[str, Markup]]:
    """Plot the metrics that either run bounds, one color per run."""
    left, right = ({each.metric: each for each in build_metric_panels(run.result.versions)} for run in (a, b))
    empty = MetricPanel("", "", ())
    drawn = []
    for metric in dict.fromkeys([*left, *right]):
        both = (left.get(metric, empty), right.get(metric, empty))
        values = "; ".join(f"{name}: {_list_points(panel)}" for name, panel in zip(names, both, strict=True))
        svg = draw_pair(both, f"{metric} in both runs. {values}.")
        drawn.append((metric, Markup(svg)))  # noqa: S704 - drawn by us, with its text escaped.
    return drawn


def _list_points(panel: MetricPanel) -> str:
    return ", ".join(f"{each.version} {formatting.format_number(each.value)}" for each in panel.points)
