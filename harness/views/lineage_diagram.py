"""The lineage diagram: steps, versions, the models of each version, and published bundles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from harness.plan import Plan
from harness.results import VersionResult
from harness.views.formatting import format_number

MODELS = ("featurizer", "classifier", "explainer")
"""In order of dependence: each model needs all models before it."""
ROW_HEIGHT, WIDTH, TOP = 104, 1000, 34
"""Sizes in the drawing's units; text is 13 units high."""
_STEP_SIGNS, _ID_SIGNS = 26, 8


@dataclass(frozen=True)
class LineageRow:
    """One row of the diagram: a step and its outcome."""

    name: str
    step: str
    source: str
    """The full description of the step."""
    delta: str
    """The Delta version as text."""
    rows: str
    fingerprint: str
    run: str
    """The shortened ID of the MLflow run; empty if no model was trained."""
    models: tuple[str, ...]
    published: bool
    refused: bool
    """Whether the step failed as expected and created no version."""
    top: int
    """The vertical position of the row."""

    @property
    def sentence(self) -> str:
        """The row as a sentence."""
        if self.refused:
            return f"{self.name}: {self.source} was refused; the table stays at {self.delta}"
        version = f"{self.name}: {self.source} leads to {self.delta} with {self.rows}"
        if not self.run:
            return f"{version}; no model was trained"
        end = "published as one bundle" if self.published else "not published"
        return f"{version}, on which MLflow run {self.run} trains {', '.join(self.models)}, {end}"


def make_lineage_rows(plan: Plan, versions: tuple[VersionResult, ...]) -> tuple[LineageRow, ...]:
    """Return a row for each version that the run has reached, in order."""
    return tuple(_make_lineage_row(plan, version, at) for at, version in enumerate(versions))


def describe_lineage(rows: tuple[LineageRow, ...]) -> str:
    """Return the text alternative of the diagram."""
    return f"Lineage. {'. '.join(row.sentence for row in rows)}."


def _make_lineage_row(plan: Plan, version: VersionResult, at: int) -> LineageRow:
    steps = {each.name: each.describe() for each in plan.scenario.versions}
    words = steps.get(version.name, "an unknown step")
    return LineageRow(
        name=version.name,
        step=words if len(words) <= _STEP_SIGNS else f"{words[: _STEP_SIGNS - 1]}…",
        source=words,
        delta=f"version {version.version}" if version.version >= 0 else "no version",
        rows=f"{format_number(version.rows)} rows",
        fingerprint=version.fingerprint[:_ID_SIGNS],
        run=(version.run_id or "")[:_ID_SIGNS],
        models=MODELS if version.run_id else (),
        published=version.bundle is not None,
        refused=version.error is not None,
        top=TOP + at * ROW_HEIGHT,
    )


_STEP, _VERSION, _RUN, _BUNDLE = 0, 246, 418, 868
"""The horizontal positions of the columns."""
_TITLES = (
    (_STEP, "step"),
    (_VERSION, "Delta version"),
    (_RUN, "MLflow run with its dependent models"),
    (_BUNDLE, "bundle"),
)
_HIGH = 48
_MODEL_WIDTH, _MODEL_STEP = 114, 132
_NAME_SIGNS = 24
_DASHED = "stroke-dasharray:4 3"
_PUBLISHED = "stroke:var(--pass);stroke-width:2"
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto">'
    '<path d="M0 0 8 4 0 8Z" style="fill:var(--muted)"/></marker></defs>'
)


def draw_lineage_diagram(rows: tuple[LineageRow, ...]) -> str:
    """Draw the diagram with its text alternative; return an empty text if there is no version."""
    if not rows:
        return ""
    height = rows[-1].top + ROW_HEIGHT - 30
    titles = "".join(_draw_note(x, 14, title) for x, title in _TITLES)
    drawing = "".join(part for row in rows for part in _draw_row(row, is_last=row is rows[-1]))
    return (
        f'<svg class="lineage" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(describe_lineage(rows), quote=True)}">{_TIP}{titles}{drawing}</svg>'
    )


def _draw_row(row: LineageRow, *, is_last: bool) -> Iterator[str]:
    y, middle = row.top, row.top + _HIGH // 2
    name = row.name if len(row.name) <= _NAME_SIGNS else f"{row.name[: _NAME_SIGNS - 1]}…"
    line = _DASHED if row.refused else ""
    yield _draw_box(_STEP, y, 210, name, row.step, line)
    yield _draw_arrow(f"M210 {middle} H{_VERSION - 2}", line)
    if row.refused:
        yield _draw_box(_VERSION, y, 136, "refused", f"stays at {row.delta}", line)
    else:
        yield _draw_box(_VERSION, y, 136, row.delta, f"{row.rows} · {row.fingerprint[:4]}")
    if not is_last:
        yield _draw_arrow(f"M314 {y + _HIGH} V{y + ROW_HEIGHT - 2}")
    if row.models:
        yield from _draw_models(row)
    elif not row.refused:
        yield _draw_note(_RUN, y + 28, "no model was trained")


def _draw_models(row: LineageRow) -> Iterator[str]:
    """Draw the run with its models and their bundle."""
    y, middle = row.top, row.top + _HIGH // 2
    yield _draw_arrow(f"M382 {middle} H{_RUN - 2}")
    yield (
        f'<rect x="{_RUN}" y="{y - 12}" width="404" height="84" rx="8" '
        'style="fill:none;stroke:var(--rule);stroke-width:1.5"/>'
    )
    yield _draw_note(_RUN + 12, y + 66, f"run {row.run}")
    starts = [_RUN + 12 + at * _MODEL_STEP for at in range(len(row.models))]
    for x, model in zip(starts, row.models, strict=True):
        yield _draw_box(x, y + 6, _MODEL_WIDTH, model, high=36)
    for x in starts[:-1]:
        yield _draw_arrow(f"M{x + _MODEL_WIDTH} {middle} h{_MODEL_STEP - _MODEL_WIDTH - 2}")
    # The explainer depends on the featurizer, too.
    yield _draw_arrow(f"M500 {y + 42} C520 {y + 62} 720 {y + 62} 748 {y + 44}")
    if row.published:
        yield _draw_arrow(f"M822 {middle} H{_BUNDLE - 2}")
        yield _draw_box(_BUNDLE, y, 130, "published", "all three together", _PUBLISHED)
    else:
        yield _draw_box(_BUNDLE, y, 130, "not published", style=_DASHED)


def _draw_box(
    x: int, y: int, width: int, title: str, note: str = "", style: str = "", high: int = _HIGH
) -> str:
    below = _draw_note(x + 10, y + 37, note) if note else ""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{high}" rx="6" '
        f'style="fill:var(--card);stroke:var(--muted);{style}"/>'
        f'<text x="{x + 10}" y="{y + (19 if note else high // 2 + 5)}" '
        f'style="fill:var(--ink);stroke:none;font-weight:600;font-size:13px">{escape(title)}</text>{below}'
    )


def _draw_note(x: int, y: int, text: str) -> str:
    style = "fill:var(--muted);stroke:none;font-size:12px"
    return f'<text x="{x}" y="{y}" style="{style}">{escape(text)}</text>'


def _draw_arrow(path: str, style: str = "") -> str:
    line_style = f"fill:none;stroke:var(--muted);stroke-width:1.4;{style}"
    return f'<path d="{path}" marker-end="url(#tip)" style="{line_style}"/>'
