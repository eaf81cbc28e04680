"""The scenarios of a folder, each with what its newest run came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.errors import HarnessError, NotThereError
from harness.loading.document import read_document
from harness.runs import list_runs
from harness.scenario.model import Scenario

_NO_RUN = "-"


@dataclass(frozen=True)
class Listed:
    """One scenario of the folder."""

    name: str
    """Of its file, by which commands take it."""
    table: str
    versions: str
    newest: str
    """Verdict of its newest run here."""
    description: str


def list_scenarios(folder: Path, runs: Path) -> list[Listed]:
    """Every scenario file of a folder by name, also those that are wrong."""
    verdicts = _newest_verdicts(runs)
    return [_listed(file, verdicts) for file in sorted(folder.glob("*.yaml"))]


def _listed(file: Path, verdicts: dict[str, str]) -> Listed:
    try:
        scenario = Scenario.model_validate(read_document(file).values)
    except (HarnessError, ValidationError):
        return Listed(file.stem, _NO_RUN, _NO_RUN, _NO_RUN, f"wrong: make check NAME={file.stem} says why")
    return Listed(
        name=file.stem,
        table=scenario.table.uri or scenario.table.name,
        versions=str(len(scenario.versions)),
        newest=verdicts.get(scenario.name, _NO_RUN),
        description=scenario.description,
    )


def _newest_verdicts(runs: Path) -> dict[str, str]:
    """Scenario to the verdict of its newest run that came to one."""
    verdicts: dict[str, str] = {}
    for folder in reversed(list_runs(runs)):
        # A run's name has the scenario's between its time and its random end.
        scenario = folder.path.name.split("-", 2)[2].rpartition("-")[0]
        if scenario in verdicts or folder.is_probe:
            continue
        try:
            result = folder.read_result()
        except NotThereError:  # Broken off, or of another version of the harness.
            continue
        verdicts[scenario] = "broke" if result.failure else result.verdict.value
    return verdicts
