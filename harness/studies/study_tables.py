"""Studies on the terminal: proposed bounds, and the version at which a bound began to fail."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from harness.report.terminal.console import make_table, make_text, write_line
from harness.results import BoundResult
from harness.studies.bisection.search import (
    MONOTONE,
    Bisection,
    NoFirstFailure,
    SearchResult,
    describe_step,
    list_steps_between,
)
from harness.studies.calibration.bound_offers import CalibratedBound, Calibration, Offer
from harness.views import formatting
from harness.views.yaml_text import format_yaml

_UNKNOWN = "-"
_LEAST_SHOWN = 0.0001


def show_calibration(console: Console, calibration: Calibration, proposal: str) -> None:
    """Show every bound with its proposal, then the YAML to paste into the scenario file."""
    _show_bounds(console, calibration)
    for line in _describe_calibration(calibration):
        write_line(console, Text(line))
    if proposal:
        console.print()
        console.print(proposal, markup=False, soft_wrap=True, highlight=False)


def _show_bounds(console: Console, calibration: Calibration) -> None:
    table = make_table(
        f"{calibration.scenario}: {formatting.format_count(len(calibration.seeds), 'run')}, "
        f"seeds {calibration.seeds[0]} to {calibration.seeds[-1]}"
    )
    for title in ("version", "metric"):
        table.add_column(title, overflow="fold")
    for title in ("mean ± sd", "bound", "false alarms", "detects"):
        table.add_column(title, justify="right", overflow="fold")
    before = None
    for bound in calibration.bounds:
        if before not in (None, bound.version):
            table.add_section()
        for row in _make_bound_rows(bound, named=before != bound.version):
            table.add_row(*(make_text(console, text) for text in row))
        before = bound.version
    console.print(table)


def _make_bound_rows(bound: CalibratedBound, *, named: bool) -> Iterable[tuple[str, ...]]:
    """Yield a row for the existing bound, and one for the proposed bound."""
    metric = bound.metric if bound.since is None else f"{bound.metric} since {bound.since}"
    name = bound.version if named else ""
    yield (name, metric, _format_spread(bound), *_make_offer_cells(bound, bound.now))
    if bound.proposed is not None:
        yield ("", "  proposed", "", *_make_offer_cells(bound, bound.proposed))
    if bound.must_fail:
        yield ("", "  must fail", "", "", "", "")


def _format_spread(bound: CalibratedBound) -> str:
    if bound.mean is None or bound.sd is None:
        return formatting.format_count(len(bound.values), "value")
    return (
        formatting.format_with_error(bound.mean, bound.sd)
        if bound.sd
        else formatting.format_number(bound.mean)
    )


def _make_offer_cells(bound: CalibratedBound, offer: Offer | None) -> tuple[str, str, str]:
    if offer is None:
        return "none", _UNKNOWN, _UNKNOWN
    detects = _UNKNOWN if offer.sees is None else f"{max(offer.sees, 0.0):.2g}"
    return offer.apply_to(bound.spec).limit_text, _format_rate(offer.false_alarms), detects


def _format_rate(rate: float | None) -> str:
    if rate is None:
        return _UNKNOWN
    return f"< {100 * _LEAST_SHOWN:g} %" if rate < _LEAST_SHOWN else f"{100 * rate:.2g} %"


def _describe_calibration(calibration: Calibration) -> Iterable[str]:
    runs = formatting.format_count(len(calibration.seeds), "run")
    yield "False alarms: the chance that the bound fails although nothing has changed."
    yield f"Detects: the smallest regression that it reports with a chance of {100 * calibration.power:g} %."
    if any(each.sd == 0 for each in calibration.bounds):
        yield "No sd: the value was the same in every run, so no other bound is proposed."
    if any(each.sd is None for each in calibration.bounds):
        yield "No mean: too few runs had a value that proves anything."
    taken, passed = calibration.taken, calibration.passed
    yield f"{passed} of {runs} meet the current bounds. Reused runs: {taken}."
    if any(each.proposed for each in calibration.bounds):
        together = _format_rate(calibration.together)
        yield f"At least one of the proposed bounds fails by chance in at most {together} of the runs."
    yield calibration.assumption


def show_search(console: Console, bisection: Bisection) -> None:
    """Show every checked version, then the one at which the bound began to fail, with its step."""
    _show_checks(console, bisection.result)
    for sentence in _describe_search(bisection):
        write_line(console, Text(sentence))


def _show_checks(console: Console, result: SearchResult) -> None:
    checks = {check.version: check.bounds for check in result.checks}
    table = make_table(f"Bound: {result.question or 'any'}")
    for title in ("version", "measured", "bound", "verdict"):
        table.add_column(title, overflow="fold", justify="right" if title == "measured" else "left")
    for name in result.candidates:
        bounds = checks.get(name)
        rows = (
            [(name, "not checked", "", "")]
            if bounds is None
            else [_make_step_row(name, each) for each in bounds]
        )
        for row in rows:
            table.add_row(*(make_text(console, text) for text in row))
    console.print(table)


def _make_step_row(name: str, bound: BoundResult) -> tuple[str, ...]:
    found = bound.found if bound.spec.comparison is None else formatting.format_number(bound.measured)
    return name, found, bound.text, formatting.verdict_label(bound.verdict)


def _describe_search(bisection: Bisection) -> Iterable[str]:
    result, answer = bisection.result, bisection.result.answer
    if isinstance(answer, NoFirstFailure):
        yield f"Not found: {answer.reason}."
    else:
        steps = list_steps_between(bisection.scenario, answer)
        yield f"{result.question} holds at {answer.good} and fails at {answer.bad}: {bisection.location}"
        yield ""
        yield format_yaml([describe_step(version) for version in steps]).rstrip()
        yield ""
        if len(steps) > 1:
            yield f"No model is trained between the two: one of these {len(steps)} steps is the cause."
    runs, trainings = (
        formatting.format_count(result.runs, "run"),
        formatting.format_count(result.trainings, "training"),
    )
    yield f"{trainings} in {runs}; training at every version would take {len(result.candidates)}."
    yield MONOTONE
