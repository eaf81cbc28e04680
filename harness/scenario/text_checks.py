"""Checks of names and texts, for all parts of a scenario."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.errors import Location, Problem, did_you_mean, format_location


def find_repeated(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield each repeated name, with its index.

    Names that differ only in case count as equal, because Spark and some file systems ignore case.
    """
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name.lower() in seen:
            yield index, name
        seen.add(name.lower())


def check_not_blank(text: str | None, key: str, location: Location) -> Iterator[Problem]:
    """Report a SQL expression, or another text, that is blank."""
    if text is not None and not text.strip():
        yield Problem(f"'{key}' in '{format_location(location[:-1])}' is blank.", location)


def explain_not_earlier(name: str, names: Sequence[str], index: int) -> str | None:
    """Explain why a name doesn't refer to an earlier version.

    Args:
        name: The name.
        names: Names of all versions, in order.
        index: Index of the version that refers to the name.

    Returns:
        The reason, or ``None`` if it refers to one.
    """
    if name in names[:index]:
        return None
    if name in names:
        return f"version '{name}' is not earlier than this one."
    return f"there is no version '{name}'.{did_you_mean(name, names[:index])}"


_MOMENT = re.compile(
    r"\b(current_(date|timestamp|time)|localtimestamp)\b|"
    r"\b(now|curdate|getdate|unix_timestamp|rand|randn|random|uuid|shuffle)\s*\(",
    re.IGNORECASE,
)
_PREFIX = "harness_"
_MODEL_COLUMNS = ("features", "rawprediction", "probability", "prediction", "weights", "r2")
"""Columns that the models of a bundle add to the table, in lower case."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET = re.compile(
    "password|passwd|passphrase|pwd|secret|token|credential|signature|bearer|authorization|"
    "(access|account|api|encryption|function|functions|private|shared|subscription)key"
)
_SECRET_WORDS = frozenset(("auth", "cred", "creds", "jwt", "oauth", "pass", "pw", "sas", "sig"))
"""Words that are part of other ones, as in ``author`` and ``compass``."""


def depends_on_moment(text: str) -> bool:
    """Return whether SQL in a text has other values at another time, or each time."""
    return _MOMENT.search(text) is not None


def is_reserved(name: str) -> bool:
    """Return whether columns that a model is trained with can't have this name."""
    return name.lower().startswith(_PREFIX) or name.lower() in _MODEL_COLUMNS


def is_secret_name(name: str) -> bool:
    """Return whether the value of an option with this name is likely to be a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    return _SECRET.search("".join(words)) is not None or not _SECRET_WORDS.isdisjoint(words)
