"""SVG drawings that take their colors and fonts from the page around them.

They are drawn in placeholder colors, which are then replaced by CSS variables, so that one drawing serves
light and dark mode. The same numbers give the same text: identifiers are salted with a constant and no date
is written.
"""

from __future__ import annotations

import re
from html import escape
from io import StringIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, RULE, LIMIT = "#010101", "#010102", "#010103", "#010104"
PASS, FAIL, UNPROVEN, PAPER = "#010105", "#010106", "#010107", "#010108"
UP, DOWN = "#010109", "#01010a"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    LIMIT: "--limit",
    PASS: "--pass",
    FAIL: "--fail",
    UNPROVEN: "--not-proven",
    PAPER: "--paper",
    UP: "--up",
    DOWN: "--down",
}
_LIGHT = {
    "--ink": "#1c1d1f",
    "--muted": "#62656b",
    "--rule": "#dcdcd8",
    "--limit": "#c2620e",
    "--pass": "#1d7a46",
    "--fail": "#b3261e",
    "--not-proven": "#8a5a00",
    "--paper": "#ffffff",
    "--card": "#f7f7f5",
    "--up": "#b4532a",
    "--down": "#2a6db0",
}
"""The colors of report.css.j2 in light mode."""
# Any: matplotlib types the keys as a literal of all its settings.
STYLE: dict[Any, Any] = {
    # Text stays text and its font family is removed, so that the page's fonts apply.
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.unicode_minus": True,
    "text.parse_math": False,
}
_NAME_LENGTH = 11


def make_canvas(size_in: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return an empty drawing of a width and height in inches."""
    figure = Figure(figsize=size_in, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure, axes


def clip(name: str, length: int) -> str:
    """Shorten a name to a number of characters."""
    length = min(length, _NAME_LENGTH)
    return name if len(name) <= length else f"{name[: length - 1]}…"


def render_svg(figure: Figure, alternative: str) -> str:
    """Return a drawing for a page, with a text alternative."""
    file = StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _adapt_to_page(file.getvalue(), alternative)


def _adapt_to_page(svg: str, alternative: str) -> str:
    """Adapt a drawing to a page: remove the file header, use the page's colors, add a text alternative."""
    box = re.search(r'viewBox="[^"]+"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body).replace("xlink:href", "href")
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]+; ", "", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var({variable})")
    label = escape(alternative, quote=True)
    return f'<svg {box.group() if box else ""} role="img" aria-label="{label}">{body.strip()}'


def make_standalone_svg(svg: str) -> str:
    """Return a drawing of ``render_svg`` as a standalone file in light colors."""
    for variable, color in _LIGHT.items():
        svg = svg.replace(f"var({variable})", color)
    attributes = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif"'
    return svg.replace("<svg ", f'<svg {attributes} style="background: {_LIGHT["--paper"]}" ', 1) + "\n"
