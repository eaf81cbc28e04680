"""``harness scenario`` on a scenario with a matrix: every combination is a run, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from harness.errors import ExitCode, HarnessError, JobError, ScenarioError, worst
from harness.loading.loader import LoadedScenario, load_scenario
from harness.loading.matrix_selection import chosen
from harness.report.terminal.console import write_line
from harness.scenario.matrix import words_of
from harness.settings import read_settings
from harness.studies.study_tables import CombinationRow, show_matrix
from harness.targets.base import open_target
from harness.views.bound_table import headline
from harness.workflow import Outcome, run_there

if TYPE_CHECKING:
    from rich.console import Console

    from harness.loading.table_override import GivenTable


def run_every(
    scenario: str,
    target: str | None,
    console: Console,
    *,
    keep: bool = False,
    table: GivenTable | None = None,
    only: Iterable[str] = (),
) -> ExitCode:
    """Run a scenario, or every combination of its matrix, and give the code to end with: the worst.

    Args:
        scenario: Name or file.
        target: Name of the target; the settings' where it is ``None``.
        console: Where progress and verdicts are shown.
        keep: What a run brought up outlives a fault.
        table: To be read in place of the one that the scenario names.
        only: ``PLACE=VALUE`` each: combinations without one of them are left out.

    Raises:
        HarnessError: There is no verdict, and none can be expected of the combinations that are left.
    """

    def say(line: str) -> None:
        write_line(console, Text(line))

    settings = read_settings({"target": target})
    loaded = load_scenario(scenario, table)
    runs = chosen(loaded, only)
    if table is not None:
        say(table.words(loaded.scenario))
    place = open_target(settings, say, keep=keep)
    if not loaded.scenario.matrix:
        return run_there(place, loaded, settings, console).exit_code
    rows = run_combinations(runs, lambda each: run_there(place, each, settings, console), say)
    show_matrix(console, rows)
    return worst(*(row.code for row in rows))


def run_combinations(
    runs: Sequence[LoadedScenario],
    run: Callable[[LoadedScenario], Outcome],
    say: Callable[[str], None],
) -> list[CombinationRow]:
    """Run each; what breaks one of them, or is wrong with it alone, ends no other.

    Args:
        runs: The combinations.
        run: Runs one to its end, and shows its verdict.
        say: Told in a line what begins.

    Raises:
        HarnessError: What the run needs is not there, or somebody interrupted it: that ends them all.
    """
    rows = []
    for number, each in enumerate(runs, 1):
        say(f"\nCombination {number} of {len(runs)}: {words_of(each.parameters)}")
        try:
            rows.append(_row(each, run(each)))
        except (JobError, ScenarioError) as error:
            say(str(error))
            rows.append(CombinationRow(each.parameters, _words(error), error.exit_code))
    return rows


def _row(loaded: LoadedScenario, outcome: Outcome) -> CombinationRow:
    word = headline(outcome.result, outcome.parity).word.lower()
    return CombinationRow(loaded.parameters, word, outcome.exit_code, outcome.result.versions)


def _words(error: HarnessError) -> str:
    return "broke" if isinstance(error, JobError) else "wrong"
