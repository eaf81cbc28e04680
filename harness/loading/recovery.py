"""What else is wrong with a file whose form is: its mistakes put right as far as that can be told.

A mistyped key is taken for the one that is meant; a value that is wrong is left out where nothing but what
stands beside it depends on it. What then comes to light is told together with the mistakes of form, and not
one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from harness.errors import Location, Problem
from harness.loading.messages import details_of, meant_key, problems_of
from harness.scenario.model import Scenario

_ATTEMPTS = 5
"""A mistake inside of what was mended shows at the next one."""


@dataclass
class Mended:
    """A file's values with its mistakes of form put right."""

    values: Any
    written: dict[Location, str] = field(default_factory=dict)
    """Where a key was mistyped: its place with the key that is meant, and the key as it is written."""
    unsure: set[Location] = field(default_factory=set)
    """Around what was left out; a problem there may be none of the file's."""

    def told(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Those that are the file's own, at their places in it."""
        for problem in problems:
            if not any(problem.location[: len(place)] == place for place in self.unsure):
                yield replace(problem, location=self._as_written(problem.location))

    def put_right(self, details: Mapping[Location, ErrorDetails]) -> bool:
        """Mend what the validator found; whether nothing is left over."""
        done = [self._mend(location, detail) for location, detail in details.items()]
        return all(done)

    def _mend(self, location: Location, detail: ErrorDetails) -> bool:
        meant = meant_key(detail) if detail["type"] == "extra_forbidden" else None
        around = self._at(location[:-1])
        if meant and isinstance(around, dict) and location[-1] in around and meant not in around:
            around[meant] = around.pop(location[-1])
            self.written[*location[:-1], meant] = str(location[-1])
            return True
        return self._leave_out(location)

    def _leave_out(self, location: Location) -> bool:
        """Take the nearest key away that is there, where that can't change what the rest means."""
        while location:
            around = self._at(location[:-1])
            if isinstance(around, dict) and location[-1] in around:
                break
            location = location[:-1]
        if not _stands_alone(location):
            return False
        del around[location[-1]]
        self.unsure |= {location[:-1], ("caught_by",)}
        return True

    def _at(self, location: Location) -> Any:
        node = self.values
        for part in location:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def _as_written(self, location: Location) -> Location:
        return tuple(self.written.get(location[: number + 1], part) for number, part in enumerate(location))


def validated(values: Any) -> Scenario:
    """The scenario that a file's values are.

    Raises:
        ValidationError: Their form is wrong.
        PydanticSerializationError: Some of their text is none that a file could hold.
    """
    scenario = Scenario.model_validate(values, by_alias=True, by_name=False)
    scenario.model_dump_json()
    return scenario


def mend(values: Any, error: ValidationError) -> tuple[Scenario | None, list[Problem], Mended]:
    """The scenario that is likely to be meant.

    Args:
        values: The file's, which don't change.
        error: What is wrong with their form.

    Returns:
        The scenario, or none where nobody can tell; all mistakes of form; and by what to tell those that
        the scenario has besides.
    """
    mended = Mended(copy.deepcopy(values))
    details = details_of(error, values)
    problems = list(problems_of(details))
    for _ in range(_ATTEMPTS):
        if not mended.put_right(details):
            break
        try:
            return validated(mended.values), problems, mended
        except PydanticSerializationError:
            break
        except ValidationError as left:
            details = details_of(left, mended.values)
            problems += mended.told(problems_of(details))
    return None, problems, mended


def _stands_alone(location: Location) -> bool:
    """Whether nothing elsewhere in the file depends on a value: on bounds, and on how models are fitted."""
    return (
        location[:1] == ("every",)
        or location[2:3] == ("expect",)
        or (location[:1] == ("pipeline",) and location[1:2] in (("model",), ("explainer",)))
    ) and len(location) > 1
