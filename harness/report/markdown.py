"""The report as Markdown for pull requests: failures first, details collapsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.parity.compare import Library, Parity
from harness.plan import Plan
from harness.report.parity_table import (
    DifferenceRow,
    describe_agreement,
    describe_counts,
    make_difference_rows,
    name_sides,
    select_differing_libraries,
)
from harness.results import MeasuredValue, Result, VersionResult, shorten_fingerprint
from harness.storage.uris import remove_password
from harness.views import formatting, moved_rows, tables
from harness.views.bound_table import BoundRow, make_bound_rows, make_headline, sort_worst_first
from harness.views.run_info import list_facts, list_missing_versions

_SIGNS = {"pass": "✅", "fail": "❌", "not-proven": "❔", "observed": "👁️", "stopped": "🛑"}
_COLUMNS = 6
"""Number of versions shown side by side; if there are more, the latest ones."""
_FEATURES = 12
_DIFFERENCES = 20
"""Number of differences from another run that are shown, worst first."""


def render_markdown(plan: Plan, result: Result, parity: Parity | None = None) -> str:
    """Render GitHub's Markdown. Names are code; no message can break a table or mention a user."""
    parts = (
        *_render_verdict(plan, result, parity),
        *_render_bounds(result),
        *(_render_parity(parity) if parity else ()),
        *_render_explanations(result),
        *_render_rows(result),
        *_render_lineage(result),
        *_render_collapsed_section("All metrics", _render_version_table(tables.build_metric_table(result))),
        *_render_collapsed_section(
            "Champion", _render_version_table(tables.build_champion_table(result), notes=True)
        ),
        *_render_collapsed_section(
            "Segments", _render_version_table(tables.build_segment_table(result), notes=True)
        ),
        *_render_collapsed_section("Grid search", _render_version_table(tables.build_grid_table(result))),
        *_render_collapsed_section(
            "Coefficients per standard deviation",
            _render_version_table(tables.build_coefficient_table(result)),
        ),
        *_render_collapsed_section("Timings", _render_version_table(tables.build_timing_table(result))),
        *_render_collapsed_section("Run", _render_run(plan, result)),
    )
    return "\n\n".join(parts) + "\n"


