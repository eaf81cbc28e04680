"""Loading of scenario files, with the line of every mistake."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from harness.errors import Problem, UsageError, did_you_mean, find_nearest, suggest
from harness.files import sha256_of
from harness.loading import rules
from harness.loading.champion_override import CHAMPION, replace_champion
from harness.loading.custom_code import read_code
from harness.loading.document import Document, GivenScenario, make_document, read_document
from harness.loading.passwords import check_passwords
from harness.loading.recovery import recover, validate_scenario
from harness.loading.sources import SourceFile, locate_sources
from harness.loading.table_override import TableOverride
from harness.plan import CustomCode
from harness.scenario.matrix import combinations
from harness.scenario.model import Scenario

FOLDER = Path("scenarios")
"""Folder of scenarios that are loaded by name, below the current folder."""


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario with its file, its sources and its code."""

    scenario: Scenario
    document: Document
    sha256: str
    sources: dict[str, SourceFile]
    """Every source file by its path as written in the scenario."""
    parameters: dict[str, str] = field(default_factory=dict)
    """Values in which the scenario differs from its file: key to value, as text."""
    code: CustomCode | None = None
    """Code of a custom pipeline; ``None`` if the scenario uses a built-in model."""


def find_scenario(name_or_file: str) -> Path:
    """Return the file of a scenario.

    Args:
        name_or_file: The scenario's name, or the path of its file.

    Raises:
        UsageError: The scenario doesn't exist.
    """
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml"):
        if _is_file(path):
            return path
        near = find_nearest(path.name, sorted(file.name for file in path.parent.glob("*.y*ml")))
        raise UsageError(
            f"The scenario file {path} doesn't exist.{suggest(near and str(path.parent / near))}",
            remedy="'harness init' writes a first one.",
        )
    by_name = FOLDER / f"{name_or_file}.yaml"
    if _is_file(by_name):
        return by_name
    if name_or_file and path.is_dir():
        raise UsageError(f"{path} is a folder; name a .yaml file in it.")
    if path.suffix or len(path.parts) > 1:
        raise UsageError(
            f"Not a scenario file: {path}.",
            remedy=f"Give a .yaml file, or the name of a scenario in {FOLDER}.",
        )
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    hint = did_you_mean(name_or_file, known)
    raise UsageError(
        f"Unknown scenario '{name_or_file}': {by_name} doesn't exist.{hint}",
        remedy=f"Scenarios in {FOLDER}: {', '.join(known)}."
        if known
        else f"There are no scenarios in {FOLDER.resolve()}; 'harness init' writes a first one.",
    )


def load_scenario(
    name_or_scenario: str | GivenScenario, table: TableOverride | None = None, champion: str | None = None
) -> LoadedScenario:
    """Read, validate and check a scenario and the headers of its data, without Spark.

    Args:
        name_or_scenario: The scenario's name, the path of its file, or the scenario itself.
        table: An existing table that replaces the scenario's own.
        champion: A deployed model that replaces the scenario's champion.

    Raises:
        UsageError: The file doesn't exist, or the champion is invalid.
        ScenarioError: The file or its data is wrong; the error lists every problem.
    """
    document, digest = _read(name_or_scenario)
    folder = Path(document.file).parent
    scenario = replace_champion(_validate(document, folder), champion)
    problems = list(rules.check_rules(scenario))
    if table is not None:
        if problems:
            raise document.error(problems)
        scenario, document = table.apply_to_scenario(scenario), table.apply_to_document(document)
    sources, source_problems = locate_sources(scenario, folder)
    if table is not None:
        _raise_problems_of_override(table, source_problems)
    code, code_problems = read_code(scenario.pipeline, folder)
    problems += [*source_problems, *code_problems]
    problems += check_passwords(document.values, problems)
    if not problems:
        problems = _check_matrix_data(scenario, folder)
    if problems:
        raise document.error(problems)
    parameters = {} if table is None else dict(table.parameters)
    if champion is not None:
        parameters[CHAMPION] = champion
    return LoadedScenario(scenario, document, digest, sources, parameters, code)


def _read(scenario: str | GivenScenario) -> tuple[Document, str]:
    """Return a scenario's document, and the SHA-256 of its text."""
    if isinstance(scenario, GivenScenario):
        document = make_document(scenario)
        content = scenario.content
        text = content if isinstance(content, str) else repr(document.values)
        return document, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    path = find_scenario(scenario)
    return read_document(path), sha256_of(path)


def _raise_problems_of_override(table: TableOverride, problems: list[Problem]) -> None:
    """Raise a problem with the table that the user named, which isn't a mistake in the file."""
    for problem in problems:
        if problem.location == ("table", "uri"):
            raise UsageError(f"{table.option}: {problem.message}")


def _check_matrix_data(scenario: Scenario, folder: Path) -> list[Problem]:
    """Return what is wrong with the data and the code of the matrix's combinations, each problem once."""
    found: dict[str, Problem] = {}
    for combination in combinations(scenario.matrix):
        applied = combination.apply_to(scenario)
        for problem in _check_data(applied, folder):
            message = f"with {combination.text}: {problem.message}"
            found.setdefault(problem.message, Problem(message, ("matrix",)))
    return list(found.values())


def _validate(document: Document, folder: Path) -> Scenario:
    try:
        return validate_scenario(document.values)
    except ValidationError as error:
        raise document.error(_list_problems(document, error, folder)) from error
    except PydanticSerializationError as error:
        # YAML can express half of a surrogate pair, which can't be written to any file.
        raise document.error(
            [Problem("some of the text is not Unicode: it contains half of a surrogate pair.")]
        ) from error


def _list_problems(document: Document, error: ValidationError, folder: Path) -> list[Problem]:
    """Return a problem for each value of the wrong type, and for every other mistake that can be found."""
    scenario, problems, repaired = recover(document.values, error)
    if scenario is not None:
        problems += repaired.own_problems([*rules.check_rules(scenario), *_check_data(scenario, folder)])
    return problems


def _check_data(scenario: Scenario, folder: Path) -> list[Problem]:
    """Return everything that is wrong with a scenario's data and code."""
    return [*locate_sources(scenario, folder)[1], *read_code(scenario.pipeline, folder)[1]]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise UsageError(f"Can't access {path}: {error.strerror}.") from error
