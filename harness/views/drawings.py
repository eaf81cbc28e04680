"""The drawings of a report, each drawn once: a report of the same numbers takes those of the report before.

The plots need matplotlib, which takes longer to load than everything else that a report needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Drawings:
    """The drawings that are known, and those that are drawn."""

    known: Mapping[str, str] = field(default_factory=dict)
    """Key of a drawing to its SVG, from an earlier report of the same version of the harness."""
    used: dict[str, str] = field(default_factory=dict)
    """The same for all drawings of this report."""

    def draw(self, name: str, *subject: object) -> str | None:
        """Return a drawing.

        Args:
            name: The function of ``harness.views.plots`` that draws it.
            subject: Its arguments, whose ``repr`` is all that the drawing depends on.
        """
        key = hashlib.sha256(f"{name}{subject!r}".encode("utf-8", "surrogatepass")).hexdigest()
        if key not in self.known:
            from harness.views import plots

            drawn: str | None = getattr(plots, name)(*subject)
            self.used[key] = drawn or ""
        else:
            self.used[key] = self.known[key]
        return self.used[key] or None
