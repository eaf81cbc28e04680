"""The request of a command: a scenario, the combinations of its matrix, and the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from harness.loading.document import GivenScenario
from harness.loading.loader import LoadedScenario, load_scenario
from harness.loading.matrix_selection import select_combinations, select_one
from harness.loading.table_override import TableOverride
from harness.report.terminal.console import write_line
from harness.settings import Settings, read_settings
from harness.targets.base import Target, open_target

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class RunRequest:
    """A scenario to run and its target."""

    scenario: str
    """Name or file; empty if the scenario itself is given."""
    target: str | None = None
    """Name of the target; ``None`` leaves the choice to the settings."""
    table: TableOverride | None = None
    """An existing table to read instead of building the scenario's own."""
    only: tuple[str, ...] = ()
    """Values as ``KEY=VALUE``: only the combinations of the matrix that have all of them run."""
    keep: bool = False
    """Whether to keep the stack that a run started, or the files that it uploaded, if the run fails."""
    fresh: bool = False
    """Whether nothing that an earlier run has measured may be used."""
    champion: str | None = None
    """The deployed model to score instead of the scenario's champion."""
    given: GivenScenario | None = None
    """The scenario itself, if it has no file."""


@dataclass(frozen=True)
class Session:
    """A request whose scenario is valid and whose target is open."""

    loaded: LoadedScenario
    combinations: tuple[LoadedScenario, ...]
    """Every combination of the scenario's matrix; the scenario itself if it has none."""
    target: Target
    settings: Settings
    console: Console
    """Shows progress and verdicts."""
    fresh: bool = False
    """Whether nothing that an earlier run has measured may be used."""

    @property
    def has_matrix(self) -> bool:
        """Whether the scenario has a matrix."""
        return bool(self.loaded.scenario.matrix)

    @property
    def single_combination(self) -> LoadedScenario:
        """The combination to run, if the session was opened for a single one."""
        (combination,) = self.combinations
        return combination

    def report(self, line: str) -> None:
        """Show one line."""
        write_line(self.console, Text(line))


def open_session(
    request: RunRequest,
    console: Console,
    *,
    takes_one: bool = False,
    target: Target | None = None,
    settings: Settings | None = None,
) -> Session:
    """Validate a request and open its target.

    Args:
        request: What to run, and where.
        console: Shows progress and verdicts.
        takes_one: Whether the command takes a single combination of a matrix.
        target: The target if it is open already.
        settings: The settings if they are known already.

    Raises:
        ScenarioError: The scenario is invalid.
        UsageError: The target, or a combination of the matrix, doesn't exist, or there are too many of them.
    """
    settings = settings or read_settings({"target": request.target})
    loaded = load_scenario(request.given or request.scenario, request.table, request.champion)
    combinations = (
        (select_one(loaded, request.only),) if takes_one else select_combinations(loaded, request.only)
    )
    report = make_line_printer(console)
    if request.table is not None:
        report(request.table.describe(loaded.scenario))
    target = target or open_target(settings, report, keep=request.keep)
    return Session(loaded, combinations, target, settings, console, request.fresh)


def make_session(loaded: LoadedScenario, target: str | None, console: Console) -> Session:
    """Open a session for a scenario that is loaded already, such as one combination of a matrix.

    Raises:
        UsageError: The target doesn't exist.
    """
    settings = read_settings({"target": target})
    return Session(loaded, (loaded,), open_target(settings, make_line_printer(console)), settings, console)


def make_line_printer(console: Console) -> Callable[[str], None]:
    """Return a function that shows one line."""
    return lambda line: write_line(console, Text(line))
