"""What the validator finds, told in the scenario's words and at the scenario's places."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from harness.errors import Location, Problem
from harness.scenario.bound_spec import LIMITS_OF_CHANGES, LIMITS_OF_VALUES
from harness.scenario.model import Scenario
from harness.scenario.steps import Read
from harness.suggestions import asked, did_you_mean, nearest

_LENGTH_SHOWN = 60
_WORDS = {
    "string_type": "should be text",
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping of keys",
    "model_type": "should be a mapping of keys",
    "too_short": "should have at least one item",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
}
"""What the validator finds, in words of the file; its own are about Python."""
_WORDS_OF_MODELS = {
    "Bound": f"should be a number, or a mapping with {LIMITS_OF_VALUES}, change or baseline",
    "Change": f"should be a mapping with {LIMITS_OF_CHANGES}",
    "Baseline": f"should be a mapping with from, and with {LIMITS_OF_CHANGES}",
    "Source": "should be a path, or a mapping with a path",
    "Loans": "should be a mapping with rows",
    "Read": "should be a version's number, 'latest' or a time",
    "Restore": "should be an earlier version's name",
    "Delete": "should be a SQL condition",
    "Sql": "should be a statement of SQL",
    "AddColumns": "should be a mapping of columns to their types",
    "Schema": "should be a mapping with exact or at_least",
    "Protocol": "should be a mapping with reader or writer",
    "Overlap": "should be a mapping with k and min",
    "Agreement": "should be a mapping with min",
}
_WORDS_OF_COLUMNS = "should be a column, or a list of columns"
_COLUMNS = ("key", "on", "z_order")
_WORDS_OF_VALUES = "should be text, a number, or true or false"
_VALUES = {"str", "int", "float", "bool"}
"""What the validator adds to the place of a value that may be any of them."""
_ADDED = re.compile(r"\[key\]|constrained-\w+|\w+\[.*\]|[\w-]+\(.*\)", re.DOTALL)
"""What it adds to other places: members of a union, keys, validators."""


def problems_of(details: Mapping[Location, ErrorDetails]) -> Iterator[Problem]:
    """One problem per place, in the scenario's words rather than the validator's."""
    for location, detail in details.items():
        yield Problem(_message(detail, location), location)


def details_of(error: ValidationError, values: object = None) -> dict[Location, ErrorDetails]:
    """What the validator found first at each place, but for what only follows from another mistake.

    Args:
        error: What the validator found.
        values: The file's, which may be shorter than what they stand for; the places are told as they are
            in them.
    """
    details: dict[Location, ErrorDetails] = {}
    for detail in error.errors():
        details.setdefault(_place(detail, values), detail)
    return {
        location: detail for location, detail in details.items() if not _follows(location, detail, details)
    }


def meant_key(detail: ErrorDetails) -> str | None:
    """The key that is likely to be meant by one that is unknown."""
    *inside, name = detail["loc"]
    model = model_at(tuple(inside))
    if model is None:
        return None
    return key_of(model, str(name)) or nearest(str(name), keys_of(model))


def _follows(location: Location, detail: ErrorDetails, details: Mapping[Location, ErrorDetails]) -> bool:
    """Whether there would be nothing to tell, were it not for another mistake."""
    if detail["type"] == "too_short":
        # Items that are wrong are left out before the validator counts what is left.
        return any(each[: len(location)] == location and each != location for each in details)
    if detail["type"] != "missing":
        return False
    if location == ("versions",):
        return any(each[:2] == ("table", "versions") for each in details)
    return any(
        each[:-1] == location[:-1] and other["type"] == "extra_forbidden" and meant_key(other) == location[-1]
        for each, other in details.items()
    )


def _place(detail: ErrorDetails, values: object) -> Location:
    if values is None:
        return _without_added(detail["loc"])
    location = detail["loc"]
    place: list[int | str] = []
    node: Any = values
    for number, part in enumerate(location):
        is_last = number == len(location) - 1
        if _holds(node, part):
            node = node[part]
        elif not (is_last and detail["type"] == "missing" and isinstance(node, dict)):
            continue  # A short form: one bound for a list of one, or a value for its mapping.
        place.append(part)
    return tuple(place)


def _holds(node: object, part: int | str) -> bool:
    if isinstance(node, list):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, dict) and part in node


def _without_added(location: tuple[int | str, ...]) -> Location:
    parts = list(location)
    while len(parts) > 1 and (parts[-1] in _VALUES or _ADDED.fullmatch(str(parts[-1]))):
        parts.pop()
    return tuple(parts)


def _message(detail: ErrorDetails, location: Location) -> str:
    kind, value = detail["type"], detail["input"]
    name = str(location[-1]) if location else "scenario"
    inside = ".".join(str(part) for part in location[:-1])
    where = f" in '{inside}'" if inside else ""
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{where}.{asked(meant_key(detail))}"
    if kind == "missing":
        return f"'{name}' is missing{where}."
    if kind == "string_pattern_mismatch":
        shown = _shown(value)
        return f"{shown}{where} is no name: letters, digits and underscores, beginning with a letter."
    if kind == "invalid_key" or detail["loc"][-1:] == ("[key]",):
        if value is None:
            return f"a key{where} is empty."
        return f"key {_shown(value)}{where} should be text; put it in quotes."
    subject = f"item {location[-1] + 1}" if location and isinstance(location[-1], int) else f"'{name}'"
    hint = (
        did_you_mean(str(value), re.findall(r"'([^']+)'", detail["msg"])) if kind == "literal_error" else ""
    )
    is_plain = value is None or isinstance(value, str | int | float | date)
    it_is = f" (it is {'empty' if value is None else _shown(value)})" if is_plain else ""
    return f"{subject}{where} {_finding(detail, location)}{it_is}.{hint}"


def _finding(detail: ErrorDetails, location: Location) -> str:
    *inside, name = _without_added(detail["loc"]) or ("",)
    if model_at(tuple(inside)) is Read and name in ("version", "timestamp"):
        return _WORDS_OF_MODELS["Read"]
    if detail["type"] == "tuple_type" and name in _COLUMNS:
        return _WORDS_OF_COLUMNS
    if detail["loc"][-1:] != location[-1:] and detail["loc"][-1] in _VALUES:
        quoted = "; put it in quotes" if isinstance(detail["input"], date) else ""
        return _WORDS_OF_VALUES + quoted
    known = _WORDS_OF_MODELS.get(detail.get("ctx", {}).get("class_name", "")) or _WORDS.get(detail["type"])
    return known or "should" + detail["msg"].partition("should")[2]


def _shown(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    text = str(value) if isinstance(value, date) else text
    return text if len(text) <= _LENGTH_SHOWN else f"{text[:_LENGTH_SHOWN]}..."


def model_at(location: Location) -> type[BaseModel] | None:
    """The model whose keys stand at a place; none where other values do."""
    return next(_models(_annotation_at(location)), None)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a model, as the file writes them."""
    return [_key(name, field) for name, field in model.model_fields.items()]


def key_of(model: type[BaseModel], name: str) -> str | None:
    """The key by which the file writes a field that is called otherwise in the code; none for any other."""
    field = model.model_fields.get(name)
    return None if field is None or _key(name, field) == name else _key(name, field)


def _annotation_at(location: Location) -> object:
    annotation: object = Scenario
    for part in location:
        annotation = next(_inside(annotation, part), None)
    return annotation


def _inside(annotation: object, part: str | int) -> Iterator[object]:
    """What may stand at a key or an index."""
    for each in _members(annotation):
        origin, arguments = typing.get_origin(each), typing.get_args(each)
        if origin is tuple and isinstance(part, int):
            yield arguments[0]
        elif origin is dict:
            yield arguments[1]
        elif isinstance(each, type) and issubclass(each, BaseModel):
            for name, field in each.model_fields.items():
                if _key(name, field) == part:
                    yield field.annotation


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    for each in _members(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each


def _members(annotation: object) -> Iterator[object]:
    """The members of a union, without what is noted beside them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _members(each)
    else:
        yield annotation


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name
