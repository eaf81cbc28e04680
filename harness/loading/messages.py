"""Messages about values of the wrong type, in terms of the scenario file rather than of the validator."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from harness.errors import Location, Problem, did_you_mean, find_nearest, format_location, suggest
from harness.loading.model_tree import find_key, find_model, list_keys_of_model, list_models, remove_tags
from harness.scenario.bound_spec import LIMITS_OF_CHANGES, LIMITS_OF_VALUES
from harness.scenario.model import Version
from harness.scenario.steps import STEPS

_MAX_SHOWN = 60
_MAX_LISTED = 20
"""Maximum number of known keys that a message lists."""
_EXPECTED_BY_TYPE = {
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "too_short": "must have at least one item",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
"""Type of the validator's error to the expected value; the validator's own messages are about Python."""
_EXPECTED_OF_BOUNDS = {
    "Bound": f"must be a number, or a mapping with {LIMITS_OF_VALUES}, change or baseline",
    "Change": f"must be a mapping with {LIMITS_OF_CHANGES}",
    "Baseline": f"must be a mapping with from, and with {LIMITS_OF_CHANGES}",
    "Schema": "must be a mapping with exact or at_least",
    "ProtocolBounds": "must be a mapping with reader or writer",
    "Overlap": "must be a mapping with k and min",
    "Agreement": "must be a mapping with min",
}
"""Name of an expectation's model to its expected value."""
_EXPECTED_COLUMNS = "must be a column, or a list of columns"
_EXPECTED_VALUE = "must be text, a number, or true or false"
_VALUE_TYPES = {"str", "int", "float", "bool"}
"""Parts that the validator adds to the location of a value that may have any of these types."""
_VALIDATOR_PART = re.compile(r"\[key\]|constrained-\w+|\w+\[.*\]|[\w-]+\(.*\)", re.DOTALL)
"""Parts that the validator adds to other locations: members of a union, keys, validators."""


def list_problems(details: Mapping[Location, ErrorDetails]) -> Iterator[Problem]:
    """Yield one problem per location, in terms of the scenario file."""
    for location, detail in details.items():
        yield Problem(_format_message(detail, location), location)


def select_details(error: ValidationError, values: object = None) -> dict[Location, ErrorDetails]:
    """Return the validator's first error at each location, without those that follow from another one.

    Args:
        error: The validator's errors.
        values: The file's values, which may have short forms; the locations are those in the file.
    """
    details: dict[Location, ErrorDetails] = {}
    for detail in error.errors():
        details.setdefault(_find_location(detail, values), detail)
    return {
        location: detail for location, detail in details.items() if not _follows(location, detail, details)
    }


def find_meant_key(detail: ErrorDetails) -> str | None:
    """Return the key that is probably meant by an unknown one."""
    *inside, name = detail["loc"]
    model = find_model(tuple(inside))
    if model is None:
        return None
    return find_key(model, str(name)) or find_nearest(str(name), list_keys_of_model(model))


def _follows(location: Location, detail: ErrorDetails, details: Mapping[Location, ErrorDetails]) -> bool:
    """Return whether an error only follows from another one."""
    if detail["type"] == "too_short":
        # The validator doesn't count wrong items.
        return any(each[: len(location)] == location and each != location for each in details)
    if detail["type"] != "missing":
        return False
    if location == ("versions",):
        return any(each[:2] == ("table", "versions") for each in details)
    return any(
        each[:-1] == location[:-1]
        and other["type"] == "extra_forbidden"
        and find_meant_key(other) == location[-1]
        for each, other in details.items()
    )


def _find_location(detail: ErrorDetails, values: object) -> Location:
    if values is None:
        return _remove_validator_parts(detail["loc"])
    location: list[int | str] = []
    node: Any = values
    for number, part in enumerate(detail["loc"]):
        is_last = number == len(detail["loc"]) - 1
        if _contains(node, part):
            node = node[part]
        elif not (is_last and detail["type"] == "missing" and isinstance(node, dict)):
            continue  # A short form: an item for a list of one, or a value for its mapping.
        location.append(part)
    return tuple(location)


