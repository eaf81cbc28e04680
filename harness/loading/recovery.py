"""Recovery from values of the wrong type, so that later checks still run and report all mistakes at once.

A mistyped key is replaced by the one that is probably meant, and a wrong value by one that no later check
objects to. Problems that the replacement itself may have caused are not reported.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from harness.errors import Location, Problem
from harness.loading.messages import find_meant_key, list_problems, select_details
from harness.loading.model_tree import find_key
from harness.scenario.model import Scenario
from harness.scenario.step_base import Step
from harness.scenario.steps import STEPS, TABLE, Restore, Sql

_MAX_ATTEMPTS = 5
"""A mistake inside a repaired value is found by the next attempt."""

LocationTest = Callable[[Location], bool]
"""A test of whether a problem at a location may be caused by a repair."""

_ONLY_ALIASES: Mapping[str, Any] = (
    {"by_alias": True, "by_name": False}
    if "by_alias" in signature(Scenario.model_validate).parameters
    else {}
)
"""How a file's keys are read; older versions of pydantic, such as a cluster's, know no other way."""


@dataclass(frozen=True)
class Repair:
    """The replacement of a wrong value at a location."""

    at: Location
    may_be_caused: LocationTest
    """Which problems the replacement may cause."""
    value: object = None
    """The replacement; ``None``: the key is removed."""
    is_whole: bool = False
    """Whether it repairs only the value itself, and nothing inside it."""

    def applies_to(self, location: Location) -> bool:
        """Return whether the repair is for a value at a location."""
        return location == self.at if self.is_whole else location[: len(self.at)] == self.at


@dataclass
class RepairedValues:
    """A file's values after repairs, which decide which problems are the file's own."""

    values: Any
    original_keys: dict[Location, str] = field(default_factory=dict)
    """Location of a mistyped key, with the key that is meant, to the key as it is written."""
    may_be_caused: list[LocationTest] = field(default_factory=list)
    """Which problems the repairs may have caused."""
    replaced_locations: set[Location] = field(default_factory=set)
    """Locations of the values that this attempt has replaced."""

    def own_problems(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Yield the problems that no repair can have caused, at their locations in the file."""
        for problem in problems:
            if not any(test(problem.location) for test in self.may_be_caused):
                yield replace(problem, location=self._restore_keys(problem.location))

    def repair(self, details: Mapping[Location, ErrorDetails]) -> bool:
        """Repair what the validator found; return whether all of it could be repaired."""
        self.replaced_locations.clear()
        are_repaired = [self._repair(location, detail) for location, detail in details.items()]
        return all(are_repaired)

    def _repair(self, location: Location, detail: ErrorDetails) -> bool:
        if any(location[: len(each)] == each for each in self.replaced_locations):
            return True
        around = self._find_value(location[:-1])
        if isinstance(around, dict):
            if detail["type"] == "invalid_key":
                return self._remove_invalid_keys(location[:-1], around)
            if detail["type"] == "extra_forbidden" and self._rename_key(
                location, around, find_meant_key(detail)
            ):
                return True
        return self._repair_value(location, is_unknown_key=detail["type"] == "extra_forbidden")

    def _rename_key(self, location: Location, around: dict[Any, Any], meant: str | None) -> bool:
        if meant is None or location[-1] not in around or meant in around:
            return False
        around[meant] = around.pop(location[-1])
        self.original_keys[*location[:-1], meant] = str(location[-1])
        return True

    def _repair_value(self, location: Location, *, is_unknown_key: bool) -> bool:
        if is_unknown_key and location[:-1] in _PARTS:
            return self._replace(location, None, _PARTS[location[:-1]])
        for repair in _REPAIRS:
            if repair.applies_to(location):
                return self._replace(location[: len(repair.at)], repair.value, repair.may_be_caused)
        if location[:1] == ("versions",) and len(location) > 1:
            return self._repair_version(location, is_unknown_key=is_unknown_key)
        return self._remove_nearest(location)

    def _remove_invalid_keys(self, location: Location, around: dict[Any, Any]) -> bool:
        invalid = [key for key in around if not isinstance(key, str)]
        for key in invalid:
            del around[key]
        by_bounds = _any_of(_under(_find_part((*location, ""))), _under(("caught_by",)))
        self.may_be_caused.append(_PARTS.get(location, by_bounds))
        return bool(invalid)

    def _repair_version(self, location: Location, *, is_unknown_key: bool) -> bool:
        at, version = location[:2], self._find_value(location[:2])
        if not isinstance(version, dict) or location[2:3] == ("name",):
            return self._repair_name(at, version)
        key = location[2] if len(location) > 2 else ""  # noqa: PLR2004 - ("versions", index, key).
        if key == "expect":
            return self._remove_nearest(location)
        if key in STEPS:
            return self._repair_step(location, version, is_unknown_key=is_unknown_key)
        if key == "train":
            keys = (_under((*at, "expect", name)) for name in ("null_keys", "duplicate_keys"))
            return self._replace((*at, key), None, _any_of(_TABLE, _under(("pipeline",)), *keys))
        if key == "expect_error":
            return self._replace((*at, key), "UNKNOWN", _under((*at, key)))
        return self._replace((*at, key), None, _any_of(_under((*at, key)), lambda other: other == at))

    def _repair_name(self, at: Location, version: object) -> bool:
        name = f"version_{at[1]}"
        if isinstance(version, dict):
            version["name"] = name
            self.replaced_locations.add((*at, "name"))
            self.may_be_caused.append(_any_of(_names_a_version, _under((*at, "name"))))
        else:
            self._find_value(at[:1])[at[1]] = {"name": name, Sql.kind: _ANY_STATEMENT}
            self.replaced_locations.add(at)
            self.may_be_caused.append(_any_of(_names_a_version, _under(at)))
        return True

    def _repair_step(self, location: Location, version: dict[Any, Any], *, is_unknown_key: bool) -> bool:
        """Remove an optional key of a step, or replace the step by one that may have done anything."""
        at, kind = location[:2], str(location[2])
        step = STEPS[kind]
        if len(location) > 3 and not is_unknown_key and isinstance(version[kind], dict):  # noqa: PLR2004
            key = str(location[3])
            optional = {
                find_key(step, name) or name
                for name, each in step.model_fields.items()
                if not each.is_required()
            }
            if key == "from":
                return self._replace((*at, kind, key), _ANY_SOURCE, _under((*at, kind)))
            if key in optional - {*step.column_keys, *step.keys_of_short_form} and key in version[kind]:
                return self._replace((*at, kind, key), None, _under((*at, kind, key)))
        del version[kind]
        self.replaced_locations.add((*at, kind))
        can_add_columns = step.may_add_column is not Step.may_add_column
        version[Sql.kind] = _ANY_STATEMENT if can_add_columns else _NO_STATEMENT
        self.may_be_caused.append(
            lambda other: other[:2] == at and (other == at or other[2] in (*STEPS, "commits"))
        )
        self.may_be_caused.append(_under(("matrix",)))
        return True

    def _remove_nearest(self, location: Location) -> bool:
        """Remove the nearest existing key, if nothing elsewhere depends on it."""
        while location:
            around = self._find_value(location[:-1])
            if isinstance(around, dict) and location[-1] in around:
                break
            location = location[:-1]
        if not _stands_alone(location):
            return False
        return self._replace(location, None, _any_of(_under(_find_part(location)), _under(("caught_by",))))

    def _replace(self, location: Location, value: object, may_be_caused: LocationTest) -> bool:
        around = self._find_value(location[:-1])
        if isinstance(around, list) and value is not None:
            around[int(location[-1])] = copy.deepcopy(value)
        elif not isinstance(around, dict) or (value is None and location[-1] not in around):
            return False
        elif value is None:
            del around[location[-1]]
        else:
            around[location[-1]] = copy.deepcopy(value)
        self.may_be_caused.append(may_be_caused)
        self.replaced_locations.add(location)
        return True

    def _find_value(self, location: Location) -> Any:
        node = self.values
        for part in location:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def _restore_keys(self, location: Location) -> Location:
        return tuple(
            self.original_keys.get(location[: number + 1], part) for number, part in enumerate(location)
        )


