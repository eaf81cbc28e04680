"""Types of columns, from the text of their values by explicit rules.

====================  ==========================================================================
type                  values
====================  ==========================================================================
int, bigint           whole numbers of up to 32 or 64 bits, such as ``-12``, ``+3`` or ``007``
decimal(38,0)         longer whole numbers, of up to 38 digits
double                numbers such as ``1.5``, ``.5``, ``1e-3``, if they are finite
boolean               ``true`` and ``false``, in any case
date                  valid dates such as ``2024-02-29``
timestamp             valid dates with a time: ``2024-02-29T12:30``, ``2024-02-29 12:30:15.5+01:00``
string                everything else: ``1D``, ``Infinity``, ``NaN``, ``0x1F``, ``12:30``
====================  ==========================================================================

All values of a column decide: whole numbers and other numbers make a double, dates and timestamps a
timestamp, and any other mixture is text. Spaces around a value that is not text are ignored. A column of the
table's key is text unless all its values are whole numbers without leading zeros that fit into 64 bits, so
that no key changes.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntFlag

BLANKS = " \t"
"""Characters that are ignored around a value that is not text."""
INTEGER = r"[+-]?[0-9]+"
CANONICAL_INTEGER = r"-?[1-9][0-9]*|0"
NUMBER = r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
BOOLEAN = r"[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]"
DATE = r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIMESTAMP = DATE + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
"""Forms of values, as regular expressions of the whole value that Python and Java understand alike."""
_FORMS = {form: re.compile(form) for form in (INTEGER, CANONICAL_INTEGER, NUMBER, BOOLEAN, DATE, TIMESTAMP)}
_MAX_DIGITS = 38
LONG_INTEGER = f"decimal({_MAX_DIGITS},0)"
"""Type of whole numbers that don't fit into 64 bits."""

TypedValue = str | int | float | bool | Decimal | date | datetime | None


class Form(IntFlag):
    """The form of a value; those of a column's values are combined."""

    NONE = 0
    INT = 1
    BIGINT = 2
    LONG_INTEGER = 4
    """A whole number of up to 38 digits."""
    DOUBLE = 8
    BOOLEAN = 16
    DATE = 32
    TIMESTAMP = 64
    TEXT = 128
    CHANGED_AS_INTEGER = 256
    """A whole number that is written with a plus sign or leading zeros, which a number doesn't keep."""


_INTEGERS = Form.INT | Form.BIGINT


def find_form(text: str) -> Form:
    """Return the form of one value that is not null."""
    value = text.strip(BLANKS)
    if _FORMS[INTEGER].fullmatch(value):
        extra = Form.NONE if _FORMS[CANONICAL_INTEGER].fullmatch(value) else Form.CHANGED_AS_INTEGER
        return _find_size(value) | extra
    if _FORMS[NUMBER].fullmatch(value):
        return Form.DOUBLE if math.isfinite(float(value)) else Form.TEXT
    if _FORMS[BOOLEAN].fullmatch(value):
        return Form.BOOLEAN
    if _FORMS[DATE].fullmatch(value):
        return Form.DATE if _parse_date(value) is not None else Form.TEXT
    if _FORMS[TIMESTAMP].fullmatch(value):
        return Form.TIMESTAMP if _parse_timestamp(value) is not None else Form.TEXT
    return Form.TEXT


def _find_size(value: str) -> Form:
    if len(value.lstrip("+-").lstrip("0")) > _MAX_DIGITS:
        return Form.DOUBLE if math.isfinite(float(value)) else Form.TEXT
    number = int(value)
    for form, bits in ((Form.INT, 31), (Form.BIGINT, 63)):
        if -(1 << bits) <= number < 1 << bits:
            return form
    return Form.LONG_INTEGER


def choose_type(forms: Form, *, is_key: bool = False) -> str:
    """Return the type of a column, as Spark writes it, from the forms of all its values.

    Args:
        forms: The combined forms of its values.
        is_key: Whether it belongs to the table's key.
    """
    plain = forms & ~Form.CHANGED_AS_INTEGER
    if is_key and (forms != plain or plain & ~_INTEGERS):
        return "string"
    for allowed, kind in _TYPES:
        if plain and plain & ~allowed == Form.NONE:
            return kind
    return "string"


_TYPES = (
    (Form.INT, "int"),
    (_INTEGERS, "bigint"),
    (_INTEGERS | Form.LONG_INTEGER, LONG_INTEGER),
    (_INTEGERS | Form.LONG_INTEGER | Form.DOUBLE, "double"),
    (Form.BOOLEAN, "boolean"),
    (Form.DATE, "date"),
    (Form.DATE | Form.TIMESTAMP, "timestamp"),
)
"""Forms that a column's values may have to the first type that fits."""


def convert(text: str | None, kind: str) -> TypedValue:
    """Return a value of a column with a type that :func:`choose_type` has chosen.

    A timestamp without a zone is in UTC.
    """
    if text is None or kind == "string":
        return text
    value = text.strip(BLANKS)
    if kind in ("int", "bigint"):
        return int(value)
    if kind == "double":
        return float(value)
    if kind.startswith("decimal"):
        return Decimal(value)
    if kind == "boolean":
        return value.lower() == "true"
    return _parse_date(value) if kind == "date" else _parse_timestamp(value)


def _parse_date(value: str) -> date | None:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _parse_timestamp(value: str) -> datetime | None:
    """Return the instant; digits of a second beyond the sixth are cut off, as Spark does."""
    value = re.sub(r"(?<=[.][0-9]{6})[0-9]+", "", value)
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except OverflowError:
        return None
