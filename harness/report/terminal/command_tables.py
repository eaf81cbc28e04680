"""Scenarios, plans, tracked runs and matrices: tables on a terminal, tab-separated values elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich import filesize
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.authoring.plan_preview import DEPENDS, PlannedVersion, PlanPreview, Training
from harness.authoring.run_estimate import MEASURED_CORES, UNCERTAINTY, Estimate
from harness.authoring.scenario_list import ListedScenario
from harness.errors import ExitCode
from harness.metrics import METRICS
from harness.report.terminal.console import make_table, make_text, write_line
from harness.results import BoundResult, VersionResult
from harness.targets.registry import TARGETS
from harness.tracked_run import TrackedRun
from harness.tracking.table_versions import TableHistory, TableVersion
from harness.views import formatting
from harness.views.bound_table import VERDICTS_WORST_FIRST

_LIST_TITLES = ("scenario", "table", "versions", "newest run", "description")
_PLAN_TITLES = ("version", "step", "rows from", "commits", "Delta version", "read by", "trained", "bounds")


def show_scenarios(console: Console, scenarios: Sequence[ListedScenario]) -> None:
    """Show one line per scenario."""
    rows = [(each.name, each.table, each.versions, each.newest, each.description) for each in scenarios]
    _show(console, _LIST_TITLES, rows)


def show_plan(console: Console, preview: PlanPreview) -> None:
    """Show the versions as a table, then the trainings, the published models and the cost."""
    _show(console, _PLAN_TITLES, [_make_version_row(version) for version in preview.versions])
    for name, explanation in preview.reads.items():
        write_line(console, Text(f"Read: {name} {explanation}."))
    for name, run in preview.baselines.items():
        write_line(console, Text(f"Baseline {name}: the run {run}."))
    for line in _describe_plan(preview):
        write_line(console, Text(line))


def _make_version_row(version: PlannedVersion) -> tuple[str, ...]:
    return (
        version.name,
        version.step,
        version.rows_from,
        _format_number(version.commits),
        _format_number(version.version),
        version.read_by if version.trained else "-",
        "yes" if version.trained else "no",
        str(version.bounds),
    )


def _format_number(number: int | None) -> str:
    if number is None:
        return DEPENDS
    return str(number) if number >= 0 else "none yet"


def _describe_plan(preview: PlanPreview) -> tuple[str, ...]:
    rows = formatting.format_count(preview.explained_rows, "row")
    samples = formatting.format_count(preview.samples_per_row, "sample")
    versions = formatting.format_count(preview.trainings, "version")
    predictions = f"{preview.explained_rows * preview.samples_per_row:,}"
    return (
        f"Trained: {preview.model} on {versions}{_describe_fits(preview)}.",
        f"Explained: {rows} x {samples} = {predictions} predictions per version.",
        f"Published: {preview.published}.",
        *((f"Approved: {preview.approved}.",) if preview.approved else ()),
        *_describe_estimate(preview.estimate),
        _describe_cost(preview),
        *_describe_trainings(preview),
        *_describe_labels(preview),
        *_describe_standard(preview),
        *_describe_verdict(preview),
    )


def _describe_trainings(preview: PlanPreview) -> tuple[str, ...]:
    """Describe which models earlier runs have trained; nothing if all are new."""
    versions: dict[str, list[str]] = {}
    for version in preview.versions:
        if version.training:
            versions.setdefault(str(version.training), []).append(version.name)
    if versions.keys() <= {str(Training())}:
        return ()
    return ("Training: " + "; ".join(f"{', '.join(each)} {why}" for why, each in versions.items()) + ".",)


def _describe_standard(preview: PlanPreview) -> Iterator[str]:
    """Describe the checks of the standard gate: a line for all versions with the same ones."""
    versions: dict[str, list[str]] = {}
    for version, checks in preview.standard.items():
        limits = ", ".join(f"{name} {limit:g}" for name, limit in checks.items())
        versions.setdefault(limits, []).append(version)
    for limits, names in versions.items():
        yield f"Standard gate ({', '.join(names)}), each check with its limit: {limits}."


def _describe_labels(preview: PlanPreview) -> tuple[str, ...]:
    """Describe the bound on unexpected labels that versions have without setting it."""
    versions = ", ".join(preview.labels_checked)
    return (f"Labels: a value in none of the lists fails its version ({versions}).",) if versions else ()


def _describe_verdict(preview: PlanPreview) -> tuple[str, ...]:
    """Describe the verdict if it is known already, because no bound is judged."""
    if preview.observes:
        return ("Verdict: 'observed', because the scenario looks without judging.",)
    return (f"Verdict: 'not proven': {preview.unjudged}.",) if preview.unjudged else ()


def _describe_fits(preview: PlanPreview) -> str:
    """Return the number of fits, or an empty text if a custom pipeline decides it."""
    if preview.grid_points is None or preview.folds is None or preview.fits is None:
        return ""
    points, folds = (
        formatting.format_count(preview.grid_points, "grid point"),
        formatting.format_count(preview.folds, "fold"),
    )
    fits = formatting.format_count(preview.fits, "fit")
    return f", each with {points} x {folds} = {fits}, plus one on all training rows"


def _describe_estimate(estimate: Estimate | None) -> Iterator[str]:
    if estimate is None:
        return
    if estimate.run_id:
        yield f"Time: about {formatting.format_seconds(estimate.seconds)}, as in run {estimate.run_id}."
    elif estimate.data_bytes is not None:
        minutes, size = max(1, round(estimate.seconds / 60)), filesize.decimal(estimate.data_bytes)
        yield (
            f"Time: about {minutes} min, give or take a factor of {UNCERTAINTY} (estimated from {size} of "
            f"data; measured on {MEASURED_CORES} cores)."
        )
    if estimate.memory_bytes is not None:
        yield f"Memory: up to {filesize.decimal(estimate.memory_bytes)}."


def _describe_cost(preview: PlanPreview) -> str:
    cost = preview.cost
    if cost is None:
        titles = " or ".join(each.title for each in TARGETS.values() if each.count_nodes is not None)
        return f"On {titles}: cost unknown; no earlier run is stored here."
    nodes = formatting.format_count(cost.nodes, "node")
    return (
        f"On {cost.target}: {cost.cluster_minutes:.1f} cluster minutes, as in run {cost.run_id} "
        f"({cost.minutes:.1f} min x {nodes}, without the cluster's start)."
    )


def _show(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not console.is_terminal:
        for row in (titles, *rows):
            # console.print would replace tabs by spaces.
            console.file.write(formatting.show_control_characters("\t".join(row)) + "\n")
        return
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(make_text(console, cell) for cell in row))
    console.print(table)


_HISTORY_TITLES = ("version", "time (UTC)", "operation", "rows", "size", "trained on it")
_TITLES = ("table", "version", "fingerprint", "run", "status", "verdict", "started")


def show_runs(console: Console, runs: Sequence[TrackedRun]) -> None:
    """Show one line per run: a table on a terminal, tab-separated values elsewhere."""
    _show(console, _TITLES, [_make_run_row(run) for run in runs])


def show_history(console: Console, history: TableHistory) -> None:
    """Show one line per version of a table, the newest first."""
    if console.is_terminal:
        write_line(console, Text(f"Table: {history.uri}", style="bold"))
    _show(console, _HISTORY_TITLES, [_make_history_row(each) for each in history.versions])


def _make_history_row(version: TableVersion) -> tuple[str, ...]:
    more = len(version.runs) - 1
    return (
        str(version.version),
        "-" if version.time is None else f"{version.time:%Y-%m-%d %H:%M:%S}",
        version.operation or "-",
        "-" if version.rows is None else f"{version.rows:,}",
        "-" if version.size_bytes is None else filesize.decimal(version.size_bytes),
        "-" if not version.runs else version.runs[0] + (f" and {more} more" if more else ""),
    )


def show_trace(console: Console, runs: Sequence[TrackedRun]) -> None:
    """Show everything known about each run, one fact per line."""
    for run in runs:
        console.print(f"[bold]run {run.run_id}[/] ({run.status.lower()}, {run.started:%Y-%m-%d %H:%M} UTC)")
        _show_values(console, "", _list_facts(run), indent=2)
        _show_values(console, "parameters", dict(sorted(run.params.items())), indent=4)
        _show_values(console, "metrics", _list_metrics(run), indent=4)


def _make_run_row(run: TrackedRun) -> tuple[str, ...]:
    return (
        run.tag("table"),
        run.tag("data_version"),
        run.tag("data_fingerprint"),
        run.run_id,
        run.status.lower(),
        run.tag("verdict") or "-",
        f"{run.started:%Y-%m-%d %H:%M}",
    )


def _list_facts(run: TrackedRun) -> dict[str, str]:
    return {
        "scenario": run.tag("scenario"),
        "table": run.tag("data_path"),
        "version": f"{run.tag('data_version')} ({run.tag('version_name')})",
        "fingerprint": run.tag("data_fingerprint"),
        "verdict": run.tag("verdict") or "none",
        "bundle": run.tag("bundle") or "not published",
        **({"approval": run.tag("approval")} if run.tag("approval") else {}),
        "harness run": run.tag("run_id"),
    }


def _list_metrics(run: TrackedRun) -> dict[str, str]:
    return {name: f"{run.metrics[name]:.6g}" for name in METRICS if name in run.metrics}


def _show_values(console: Console, title: str, values: Mapping[str, str], *, indent: int) -> None:
    """Show names and values in two columns; values are never truncated, so that they can be copied."""
    if title:
        console.print(f"  [dim]{title}[/]")
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        console.print(f"{' ' * indent}{name:<{width}}  {value}", soft_wrap=True, markup=False)


_UNKNOWN = "-"


@dataclass(frozen=True)
class CombinationRow:
    """One combination of a matrix, and the outcome of its run."""

    parameters: Mapping[str, str]
    """Path in the scenario to value."""
    verdict: str
    code: ExitCode
    versions: Sequence[VersionResult] = ()

    @property
    def nearest(self) -> tuple[str, BoundResult] | None:
        """The bound with the least room for its size, and its version; None if no bound is on a number."""
        bounds = [(version.name, bound) for version in self.versions for bound in version.bounds]
        numeric = [(name, bound) for name, bound in bounds if bound.distance is not None]
        return min(numeric, key=lambda each: _rank_urgency(each[1]), default=None)


def show_matrix(console: Console, rows: Sequence[CombinationRow]) -> None:
    """Show every combination with its verdict and the bound that has the least room."""
    table = make_table("Combinations")
    for title in _shorten(list(rows[0].parameters)):
        table.add_column(make_text(console, title), overflow="fold", justify="right")
    for title in ("verdict", "least room", "distance"):
        table.add_column(title, overflow="fold", justify="right" if title == "distance" else "left")
    for row in rows:
        table.add_row(*(make_text(console, text) for text in _make_cells(row)))
    console.print()
    console.print(table)
    passed = sum(row.code is ExitCode.PASS for row in rows)
    write_line(console, Text(f"{passed} of {formatting.format_count(len(rows), 'combination')} passed."))


def _rank_urgency(bound: BoundResult) -> tuple[int, float]:
    """Return a key that sorts the worst verdict first, then by the room as a share of the bound."""
    room = (bound.distance or 0.0) / (abs(bound.bound or 0.0) or 1.0)
    return VERDICTS_WORST_FIRST.index(bound.outcome), -room if bound.must_fail else room


def _make_cells(row: CombinationRow) -> tuple[str, ...]:
    nearest = row.nearest
    if nearest is None:
        return *row.parameters.values(), row.verdict, _UNKNOWN, _UNKNOWN
    version, bound = nearest
    room = f"{version}: {bound.metric} {bound.text}"
    return *row.parameters.values(), row.verdict, room, formatting.format_signed(bound.distance)


def _shorten(paths: Sequence[str]) -> list[str]:
    """Return the last part of each path, or the whole path if several end alike."""
    names = [path.rpartition(".")[2] for path in paths]
    return [short if names.count(short) == 1 else path for short, path in zip(names, paths, strict=True)]