def validate_scenario(values: Any) -> Scenario:
    """Return the scenario of a file's values.

    Raises:
        ValidationError: A value has the wrong type.
        PydanticSerializationError: Some of the text can't be in any file.
    """
    scenario = Scenario.model_validate(values, **_ONLY_ALIASES)
    scenario.model_dump_json()
    return scenario


def recover(values: Any, error: ValidationError) -> tuple[Scenario | None, list[Problem], RepairedValues]:
    """Return a scenario that is as close as possible to the one that is meant.

    Args:
        values: The file's values, which stay unchanged.
        error: The validator's errors.

    Returns:
        The scenario, or ``None`` if the values can't be repaired; a problem for each of the validator's
        errors; and the repairs, which decide which further problems of the scenario are the file's own.
    """
    repaired = RepairedValues(copy.deepcopy(values))
    details = select_details(error, values)
    problems = list(list_problems(details))
    for _ in range(_MAX_ATTEMPTS):
        if not repaired.repair(details):
            break
        try:
            return validate_scenario(repaired.values), problems, repaired
        except PydanticSerializationError:
            break
        except ValidationError as remaining:
            details = select_details(remaining, repaired.values)
            problems += repaired.own_problems(list_problems(details))
    return None, problems, repaired


def _stands_alone(location: Location) -> bool:
    """Return whether nothing elsewhere in the file depends on a value: a bound, or an option of a model."""
    return (
        location[:1] in (("every",), ("publish",))
        or location[2:3] == ("expect",)
        or (location[:1] == ("pipeline",) and location[1:2] in (("model",), ("explainer",), ("split",)))
    ) and len(location) > 1


def _find_part(location: Location) -> Location:
    """Return the location of the part of the file whose meaning a value decides: a bound, or options."""
    if location[:1] == ("every",) or location[2:3] == ("expect",):
        root = 1 if location[0] == "every" else 3
        by_name = len(location) > root and location[root] in _EXPECTED_BY_NAME
        return location[: root + (2 if by_name else 1)]
    return location[:-1]


