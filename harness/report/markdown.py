"""The report as Markdown for pull requests: failures first, details collapsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.parity.compare import Library, Parity
from harness.plan import Plan
from harness.report.parity_table import (
    DifferenceRow,
    agreement,
    difference_rows,
    differing_libraries,
    sides,
    tally,
)
from harness.results import Measured, Result, VersionResult, shorten_fingerprint
from harness.storage.uris import without_password
from harness.views import formatting, tables
from harness.views.bound_table import BoundRow, bound_rows, headline, worst_first
from harness.views.run_info import facts, missing_versions

_SIGNS = {"pass": "✅", "fail": "❌", "not-proven": "❔", "stopped": "🛑"}
_COLUMNS = 6
"""Number of versions shown side by side; if there are more, the latest ones."""
_FEATURES = 12
_DIFFERENCES = 20
"""Number of differences from another run that are shown, worst first."""


def render_markdown(plan: Plan, result: Result, parity: Parity | None = None) -> str:
    """Render GitHub's Markdown. Names are code; no message can break a table or mention a user."""
    parts = (
        *_verdict(plan, result, parity),
        *_bounds(result),
        *(_parity(parity) if parity else ()),
        *_explanations(result),
        *_lineage(result),
        *_collapsed_section("All metrics", _version_table(tables.metric_table(result))),
        *_collapsed_section("Grid search", _version_table(tables.grid_table(result))),
        *_collapsed_section(
            "Coefficients per standard deviation", _version_table(tables.coefficient_table(result))
        ),
        *_collapsed_section("Timings", _version_table(tables.timing_table(result))),
        *_collapsed_section("Run", _run(plan, result)),
    )
    return "\n\n".join(parts) + "\n"


