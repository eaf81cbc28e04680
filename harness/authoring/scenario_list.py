"""The scenarios of a folder with the verdicts of their newest runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.loading.document import read_document
from harness.runs import list_runs
from harness.scenario.model import Scenario
from harness.views.kept_runs import read_outcome

_NO_RUN = "-"


@dataclass(frozen=True)
class ListedScenario:
    """One scenario of the folder."""

    name: str
    """Name of its file, which commands accept."""
    table: str
    versions: str
    newest: str
    """Verdict of its newest run, or why it has none, such as ``interrupted``."""
    description: str


def list_scenarios(folder: Path, runs: Path) -> list[ListedScenario]:
    """Return every scenario file of a folder by name, including invalid ones."""
    verdicts = _read_newest_verdicts(runs)
    return [_read_scenario(file, verdicts) for file in sorted(folder.glob("*.yaml"))]


def _read_scenario(file: Path, verdicts: dict[str, str]) -> ListedScenario:
    try:
        scenario = Scenario.model_validate(read_document(file).values)
    except (HarnessError, ValidationError):
        return ListedScenario(file.stem, _NO_RUN, _NO_RUN, _NO_RUN, f"invalid: make check NAME={file.stem}")
    return ListedScenario(
        name=file.stem,
        table=scenario.table.uri or scenario.table.name,
        versions=str(len(scenario.versions)),
        newest=verdicts.get(scenario.name, _NO_RUN),
        description=scenario.description,
    )


def _read_newest_verdicts(runs: Path) -> dict[str, str]:
    """Return the verdict of the newest run of each scenario, or why that run has none."""
    verdicts: dict[str, str] = {}
    for folder in reversed(list_runs(runs)):
        if folder.scenario in verdicts or folder.is_bisection_run:
            continue
        verdicts[folder.scenario] = read_outcome(folder).label
    return verdicts