def escape_text(text: str) -> str:
    """Escape text for Markdown and HTML, on one line."""
    escaped = re.sub(
        r"([\\`*_{}\[\]()#+!|~])", r"\\\1", " ".join(formatting.show_control_characters(text).split())
    )
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def format_code(text: str) -> str:
    """Format text as code, even in tables and if it contains backticks."""
    flat = " ".join(formatting.show_control_characters(text).split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest else ""
    return f"{fence}{padding}{flat}{padding}{fence}" if flat else ""


def _render_verdict(plan: Plan, result: Result, parity: Parity | None) -> Iterable[str]:
    head = make_headline(result, parity)
    subject = f"{escape_text(result.scenario)} on {escape_text(result.target)}"
    yield f"## {_SIGNS[head.tone]} {head.word}: {subject}"
    yield f"{escape_text(head.sentence)} Took {formatting.format_seconds(result.duration_s)}."
    if head.comparison:
        yield escape_text(head.comparison)
    if result.failure is not None:
        remedy = f"\n>\n> {escape_text(result.failure.remedy)}" if result.failure.remedy else ""
        yield f"> **{escape_text(result.failure.message)}**{remedy}"
    if missing := list_missing_versions(plan, result):
        yield f"Not reached: {', '.join(map(format_code, missing))}."
    yield from (f"**Warning:** {escape_text(warning)}" for warning in result.warnings)


def _render_bounds(result: Result) -> Iterable[str]:
    rows = sort_worst_first(make_bound_rows(result.versions))
    if not rows:
        return
    yield "### Bounds"
    header = ("verdict", "version", "metric", "measured", "bound", "distance")
    yield _render_table(header, [_make_bound_cells(row) for row in rows], numbers=(3, 5))


def _make_bound_cells(row: BoundRow) -> Sequence[str]:
    verdict = row.label + (f": {escape_text(row.reason)}" if row.reason else "")
    name = format_code(row.metric) if row.since is None else f"{format_code(row.metric)}, change"
    value = row.value if row.distance else escape_text(row.value)  # A text has no distance.
    return verdict, format_code(row.version), name, value, format_code(row.bound), row.distance


def _render_parity(parity: Parity) -> Iterable[str]:
    yield "### Parity"
    summary = f"{formatting.verdict_mark(parity.verdict)} {escape_text(describe_agreement(parity))}"
    if parity.reason:
        yield summary
        return
    a, b = name_sides(parity)
    runs = " and ".join(
        f"{format_code(side.run or '')} on {escape_text(side.target or '')}" for side in (a, b)
    )
    yield f"{summary} {describe_counts(parity)} Compared: {runs}."
    rows = make_difference_rows(parity)
    if rows:
        yield _render_differences(rows[:_DIFFERENCES], a.name, b.name)
    if len(rows) > _DIFFERENCES:
        yield f"{formatting.format_count(len(rows) - _DIFFERENCES, 'smaller difference')} omitted."
    if libraries := [
        _make_library_cells(library) for library in select_differing_libraries(parity.libraries)
    ]:
        yield _render_table(("library with different versions", a.name, b.name), libraries)
    yield from _render_collapsed_section(
        "Not proven by a local run", "\n".join(f"- {escape_text(gap)}" for gap in parity.gaps)
    )


def _render_differences(rows: Iterable[DifferenceRow], a: str, b: str) -> str:
    header = ("verdict", "version", "what", "name", a, b, "difference", "tolerance")
    return _render_table(header, [_make_difference_cells(row) for row in rows], numbers=(6, 7))


def _make_difference_cells(row: DifferenceRow) -> Sequence[str]:
    values = (format_code(row.a), format_code(row.b)) if row.kind == "data" else (row.a, row.b)
    name = (format_code(row.version), row.kind, format_code(row.name))
    return formatting.verdict_label(row.verdict), *name, *values, row.difference, row.tolerance


def _make_library_cells(library: Library) -> Sequence[str]:
    return (
        format_code(library.name),
        format_code(library.a or formatting.ABSENT),
        format_code(library.b or formatting.ABSENT),
    )


def _render_explanations(result: Result) -> Iterable[str]:
    features = tables.rank_features(result.versions)
    explained = [version for version in result.versions if version.explanations]
    if not features:
        return
    yield "### Explanations"
    yield _describe_weights(len(features), len(explained))
    shown = explained[-_COLUMNS:]
    header = ("feature", *(format_code(version.name) for version in shown), "change")
    lines = [_make_weight_cells(feature, shown, result) for feature in features[:_FEATURES]]
    yield _render_table(header, lines, numbers=range(1, len(header)))


def _describe_weights(features: int, versions: int) -> str:
    note = "Mean weight per standard deviation of the feature, and its change at the last version."
    if versions > _COLUMNS:
        note += f" The last {_COLUMNS} of {versions} versions are shown."
    if features > _FEATURES:
        note += f" {formatting.format_count(features - _FEATURES, 'less important feature')} omitted."
    return note


def _make_weight_cells(feature: str, shown: Sequence[VersionResult], result: Result) -> Sequence[str]:
    explanations = [version.explanations.get(feature) for version in shown]
    weights = [None if weight is None else weight.mean_per_sd for weight in explanations]
    cells = [formatting.ABSENT if weight is None else formatting.format_signed(weight) for weight in weights]
    sign_note = (
        " (changes sign)" if tables.changes_sign(tables.list_weights(feature, result.versions)) else ""
    )
    return format_code(feature), *cells, _format_last_change(weights) + sign_note


def _format_last_change(weights: Sequence[MeasuredValue]) -> str:
    before, now = weights[-2:] if len(weights) > 1 else (None, None)
    return "" if before is None or now is None else formatting.format_signed(now - before)


def _render_rows(result: Result) -> Iterable[str]:
    moved, changed = (
        moved_rows.build_moved_tables(result.versions),
        moved_rows.build_changed_tables(result.versions),
    )
    notes = "\n\n".join(map(escape_text, moved_rows.describe_predictions(result)))
    parts = [notes, *map(_render_row_table, moved)] if moved else []
    yield from _render_collapsed_section("Rows whose score moved most", "\n\n".join(filter(None, parts)))
    yield from _render_collapsed_section("Rows that changed", "\n\n".join(map(_render_row_table, changed)))


def _render_row_table(table: moved_rows.RowTable) -> str:
    heading = f"**{escape_text(table.title)}**: {escape_text(table.note)}"
    # The text of a table's own values is code, so that nothing in it is Markdown.
    lines = [
        [text if at in table.numbers else format_code(text) for at, text in enumerate(line)]
        for line in table.lines
    ]
    return "\n\n".join(
        (heading, _render_table(table.titles, lines, numbers=table.numbers))[: 1 + bool(lines)]
    )


def _render_lineage(result: Result) -> Iterable[str]:
    if not result.versions:
        return
    yield "### Lineage"
    header = ("version", "Delta version", "rows", "fingerprint", "commits", "MLflow run", "bundle")
    yield _render_table(header, [_make_lineage_cells(version) for version in result.versions], numbers=(1, 2))


def _make_lineage_cells(version: VersionResult) -> Sequence[str]:
    bundle = format_code(remove_password(version.bundle)) if version.bundle else "not published"
    fingerprint = format_code(shorten_fingerprint(version.fingerprint))
    identity = (format_code(version.name), str(version.version), formatting.format_number(version.rows))
    run = format_code(version.run_id or "") or escape_text(formatting.describe_outcome(version))
    return *identity, fingerprint, escape_text(formatting.describe_commits(version)), run, bundle


def _render_version_table(table: tables.MeasurementTable, *, notes: bool = False) -> str:
    if not table:
        return ""
    latest = table.part(slice(-_COLUMNS, None))
    header = (table.corner, *map(format_code, latest.columns))
    lines = [
        (format_code(row.label), *(_format_cell(cell, notes=notes) for cell in row.cells))
        for row in latest.rows
    ]
    omitted = len(table.columns) - len(latest.columns)
    note = f"\n\n{formatting.format_count(omitted, 'earlier version')} omitted." if omitted else ""
    return _render_table(header, lines, numbers=range(1, len(header))) + note


def _format_cell(cell: tables.Cell, *, notes: bool) -> str:
    text = f"**{cell.text}**" if cell.strong and cell.text else cell.text
    return f"{text} ({escape_text(cell.note)})" if notes and cell.note else text


def _render_run(plan: Plan, result: Result) -> str:
    lines = [(fact.name, format_code(fact.value)) for fact in list_facts(plan, result)]
    settings = [
        (format_code(one.name), f"{format_code(remove_password(one.value))} ({escape_text(one.origin)})")
        for one in plan.settings
    ]
    libraries = [(format_code(name), format_code(version)) for name, version in result.libraries.items()]
    return _render_table(("fact", "value"), [*lines, *settings, *libraries])


def _render_collapsed_section(summary: str, body: str) -> Iterable[str]:
    if body:
        yield f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def _render_table(header: Sequence[str], lines: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    rule = ("---:" if at in numbers else "---" for at in range(len(header)))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, tuple(rule), *lines))
