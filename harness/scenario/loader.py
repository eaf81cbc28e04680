"""From a scenario file to a validated scenario: every mistake named in one go, with its line."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from harness.errors import Location, Problem, UsageError
from harness.files import sha256_of
from harness.scenario import rules
from harness.scenario.document import Document, read_document
from harness.scenario.model import Scenario
from harness.scenario.source import SourceFile, locate_source
from harness.scenario.suggest import did_you_mean

FOLDER = Path("scenarios")
"""Where scenarios are looked for by name, below the current folder."""


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
        if given.is_file():
            return given
        raise UsageError(f"There is no scenario file {given}.")
    by_name = FOLDER / f"{name_or_file}.yaml"
    if by_name.is_file():
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
        return Scenario.model_validate(document.values)
    except ValidationError as error:
        raise document.error(list(_problems(error))) from error


def _problems(error: ValidationError) -> Iterator[Problem]:
    """One problem per place, in the scenario's words rather than the validator's."""
    seen: set[Location] = set()
    for detail in error.errors():
        location = _without_validators(detail["loc"])
        if location in seen:
            continue
        seen.add(location)
        yield Problem(_message(detail["type"], detail["msg"], detail.get("input"), location), location)


def _message(kind: str, message: str, value: object, location: Location) -> str:
    name = str(location[-1]) if location else "scenario"
    inside = ".".join(str(part) for part in location[:-1])
    where = f" in '{inside}'" if inside else ""
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{where}.{did_you_mean(name, _keys_at(location[:-1]))}"
    if kind == "missing":
        return f"'{name}' is missing{where}."
    if kind == "value_error":
        return message.removeprefix("Value error, ") + "."
    if kind == "string_pattern_mismatch":
        return f"{value!r}{where} is no name: letters, digits and underscores, beginning with a letter."
    shown = f" (it is {value!r})" if isinstance(value, str | int | float) else ""
    return f"'{name}'{where}: {message[0].lower()}{message[1:]}{shown}."


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
