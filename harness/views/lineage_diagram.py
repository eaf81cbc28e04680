"""The lineage as a picture: from the steps to the versions, the models of each, and what was published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from harness.plan import Plan
from harness.results import Result, VersionResult
from harness.views.formatting import number

MODELS = ("featurizer", "classifier", "explainer")
"""Each needs all that stand before it."""
ROW_HEIGHT, WIDTH, TOP = 104, 1000, 34
"""In the drawing's own units; text is 13 of them high."""
_STEP_SIGNS, _ID_SIGNS = 26, 8


@dataclass(frozen=True)
class Way:
    """What became of one step."""

    name: str
    step: str
    source: str
    """The words of the step in full."""
    delta: str
    """The Delta version, in words."""
    rows: str
    fingerprint: str
    run: str
    """The MLflow run, short; empty where no model was trained."""
    models: tuple[str, ...]
    published: bool
    refused: bool
    """Whether the step failed, as it had to, and left no version of its own."""
    top: int
    """Where its row begins."""

    @property
    def sentence(self) -> str:
        """The row in words."""
        if self.refused:
            return f"{self.name}: {self.source} was refused, and the table stays at {self.delta}"
        made = f"{self.name}: {self.source} leads to {self.delta} with {self.rows}"
        if not self.run:
            return f"{made}; no model is trained there"
        end = "published as one bundle" if self.published else "not published"
        return f"{made}, on which MLflow run {self.run} trains {', '.join(self.models)}, {end}"


def ways(plan: Plan, result: Result) -> tuple[Way, ...]:
    """One for each version that the run has reached, in order."""
    return tuple(_way(plan, version, at) for at, version in enumerate(result.versions))


def alternative(found: tuple[Way, ...]) -> str:
    """The picture in words."""
    return f"Lineage. {'. '.join(way.sentence for way in found)}."


def _way(plan: Plan, version: VersionResult, at: int) -> Way:
    steps = {each.name: each.describe() for each in plan.scenario.versions}
    words = steps.get(version.name, "an unknown step")
    return Way(
        name=version.name,
        step=words if len(words) <= _STEP_SIGNS else f"{words[: _STEP_SIGNS - 1]}…",
        source=words,
        delta=f"version {version.version}" if version.version >= 0 else "no version",
        rows=f"{number(version.rows)} rows",
        fingerprint=version.fingerprint[:_ID_SIGNS],
        run=(version.run_id or "")[:_ID_SIGNS],
        models=MODELS if version.run_id else (),
        published=version.bundle is not None,
        refused=version.error is not None,
        top=TOP + at * ROW_HEIGHT,
    )


_STEP, _VERSION, _RUN, _BUNDLE = 0, 246, 418, 868
"""Where the columns begin."""
_TITLES = (
    (_STEP, "step"),
    (_VERSION, "Delta version"),
    (_RUN, "MLflow run, with the models that depend on each other"),
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


def lineage_svg(found: tuple[Way, ...]) -> str:
    """The picture, with its words for those who do not see it; empty where there is no version."""
    if not found:
        return ""
    height = found[-1].top + ROW_HEIGHT - 30
    titles = "".join(_note(x, 14, title) for x, title in _TITLES)
    rows = "".join(part for way in found for part in _row(way, is_last=way is found[-1]))
    return (
        f'<svg class="lineage" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(alternative(found), quote=True)}">{_TIP}{titles}{rows}</svg>'
    )


def _row(way: Way, *, is_last: bool) -> Iterator[str]:
    y, middle = way.top, way.top + _HIGH // 2
    name = way.name if len(way.name) <= _NAME_SIGNS else f"{way.name[: _NAME_SIGNS - 1]}…"
    line = _DASHED if way.refused else ""
    yield _box(_STEP, y, 210, name, way.step, line)
    yield _arrow(f"M210 {middle} H{_VERSION - 2}", line)
    if way.refused:
        yield _box(_VERSION, y, 136, "refused", f"stays at {way.delta}", line)
    else:
        yield _box(_VERSION, y, 136, way.delta, f"{way.rows} · {way.fingerprint[:4]}")
    if not is_last:
        yield _arrow(f"M314 {y + _HIGH} V{y + ROW_HEIGHT - 2}")
    if way.models:
        yield from _models(way)
    elif not way.refused:
        yield _note(_RUN, y + 28, "no model is trained here")


def _models(way: Way) -> Iterator[str]:
    """The run with its models, and what became of them."""
    y, middle = way.top, way.top + _HIGH // 2
    yield _arrow(f"M382 {middle} H{_RUN - 2}")
    yield (
        f'<rect x="{_RUN}" y="{y - 12}" width="404" height="84" rx="8" '
        'style="fill:none;stroke:var(--rule);stroke-width:1.5"/>'
    )
    yield _note(_RUN + 12, y + 66, f"run {way.run}")
    starts = [_RUN + 12 + at * _MODEL_STEP for at in range(len(way.models))]
    for x, model in zip(starts, way.models, strict=True):
        yield _box(x, y + 6, _MODEL_WIDTH, model, high=36)
    for x in starts[:-1]:
        yield _arrow(f"M{x + _MODEL_WIDTH} {middle} h{_MODEL_STEP - _MODEL_WIDTH - 2}")
    # The explainer needs the featurizer, too.
    yield _arrow(f"M500 {y + 42} C520 {y + 62} 720 {y + 62} 748 {y + 44}")
    if way.published:
        yield _arrow(f"M822 {middle} H{_BUNDLE - 2}")
        yield _box(_BUNDLE, y, 130, "published", "all three together", _PUBLISHED)
    else:
        yield _box(_BUNDLE, y, 130, "not published", style=_DASHED)


def _box(x: int, y: int, width: int, title: str, note: str = "", style: str = "", high: int = _HIGH) -> str:
    below = _note(x + 10, y + 37, note) if note else ""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{high}" rx="6" '
        f'style="fill:var(--card);stroke:var(--muted);{style}"/>'
        f'<text x="{x + 10}" y="{y + (19 if note else high // 2 + 5)}" '
        f'style="fill:var(--ink);stroke:none;font-weight:600;font-size:13px">{escape(title)}</text>{below}'
    )


def _note(x: int, y: int, text: str) -> str:
    style = "fill:var(--muted);stroke:none;font-size:12px"
    return f'<text x="{x}" y="{y}" style="{style}">{escape(text)}</text>'


def _arrow(path: str, style: str = "") -> str:
    drawn = f"fill:none;stroke:var(--muted);stroke-width:1.4;{style}"
    return f'<path d="{path}" marker-end="url(#tip)" style="{drawn}"/>'
