"""From a scenario file to a validated scenario: every mistake named in one go, with its line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from harness.errors import Problem, UsageError
from harness.files import sha256_of
from harness.loading import rules
from harness.loading.custom_code import read_code
from harness.loading.document import Document, read_document
from harness.loading.recovery import recover, validated
from harness.loading.sources import SourceFile, locate_sources
from harness.loading.table_override import GivenTable
from harness.plan import CustomCode
from harness.scenario.matrix import combinations
from harness.scenario.model import Scenario
from harness.suggestions import did_you_mean

FOLDER = Path("scenarios")
"""Where scenarios are looked for by name, below the current folder."""


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario with the file that it came from and the files that its rows come from."""

    scenario: Scenario
    document: Document
    sha256: str
    sources: dict[str, SourceFile]
    """Every file that the scenario names, by its path as written there."""
    parameters: dict[str, str] = field(default_factory=dict)
    """In which values the scenario differs from what the file says: place to value, as text."""
    code: CustomCode | None = None
    """The code of the custom pipeline; ``None`` if the scenario uses a built-in model."""


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


def load_scenario(name_or_file: str, table: GivenTable | None = None) -> LoadedScenario:
    """Read, validate and check a scenario and the header of its data; Spark is not needed.

    Args:
        name_or_file: By its name, or its path.
        table: In place of the table that the scenario names.

    Raises:
        UsageError: There is no such file.
        ScenarioError: The file or its data is wrong; every problem is in it.
    """
    path = find_scenario(name_or_file)
    document = read_document(path)
    scenario = _validate(document, path.parent)
    problems = list(rules.problems(scenario))
    if table is not None:
        if problems:
            raise document.error(problems)
        scenario, document = table.instead_of(scenario), table.instead_in(document)
    sources, source_problems = locate_sources(scenario, path.parent)
    code, code_problems = read_code(scenario.pipeline, path.parent)
    problems += [*source_problems, *code_problems]
    if not problems:
        problems = _missing_in_matrix(scenario, path.parent)
    if problems:
        raise document.error(problems)
    parameters = {} if table is None else table.parameters
    return LoadedScenario(scenario, document, sha256_of(path), sources, parameters, code)


def _missing_in_matrix(scenario: Scenario, folder: Path) -> list[Problem]:
    """What combinations lack of the data and the code that they name, each mistake once."""
    found: dict[str, Problem] = {}
    for combination in combinations(scenario.matrix):
        applied = combination.applied_to(scenario)
        for problem in _missing(applied, folder):
            message = f"with {combination.text}: {problem.message}"
            found.setdefault(problem.message, Problem(message, ("matrix",)))
    return list(found.values())


def _validate(document: Document, folder: Path) -> Scenario:
    try:
        return validated(document.values)
    except ValidationError as error:
        raise document.error(_problems(document, error, folder)) from error
    except PydanticSerializationError as error:
        # YAML lets half of a surrogate pair be written, which no file can hold.
        raise document.error(
            [Problem("some of its text is not Unicode: half of a surrogate pair.")]
        ) from error


def _problems(document: Document, error: ValidationError, folder: Path) -> list[Problem]:
    """The mistakes of form, and what else would be wrong without them."""
    scenario, problems, repaired = recover(document.values, error)
    if scenario is not None:
        problems += repaired.own_problems([*rules.problems(scenario), *_missing(scenario, folder)])
    return problems


def _missing(scenario: Scenario, folder: Path) -> list[Problem]:
    """What a scenario lacks of the data and the code that it names."""
    return [*locate_sources(scenario, folder)[1], *read_code(scenario.pipeline, folder)[1]]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise UsageError(f"Can't look for a scenario at {path}: {error.strerror}.") from error
