"""A harness for dataset versioning: what does a new version of a Delta table do to a model?

From Python or a notebook::

    import harness

    result = harness.run("scenarios/three_versions.yaml")
    result.verdict  # Verdict.PASS
    result.versions[0].metrics["cv_roc_auc"]

Custom pipelines import from ``harness.pipelines``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from harness.errors import HarnessError
    from harness.results import Result, Verdict

__all__ = ["HarnessError", "Result", "Verdict", "run"]

_HOMES = {"HarnessError": "harness.errors", "Result": "harness.results", "Verdict": "harness.results"}


def run(
    scenario: str | Path | Mapping[str, Any],
    *,
    spark: SparkSession | None = None,
    target: str | None = None,
    table: str | Path | None = None,
    versions: str | int | Sequence[str | int] | None = None,
    champion: str | None = None,
    quiet: bool = False,
    only: Sequence[str] = (),
    fresh: bool = False,
) -> Result:
    """Run one scenario and return its result.

    Args:
        scenario: The scenario's file, or its name below ``scenarios/``; or the scenario itself, as YAML text
            or as a dict, whose relative paths start from the current folder.
        spark: Run in this process, on this open Spark session, which is left as it was (default: in a process
            of the target).
        target: Where to run (default: what the settings name).
        table: An existing table to read instead of the scenario's own: its folder, its URI, or its name in a
            catalog.
        versions: Which of its versions: a number, a timestamp, ``latest``, or several of them (default:
            latest).
        champion: The deployed model to score at each version, such as ``models:/loan@champion`` (default: the
            scenario's).
        quiet: Show neither progress nor verdict.
        only: Which combination of the scenario's matrix, such as ``["seed=1"]``.
        fresh: Measure everything again, even if an earlier run has measured the same.

    Returns:
        The result, even if bounds failed: see ``result.verdict``.

    Raises:
        HarnessError: There is no verdict; the message has the reason, and ``exit_code`` the command's code.
    """
    from harness.errors import ExitCode, InterruptedRunError
    from harness.loading.document import find_given
    from harness.loading.table_override import find_table
    from harness.report.terminal.console import PlainConsole
    from harness.request import RunRequest, make_line_printer, open_session
    from harness.workflow import execute

    # Plain lines: a notebook would show a block of HTML for each.
    console = PlainConsole(quiet=quiet, highlight=False, force_jupyter=False)
    given = find_given(scenario)
    request = RunRequest(
        "" if given else str(scenario),
        target,
        find_table(table, versions),
        tuple(only),
        fresh=fresh,
        champion=champion,
        given=given,
    )
    with ExitStack() as stack:
        if spark is None:
            session = open_session(request, console, takes_one=True)
        else:
            from harness.notebook import open_notebook

            notebook = open_notebook(spark, target, make_line_printer(console))
            stack.enter_context(notebook.keep_process())
            session = open_session(
                request, console, takes_one=True, target=notebook, settings=notebook.settings
            )
        result = execute(session, session.single_combination).result
    if result.failure is not None and result.failure.exit_code is ExitCode.INTERRUPTED:
        raise InterruptedRunError(result.failure.message)  # A notebook then runs no further cell.
    return result


def __getattr__(name: str) -> Any:
    """Import a public class at its first use: ``harness --help`` waits for none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
