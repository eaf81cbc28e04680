"""Passwords in the addresses of a scenario file, wherever in the file an address is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.errors import Location, Problem
from harness.storage.uris import describe_password


def check_passwords(values: Any, reported: Sequence[Problem]) -> Iterator[Problem]:
    """Report addresses with a password: a scenario is copied to plans, to MLflow and to version control.

    Args:
        values: The values of the file.
        reported: Problems that are known already; no value around or at their location is reported again.
    """
    known = {problem.location for problem in reported}
    for location, text in list_texts(values):
        password = describe_password(text)
        if password and not any(location[:length] in known for length in range(1, len(location) + 1)):
            yield Problem(f"the URI contains {password}; remove it.", location)


def list_texts(value: Any, at: Location = ()) -> Iterator[tuple[Location, str]]:
    """Yield each text in some values, and where it is."""
    match value:
        case str():
            yield at, value
        case dict():
            for key, each in value.items():
                yield from list_texts(each, (*at, key))
        case list():
            for index, each in enumerate(value):
                yield from list_texts(each, (*at, index))
