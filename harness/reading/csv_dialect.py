"""The dialect of a CSV file: its separator, quotes, encoding and null words, from the options of a source."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.reading.value_typing import BLANKS, NUMBER

NOT_A_NUMBER = "#"
"""Marks a value that is a number in another dialect, such as 18.02 in a file with decimal commas."""

_ALIASES = {
    "delimiter": "sep",
    "charset": "encoding",
    "nullvalue": "nulls",
    "ignoreleadingwhitespace": "trim",
    "ignoretrailingwhitespace": "trim",
}
"""Spark's names of options to ours, in lower case."""
_IGNORED = ("multiline", "inferschema", "mode")
"""Spark's options that have no effect: line breaks may be in quotes, and types follow from the values."""
_DEFAULTS = {
    "sep": ",",
    "encoding": "utf-8",
    "header": "true",
    "quote": '"',
    "escape": "",
    "comment": "",
    "nulls": "",
    "decimal": ".",
    "thousands": "",
    "trim": "false",
}
CSV_OPTIONS = tuple(_DEFAULTS)
"""Every option of a CSV source."""
_ONE_BYTE = ("ascii", "utf-8", "iso8859-1", "iso8859-15", "cp1252")
"""Encodings in which a line break is the byte of ASCII, by the names of Python's codecs."""


@dataclass(frozen=True)
class CsvDialect:
    """How the text of a CSV file is split into fields, and which fields are null."""

    separator: str = ","
    encoding: str = "utf-8"
    """Name of Python's codec."""
    has_header: bool = True
    quote: str = '"'
    """Quotes a field; doubled inside it, it stands for itself (RFC 4180)."""
    escape: str = ""
    """A character that makes the next quote part of the field, in place of doubled quotes; empty: none."""
    comment: str = ""
    """First character of lines to skip; empty: none."""
    nulls: frozenset[str] = frozenset()
    """Words that mean null, besides the empty field."""
    decimal: str = "."
    thousands: str = ""
    trims: bool = False
    """Whether spaces around every field are removed."""

    @property
    def has_one_byte_line_breaks(self) -> bool:
        """Whether a file in this encoding can be split into lines before it is decoded."""
        return self.encoding in _ONE_BYTE

    @property
    def number_form(self) -> str | None:
        """Regular expression of the dialect's numbers; ``None`` if they only have a decimal point."""
        if self.decimal == "." and not self.thousands:
            return None
        whole = "[0-9]+"
        if self.thousands:
            whole = f"(?:[0-9]+|[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+)"
        point = re.escape(self.decimal)
        return f"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"

    def plain_number(self, value: str) -> str:
        """Write a number of the dialect with a decimal point, and mark one of another dialect as text.

        Blanks around the value are removed, as they are around all that is not text.
        """
        value = value.strip(BLANKS)
        if self.number_form is None:
            return value
        if re.fullmatch(self.number_form, value):
            return value.replace(self.thousands or "\0", "").replace(self.decimal, ".")
        return NOT_A_NUMBER + value if re.fullmatch(NUMBER, value) else value

    @property
    def spark_options(self) -> dict[str, str]:
        """Options of Spark's CSV reader, with which it splits a file in the same way."""
        return {
            "sep": self.separator,
            "encoding": _spark_encoding(self.encoding),
            "header": str(self.has_header).lower(),
            "quote": self.quote,
            "escape": self.escape or self.quote,
            "comment": self.comment,
            "ignoreLeadingWhiteSpace": str(self.trims).lower(),
            "ignoreTrailingWhiteSpace": str(self.trims).lower(),
            "unescapedQuoteHandling": "RAISE_ERROR",
            # A malformed row is an error to report, not a row of nulls.
            "mode": "FAILFAST",
            # Otherwise Spark would not notice that a row has too few fields.
            "columnPruning": "false",
        }


def parse_dialect(options: Mapping[str, str]) -> CsvDialect:
    """Return the dialect that the options of a source describe.

    Args:
        options: Name to value; names may be written in any case, and Spark's names are accepted.

    Raises:
        ValueError: An option is unknown, or has an invalid value.
    """
    given: dict[str, str] = {}
    for name, value in options.items():
        key = _ALIASES.get(name.lower(), name.lower())
        if key in _IGNORED:
            continue
        if key not in _DEFAULTS:
            raise ValueError(f"unknown option '{name}' of a CSV source; use one of {', '.join(CSV_OPTIONS)}")
        given[key] = value
    values = _DEFAULTS | given
    dialect = CsvDialect(
        separator=values["sep"].replace("\\t", "\t"),
        encoding=_find_codec(values["encoding"]),
        has_header=_parse_flag("header", values["header"]),
        quote=_parse_character("quote", values["quote"]),
        escape=_parse_character("escape", values["escape"]),
        comment=_parse_character("comment", values["comment"]),
        nulls=frozenset(word.strip() for word in values["nulls"].split(",")) - {""},
        decimal=_parse_character("decimal", values["decimal"]) or ".",
        thousands=_parse_character("thousands", values["thousands"]),
        trims=_parse_flag("trim", values["trim"]),
    )
    if not dialect.separator:
        raise ValueError("the option 'sep' is empty")
    if dialect.decimal == dialect.thousands:
        raise ValueError("the options 'decimal' and 'thousands' are the same")
    return dialect


def _parse_flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"the option '{name}' must be true or false (it is {value!r})")
    return value.lower() == "true"


def _parse_character(name: str, value: str) -> str:
    if len(value) > 1:
        raise ValueError(f"the option '{name}' must be one character (it is {value!r})")
    return value


def _find_codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise ValueError(f"unknown encoding {name!r}; use one such as utf-8, iso-8859-1 or utf-16") from error


def _spark_encoding(codec: str) -> str:
    """Return Java's name of an encoding: Python's names of the ISO encodings lack a hyphen."""
    return codec.replace("iso8859", "ISO-8859") if codec.startswith("iso8859") else codec