def prose(text: str) -> str:
    """Escape text for Markdown and HTML, on one line."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", " ".join(formatting.printable(text).split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def code(text: str) -> str:
    """Format text as code, even in tables and if it contains backticks."""
    flat = " ".join(formatting.printable(text).split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest else ""
    return f"{fence}{padding}{flat}{padding}{fence}" if flat else ""


def _verdict(plan: Plan, result: Result, parity: Parity | None) -> Iterable[str]:
    head = headline(result, parity)
    yield f"## {_SIGNS[head.tone]} {head.word}: {prose(result.scenario)} on {prose(result.target)}"
    yield f"{prose(head.sentence)} Took {formatting.seconds(result.duration_s)}."
    if result.failure is not None:
        remedy = f"\n>\n> {prose(result.failure.remedy)}" if result.failure.remedy else ""
        yield f"> **{prose(result.failure.message)}**{remedy}"
    if missing := missing_versions(plan, result):
        yield f"Not reached: {', '.join(map(code, missing))}."


def _bounds(result: Result) -> Iterable[str]:
    rows = worst_first(bound_rows(result.versions))
    if not rows:
        return
    yield "### Bounds"
    header = ("verdict", "version", "metric", "measured", "bound", "distance")
    yield _table(header, [_bound_cells(row) for row in rows], numbers=(3, 5))


def _bound_cells(row: BoundRow) -> Sequence[str]:
    verdict = row.label + (f": {prose(row.reason)}" if row.reason else "")
    name = code(row.metric) if row.since is None else f"{code(row.metric)}, change"
    value = row.value if row.distance else prose(row.value)  # A text has no distance.
    return verdict, code(row.version), name, value, code(row.bound), row.distance


def _parity(parity: Parity) -> Iterable[str]:
    yield "### Parity"
    summary = f"{formatting.mark(parity.verdict)} {prose(agreement(parity))}"
    if parity.reason:
        yield summary
        return
    a, b = sides(parity)
    runs = " and ".join(f"{code(side.run or '')} on {prose(side.target or '')}" for side in (a, b))
    yield f"{summary} {tally(parity)} Compared: {runs}."
    rows = difference_rows(parity)
    if rows:
        yield _differences(rows[:_DIFFERENCES], a.name, b.name)
    if len(rows) > _DIFFERENCES:
        yield f"{formatting.count(len(rows) - _DIFFERENCES, 'smaller difference')} omitted."
    if libraries := [_library_cells(library) for library in differing_libraries(parity.libraries)]:
        yield _table(("library with different versions", a.name, b.name), libraries)
    yield from _collapsed_section(
        "Not proven by a local run", "\n".join(f"- {prose(gap)}" for gap in parity.gaps)
    )


def _differences(rows: Iterable[DifferenceRow], a: str, b: str) -> str:
    header = ("verdict", "version", "what", "name", a, b, "difference", "tolerance")
    return _table(header, [_difference_cells(row) for row in rows], numbers=(6, 7))


def _difference_cells(row: DifferenceRow) -> Sequence[str]:
    values = (code(row.a), code(row.b)) if row.kind == "data" else (row.a, row.b)
    name = (code(row.version), row.kind, code(row.name))
    return formatting.verdict_label(row.verdict), *name, *values, row.difference, row.tolerance


def _library_cells(library: Library) -> Sequence[str]:
    return code(library.name), code(library.a or formatting.ABSENT), code(library.b or formatting.ABSENT)


def _explanations(result: Result) -> Iterable[str]:
    features = tables.ranked_features(result.versions)
    explained = [version for version in result.versions if version.explanations]
    if not features:
        return
    yield "### Explanations"
    yield _weight_note(len(features), len(explained))
    shown = explained[-_COLUMNS:]
    header = ("feature", *(code(version.name) for version in shown), "change")
    lines = [_weight_cells(feature, shown, result) for feature in features[:_FEATURES]]
    yield _table(header, lines, numbers=range(1, len(header)))


def _weight_note(features: int, versions: int) -> str:
    note = "Mean weight per standard deviation of the feature, and its change at the last version."
    if versions > _COLUMNS:
        note += f" The last {_COLUMNS} of {versions} versions are shown."
    if features > _FEATURES:
        note += f" {formatting.count(features - _FEATURES, 'less important feature')} omitted."
    return note


def _weight_cells(feature: str, shown: Sequence[VersionResult], result: Result) -> Sequence[str]:
    explanations = [version.explanations.get(feature) for version in shown]
    weights = [None if weight is None else weight.mean_per_sd for weight in explanations]
    cells = [formatting.ABSENT if weight is None else formatting.signed(weight) for weight in weights]
    sign_note = " (changes sign)" if tables.changes_sign(tables.weights_of(feature, result.versions)) else ""
    return code(feature), *cells, _last_change(weights) + sign_note


def _last_change(weights: Sequence[Measured]) -> str:
    before, now = weights[-2:] if len(weights) > 1 else (None, None)
    return "" if before is None or now is None else formatting.signed(now - before)


def _lineage(result: Result) -> Iterable[str]:
    if not result.versions:
        return
    yield "### Lineage"
    header = ("version", "Delta version", "rows", "fingerprint", "commits", "MLflow run", "bundle")
    yield _table(header, [_lineage_cells(version) for version in result.versions], numbers=(1, 2))


def _lineage_cells(version: VersionResult) -> Sequence[str]:
    bundle = code(without_password(version.bundle)) if version.bundle else "not published"
    fingerprint = code(shorten_fingerprint(version.fingerprint))
    identity = (code(version.name), str(version.version), formatting.number(version.rows))
    run = code(version.run_id or "") or prose(formatting.describe_outcome(version))
    return *identity, fingerprint, prose(formatting.describe_commits(version)), run, bundle


def _version_table(table: tables.Table) -> str:
    if not table:
        return ""
    latest = table.part(slice(-_COLUMNS, None))
    header = (table.corner, *map(code, latest.columns))
    lines = [(code(line.label), *map(_cell, line.cells)) for line in latest.lines]
    omitted = len(table.columns) - len(latest.columns)
    note = f"\n\n{formatting.count(omitted, 'earlier version')} omitted." if omitted else ""
    return _table(header, lines, numbers=range(1, len(header))) + note


def _cell(cell: tables.Cell) -> str:
    return f"**{cell.text}**" if cell.strong and cell.text else cell.text


def _run(plan: Plan, result: Result) -> str:
    lines = [(fact.name, code(fact.value)) for fact in facts(plan, result)]
    settings = [
        (code(one.name), f"{code(without_password(one.value))} ({prose(one.origin)})")
        for one in plan.settings
    ]
    libraries = [(code(name), code(version)) for name, version in result.libraries.items()]
    return _table(("fact", "value"), [*lines, *settings, *libraries])


def _collapsed_section(summary: str, body: str) -> Iterable[str]:
    if body:
        yield f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    rule = ("---:" if at in numbers else "---" for at in range(len(header)))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, tuple(rule), *lines))
