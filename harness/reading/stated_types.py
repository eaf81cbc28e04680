"""Types that a scenario states for the columns of its sources, such as ``timestamp 'dd.MM.yyyy'``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.reading.value_typing import BOOLEAN, DATE, INTEGER, NUMBER, TIMESTAMP

_FORMATTED = re.compile(r"(date|timestamp)\s+'([^']+)'", re.IGNORECASE)
SYNONYMS = {"integer": "int", "long": "bigint", "short": "smallint", "byte": "tinyint", "real": "float"}
"""Names of types in SQL to those that Spark writes."""
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_MAX_PRECISION = 38
_FORMS = {
    "tinyint": INTEGER,
    "smallint": INTEGER,
    "int": INTEGER,
    "bigint": INTEGER,
    "float": NUMBER,
    "double": NUMBER,
    "boolean": BOOLEAN,
    "date": DATE,
    "timestamp": f"{DATE}|{TIMESTAMP}",
}
"""Types to the form of their values as text, as a regular expression."""
STATED_TYPES = ("string", *_FORMS, "decimal(P,S)", "date 'FORMAT'", "timestamp 'FORMAT'")
"""Every type that can be stated."""


@dataclass(frozen=True)
class StatedType:
    """A type that a scenario states for a column."""

    kind: str
    """The type, as Spark writes it."""
    pattern: str | None = None
    """How dates or times are written, as Spark's datetime pattern; ``None``: the ISO format."""

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.form in (INTEGER, NUMBER)

    @property
    def form(self) -> str | None:
        """Form of a value as text, as a regular expression; ``None`` if it can't be stated as one."""
        if self.pattern is not None or self.kind == "string":
            return None
        return NUMBER if self.kind.startswith("decimal") else _FORMS[self.kind]


def parse_stated_type(text: str) -> StatedType:
    """Return the type that a scenario states.

    Raises:
        ValueError: It is not one of ``STATED_TYPES``.
    """
    if found := _FORMATTED.fullmatch(text.strip()):
        return StatedType(found[1].lower(), found[2])
    kind = re.sub(r"\s+", "", text.lower())
    kind = SYNONYMS.get(kind, kind)
    if kind == "string" or kind in _FORMS:
        return StatedType(kind)
    if found := _DECIMAL.fullmatch(kind):
        precision, scale = int(found[1]), int(found[2] or 0)
        if 1 <= precision <= _MAX_PRECISION and scale <= precision:
            return StatedType(f"decimal({precision},{scale})")
    raise ValueError(f"unknown type '{text}'; use one of {', '.join(STATED_TYPES)}")
