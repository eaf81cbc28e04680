"""The page that shows two runs side by side: their inputs, measurements and differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from harness.metrics import METRICS
from harness.parity.compare import Parity
from harness.plan import Plan
from harness.report import parity_table
from harness.report.html import environment, parity_context
from harness.results import Measured, Result, Verdict, VersionResult
from harness.storage.uris import without_password
from harness.views import formatting
from harness.views.bound_table import BoundRow, bound_rows, standard_error
from harness.views.plot_data import MetricPanel, metric_panels
from harness.views.plots import pair_svg
from harness.views.run_info import facts


@dataclass(frozen=True)
class Run:
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


def fact_pairs(a: Run, b: Run) -> tuple[Pair, ...]:
    """Return the inputs and locations of both runs, different ones first."""
    pairs = _match_versions(_facts(a), _facts(b))
    settings = _match_versions(_settings(a), _settings(b))
    return _sort_different_first((*pairs, *(pair for pair in settings if pair.differs)))


def bound_pairs(a: Result, b: Result) -> tuple[BoundPair, ...]:
    """Return every bound of either run, those with different outcomes first."""
    left, right = _number_bounds(a), _number_bounds(b)
    pairs = [
        BoundPair(version, column, left.get((version, column, at)), right.get((version, column, at)))
        for version, column, at in dict.fromkeys([*left, *right])
    ]
    return tuple(sorted(pairs, key=lambda pair: not pair.outcome_differs))


def data_groups(a: Result, b: Result) -> tuple[Group, ...]:
    """Return the data of every version of either run."""
    return _groups(a, b, _data)


def metric_groups(a: Result, b: Result) -> tuple[Group, ...]:
    """Return every metric of every version, different ones first."""
    return _groups(a, b, _metrics)


def weight_groups(a: Result, b: Result) -> tuple[Group, ...]:
    """Return the explanation weights of every version, the largest difference first."""
    return _groups(a, b, _weights)


def _groups(
    a: Result,
    b: Result,
    pairs: Callable[[VersionResult | None, VersionResult | None], tuple[Pair, ...]],
) -> tuple[Group, ...]:
    left, right = ({version.name: version for version in result.versions} for result in (a, b))
    groups = ((name, pairs(left.get(name), right.get(name))) for name in dict.fromkeys([*left, *right]))
    return tuple((name, rows) for name, rows in groups if rows)


def _data(a: VersionResult | None, b: VersionResult | None) -> tuple[Pair, ...]:
    return tuple(_match_versions(_data_of(a), _data_of(b)))


def _data_of(version: VersionResult | None) -> dict[str, str]:
    if version is None:
        return {}
    changes = version.changes.model_dump() if version.changes else {}
    nulls = {f"nulls({name})": f"{100 * share:.1f} %" for name, share in version.nulls.items() if share}
    return {
        "Delta version": str(version.version),
        "rows": formatting.number(version.rows),
        **{f"rows {what}": formatting.number(count) for what, count in changes.items()},
        "columns": ", ".join(version.data_schema),
        "fingerprint": version.fingerprint,
        **nulls,
    }


def _metrics(a: VersionResult | None, b: VersionResult | None) -> tuple[Pair, ...]:
    metrics = {**(a.metrics if a else {}), **(b.metrics if b else {})}
    standard_errors = {metric.standard_error for metric in METRICS.values()}
    names = [
        *(name for name in METRICS if name in metrics),
        *(name for name in metrics if name not in METRICS),
    ]
    pairs = (
        _numbers(name, _metric(a, name), _metric(b, name)) for name in names if name not in standard_errors
    )
    return _sort_different_first(pairs)


def _metric(version: VersionResult | None, name: str) -> tuple[Measured, str]:
    if version is None or name not in version.metrics:
        return None, ""
    value = version.metrics[name]
    return value, formatting.with_error(value, standard_error(name, version))


def _weights(a: VersionResult | None, b: VersionResult | None) -> tuple[Pair, ...]:
    left, right = (
        {name: each.mean_per_sd for name, each in version.explanations.items()} if version else {}
        for version in (a, b)
    )
    names = sorted(
        dict.fromkeys([*left, *right]), key=lambda name: -abs(right.get(name, 0.0) - left.get(name, 0.0))
    )
    return tuple(_numbers(name, _weight(left.get(name)), _weight(right.get(name))) for name in names)


def _weight(value: Measured) -> tuple[Measured, str]:
    return value, "" if value is None else formatting.signed(value)


def _numbers(name: str, a: tuple[Measured, str], b: tuple[Measured, str]) -> Pair:
    (left, left_text), (right, right_text) = a, b
    difference = "" if left is None or right is None else formatting.signed(right - left)
    return Pair(name, left_text, right_text, difference, differs=left != right or left_text != right_text)


def _match_versions(a: Mapping[str, str], b: Mapping[str, str]) -> list[Pair]:
    names = dict.fromkeys([*a, *b])
    return [
        Pair(name, a.get(name, ""), b.get(name, ""), differs=a.get(name, "") != b.get(name, ""))
        for name in names
    ]


def _sort_different_first(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    return tuple(sorted(pairs, key=lambda pair: not pair.differs))


def _facts(run: Run) -> dict[str, str]:
    if run.plan is None:
        result = run.result
        return {
            "Run": result.run_id,
            "Target": result.target,
            "Started": f"{result.started:%Y-%m-%d %H:%M:%S %Z}",
        }
    return {fact.name: fact.value for fact in facts(run.plan, run.result)}


def _settings(run: Run) -> dict[str, str]:
    settings = run.plan.settings if run.plan is not None else ()
    return {f"setting {each.name}": without_password(each.value) for each in settings}


def _number_bounds(result: Result) -> dict[tuple[str, str, int], BoundRow]:
    """Return the bounds by version, column and index within that column."""
    numbered: dict[tuple[str, str, int], BoundRow] = {}
    for row in bound_rows(result.versions):
        at = sum(key[:2] == (row.version, row.column) for key in numbered)
        numbered[row.version, row.column, at] = row
    return numbered


_HEADLINES = {Verdict.PASS: "SAME", Verdict.FAIL: "DIFFERENT", Verdict.NOT_PROVEN: "NOT PROVEN"}


def render_comparison(a: Run, b: Run, parity: Parity) -> str:
    """Render the page, with all names and messages escaped.

    Args:
        a: The first run.
        b: The second run; differences are ``b - a``.
        parity: The comparison of both.
    """
    bounds = bound_pairs(a.result, b.result)
    sides = parity_table.sides(parity)
    plans = [run.plan for run in (b, a) if run.plan is not None]
    context = {
        "written_by": plans[0].harness_version if plans else "",
        "word": _HEADLINES[parity.verdict],
        "runs": (a.result, b.result),
        "turned": sum(pair.outcome_differs for pair in bounds),
        "facts": fact_pairs(a, b),
        "bounds": bounds,
        "plots": _plots(a, b, (sides[0].name, sides[1].name)),
        "groups": (
            ("data", "Data", data_groups(a.result, b.result)),
            ("metrics", "Metrics", metric_groups(a.result, b.result)),
            ("explanations", "Explanations", weight_groups(a.result, b.result)),
        ),
        "parity": parity,
        **parity_context(parity),
    }
    return environment().get_template("compare.html.j2").render(context)


def _plots(a: Run, b: Run, names: tuple[str, str]) -> list[tuple[str, Markup]]:
    """Plot the metrics that either run bounds, one color per run."""
    left, right = ({each.metric: each for each in metric_panels(run.result.versions)} for run in (a, b))
    empty = MetricPanel("", "", ())
    drawn = []
    for metric in dict.fromkeys([*left, *right]):
        both = (left.get(metric, empty), right.get(metric, empty))
        values = "; ".join(
            f"{name}: {', '.join(f'{each.version} {formatting.number(each.value)}' for each in panel.points)}"
            for name, panel in zip(names, both, strict=True)
        )
        svg = pair_svg(both, f"{metric} in both runs. {values}.")
        drawn.append((metric, Markup(svg)))  # noqa: S704 - drawn by us, with its text escaped.
    return drawn
