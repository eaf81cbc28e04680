"""From a scenario file to a validated scenario: every mistake named in one go, with its line."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from harness.errors import Location, Problem, UsageError
from harness.files import sha256_of
from harness.scenario import rules
from harness.scenario.document import Document, read_document
from harness.scenario.model import Scenario
from harness.scenario.source import SourceFile, locate_source
from harness.scenario.suggest import did_you_mean

FOLDER = Path("scenarios")
"""Where scenarios are looked for by name, below the current folder."""

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
}
"""What the validator finds, in words of the file; its own are about Python."""
_WORDS_OF_MODELS = {
    "Bound": "should be a number, or a mapping with min, max, equals or change",
    "Source": "should be a path, or a mapping with a path",
}


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario with the file that it came from and the data that it starts from."""

    scenario: Scenario
    document: Document
    sha256: str
    source: SourceFile


def find_scenario(name_or_file: str) -> Path:
    """The file of a scenario given by its name or its path.

    Raises:
        UsageError: There is no such scenario.
    """
    given = Path(name_or_file)
    if given.suffix in (".yaml", ".yml"):
        if _is_file(given):
            return given
        near = did_you_mean(given.name, sorted(path.name for path in given.parent.glob("*.y*ml")))
        raise UsageError(f"There is no scenario file {given}.{near}")
    by_name = FOLDER / f"{name_or_file}.yaml"
    if _is_file(by_name):
        return by_name
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    hint = did_you_mean(name_or_file, known)
    raise UsageError(
        f"There is no scenario '{name_or_file}': {by_name} does not exist.{hint}",
        remedy=f"Known here: {', '.join(known)}."
        if known
        else f"There are no scenarios in {FOLDER.resolve()}.",
    )


def load_scenario(name_or_file: str) -> LoadedScenario:
    """Read, validate and check a scenario and the header of its data; Spark is not needed.

    Raises:
        UsageError: There is no such file.
        ScenarioError: The file or its data is wrong; every problem is in it.
    """
    path = find_scenario(name_or_file)
    document = read_document(path)
    scenario = _validate(document)
    problems = list(rules.problems(scenario))
    source, source_problems = locate_source(scenario, path.parent)
    problems += source_problems
    if problems or source is None:
        raise document.error(problems)
    return LoadedScenario(scenario, document, sha256_of(path), source)


def _validate(document: Document) -> Scenario:
    try:
        scenario = Scenario.model_validate(document.values)
        scenario.model_dump_json()
    except ValidationError as error:
        raise document.error(list(_problems(error))) from error
    except PydanticSerializationError as error:
        # YAML lets half of a surrogate pair be written, which no file can hold.
        raise document.error(
            [Problem("some of its text is not Unicode: half of a surrogate pair.")]
        ) from error
    return scenario


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise UsageError(f"Can't look for a scenario at {path}: {error.strerror}.") from error


def _problems(error: ValidationError) -> Iterator[Problem]:
    """One problem per place, in the scenario's words rather than the validator's."""
    details: dict[Location, ErrorDetails] = {}
    for detail in error.errors():
        details.setdefault(_without_validators(detail["loc"]), detail)
    for location, detail in details.items():
        # Items that are wrong are left out before the validator counts what is left.
        inside = any(each[: len(location)] == location and each != location for each in details)
        if not (detail["type"] == "too_short" and inside):
            yield Problem(_message(detail, location), location)


def _message(detail: ErrorDetails, location: Location) -> str:
    kind, value = detail["type"], detail["input"]
    name = str(location[-1]) if location else "scenario"
    inside = ".".join(str(part) for part in location[:-1])
    where = f" in '{inside}'" if inside else ""
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{where}.{did_you_mean(name, _keys_at(location[:-1]))}"
    if kind == "missing":
        return f"'{name}' is missing{where}."
    if kind == "string_pattern_mismatch":
        return f"{_shown(value)}{where} is no name: letters, digits and underscores, beginning with a letter."
    if kind == "invalid_key" or detail["loc"][-1:] == ("[key]",):
        return f"key {_shown(value)}{where} should be text; put it in quotes."
    subject = f"item {location[-1] + 1}" if location and isinstance(location[-1], int) else f"'{name}'"
    hint = (
        did_you_mean(str(value), re.findall(r"'([^']+)'", detail["msg"])) if kind == "literal_error" else ""
    )
    is_plain = value is None or isinstance(value, str | int | float | date)
    it_is = f" (it is {'empty' if value is None else _shown(value)})" if is_plain else ""
    return f"{subject}{where} {_finding(detail)}{it_is}.{hint}"


def _finding(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    known = _WORDS_OF_MODELS.get(context.get("class_name", "")) or _WORDS.get(detail["type"])
    return known or "should" + detail["msg"].partition("should")[2]


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= _LENGTH_SHOWN else f"{text[:_LENGTH_SHOWN]}..."


def _without_validators(location: tuple[int | str, ...]) -> Location:
    """The location without the names that the validator adds for members of a union or keys."""
    added = {"str", "int", "float", "bool", "[key]"}
    parts = list(location)
    while len(parts) > 1 and parts[-1] in added:
        parts.pop()
    return tuple(parts)


def _keys_at(location: Location) -> list[str]:
    """The keys that a mapping at this location may have."""
    model: type[BaseModel] = Scenario
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            inner = _model_in(model.model_fields[part].annotation)
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model inside an annotation such as ``tuple[Version, ...]`` or ``Bound | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