def _contains(node: object, part: int | str) -> bool:
    if isinstance(node, list):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, dict) and part in node


def _remove_validator_parts(location: tuple[int | str, ...]) -> Location:
    parts = remove_tags(location)
    while len(parts) > 1 and (parts[-1] in _VALUE_TYPES or _VALIDATOR_PART.fullmatch(str(parts[-1]))):
        parts.pop()
    return tuple(parts)


def _format_message(detail: ErrorDetails, location: Location) -> str:
    kind, value = detail["type"], detail["input"]
    name = str(location[-1]) if location else "scenario"
    inside = location[:-1]
    where = f" in '{format_location(inside)}'" if inside else ""
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{where}.{_suggest_key(detail)}"
    if kind == "missing":
        return f"'{name}' is missing{where}."
    if kind == "string_pattern_mismatch":
        shown = _quote(value)
        return f"invalid name {shown}{where}: use letters, digits and underscores, starting with a letter."
    if kind == "invalid_key" or detail["loc"][-1:] == ("[key]",):
        if value is None:
            return f"a key{where} is empty."
        return f"key {_quote(value)}{where} must be text; put it in quotes."
    if location and isinstance(location[-1], int):
        subject, where = f"'{format_location(location)}'", ""
    else:
        subject = f"'{name}'"
    hint = (
        did_you_mean(str(value), re.findall(r"'([^']+)'", detail["msg"])) if kind == "literal_error" else ""
    )
    is_plain = value is None or isinstance(value, str | int | float | date)
    it_is = f" (it is {'empty' if value is None else _quote(value)})" if is_plain else ""
    colon = ":" if _is_sentence(detail) else ""
    return f"{subject}{where}{colon} {_describe_expectation(detail, location)}{it_is}.{hint}"


def _describe_expectation(detail: ErrorDetails, location: Location) -> str:
    *inside, name = _remove_validator_parts(detail["loc"]) or ("",)
    model = find_model(tuple(inside))
    if model is not None and model.form_hint and name in model.keys_of_short_form:
        return model.form_hint
    if detail["type"] == "tuple_type" and model is not None and name in model.list_keys:
        return _EXPECTED_COLUMNS
    if detail["loc"][-1:] != location[-1:] and detail["loc"][-1] in _VALUE_TYPES:
        quoted = "; put it in quotes" if isinstance(detail["input"], date) else ""
        return _EXPECTED_VALUE + quoted
    of_model = _find_expectation_of_model(detail.get("ctx", {}).get("class_name", ""))
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    return of_model or _EXPECTED_BY_TYPE.get(detail["type"]) or _use_plain_words(detail["msg"])


def _use_plain_words(message: str) -> str:
    """Return what the validator expects, such as ``should be greater than or equal to 2``, in plain words."""
    expectation = "must" + message.partition("should")[2]
    return expectation.replace("greater than or equal to", "at least").replace(
        "less than or equal to", "at most"
    )


def _suggest_key(detail: ErrorDetails) -> str:
    """Suggest the key that is probably meant by an unknown one, or list the known keys if they are few."""
    meant = find_meant_key(detail)
    model = find_model(tuple(detail["loc"][:-1]))
    if meant is not None or model is None:
        return suggest(meant)
    if model is Version:
        return f" Known steps: {', '.join(STEPS)}."
    keys = list_keys_of_model(model)
    return f" Known keys: {', '.join(keys)}." if len(keys) <= _MAX_LISTED else ""


def _is_sentence(detail: ErrorDetails) -> bool:
    """Return whether the message of a model is a whole sentence, not what the value must be."""
    return detail["type"] == "value_error" and not detail["msg"].startswith("Value error, must ")


def _find_expectation_of_model(name: str) -> str | None:
    of_models = {model.__name__: model.form_hint for model in list_models() if model.form_hint}
    return (of_models | _EXPECTED_OF_BOUNDS).get(name)


def _quote(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    text = str(value) if isinstance(value, date) else text
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
