"""The lineage drawn: five columns, a row per step, in the page's colours."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from harness.report.way import ROW_HEIGHT, WIDTH, Way, alternative

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