def _under(location: tuple[str | int, ...]) -> LocationTest:
    """Return a test for problems at a location or inside it."""
    return lambda other: other[: len(location)] == location


def _any_of(*tests: LocationTest) -> LocationTest:
    """Return a test for problems that pass at least one of the tests."""
    return lambda location: any(test(location) for test in tests)


def _names_a_version(location: Location) -> bool:
    """Return whether a problem is one of a value that refers to versions by their names."""
    return (
        location[-1:] in (("since",), ("same_data_as",))
        or location[:1]
        in (
            ("caught_by",),
            ("verdict",),
            ("matrix",),
        )
        or location[2:3] == (Restore.kind,)
    )


def _bounds_on(*keys: str) -> LocationTest:
    """Return a test for problems of some of the expectations, of any version."""
    return lambda location: (
        (location[:1] == ("every",) and location[1:2] != () and location[1] in keys)
        or (location[2:3] == ("expect",) and location[3:4] != () and location[3] in keys)
    )


def _in_steps(location: Location) -> bool:
    """Return whether a problem is one of a step."""
    return location[:1] == ("versions",) and location[2:3] != () and location[2] in STEPS


_ANY_STATEMENT = f"DESCRIBE {TABLE} -- *"
"""A step that may have added any column."""
_NO_STATEMENT = f"DESCRIBE {TABLE}"
"""A step that has added no column."""
_ANY_SOURCE = {"path": "abfss://unknown@unknown.dfs.core.windows.net/unknown", "format": "csv"}
"""A source that may have any columns."""
_ANY_LABEL = {"column": "unknown", "positive": ["unknown"], "negative": ["other"]}
_MATRIX = _under(("matrix",))
_FEATURES = _any_of(
    _under(("pipeline", "features")),
    _under(("pipeline", "categorical")),
    _under(("pipeline", "optional")),
    _bounds_on("coefficients", "explanations", "schema", "nulls"),
    lambda location: location == ("pipeline",),
    _MATRIX,
)
"""Problems of features, and of bounds on them."""
_DERIVED = _any_of(_under(("pipeline", "label")), _under(("table", "key")), _FEATURES)
"""Problems of columns that may be derived."""
_TABLE = _any_of(_under(("table",)), _in_steps, _bounds_on("schema"), _FEATURES)
"""Problems of the table, of the steps, and of columns."""
_PIPELINE = _any_of(_under(("pipeline",)), _bounds_on("metrics"), _FEATURES)
"""Problems of the pipeline, and of bounds on what it measures."""
_VERSIONS = _any_of(_under(("versions",)), _names_a_version, _under(("every",)), _under(("publish",)))
_VERDICT = _any_of(_under(("verdict",)), _under(("caught_by",)))

_PARTS: Mapping[Location, LocationTest] = {(): _MATRIX, ("table",): _TABLE, ("pipeline",): _PIPELINE}
"""Location of a part of the file to the problems that an unknown key in it may cause."""
_EXPECTED_BY_NAME = ("metrics", "coefficients", "nulls")
"""Expectations that are mappings of names to bounds."""
_REPAIRS = (
    Repair(("name",), _under(("name",)), "unknown"),
    Repair(("description",), _under(("description",))),
    Repair(("seed",), _MATRIX),
    Repair(("verdict",), _VERDICT),
    Repair(("caught_by",), _VERDICT),
    Repair(("matrix",), _MATRIX),
    Repair(("table", "name"), _MATRIX),
    Repair(("table", "source"), _any_of(_under(("table", "source")), _MATRIX), _ANY_SOURCE),
    Repair(("table", "uri"), _any_of(_under(("table", "uri")), _MATRIX), _ANY_SOURCE["path"]),
    Repair(("table", "key"), _TABLE, "unknown"),
    Repair(("pipeline", "label"), _any_of(_under(("pipeline", "label")), _bounds_on("schema")), _ANY_LABEL),
    Repair(("pipeline", "filter"), _MATRIX),
    Repair(("pipeline", "impute"), _MATRIX),
    Repair(("pipeline", "derive"), _DERIVED),
    Repair(("pipeline", "features"), _FEATURES),
    Repair(("pipeline", "categorical"), _FEATURES),
    Repair(("pipeline", "optional"), _FEATURES),
    Repair(("pipeline", "metrics"), _PIPELINE),
    Repair(("pipeline", "use"), _PIPELINE),
    Repair(("pipeline", "with"), _under(("pipeline",))),
    Repair(("pipeline",), _PIPELINE, {"label": _ANY_LABEL, "features": ["unknown"]}, is_whole=True),
    Repair(("table",), _TABLE, {"source": _ANY_SOURCE, "key": "unknown"}, is_whole=True),
    Repair(("every",), _VERDICT, is_whole=True),
    Repair(("publish",), _MATRIX, is_whole=True),
    Repair(("versions",), _VERSIONS, [{"name": "unknown", Sql.kind: _ANY_STATEMENT}], is_whole=True),
)
