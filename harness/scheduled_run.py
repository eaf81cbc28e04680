"""A scheduled run, in the process of a cluster: the job, then its verdict and its reports.

``harness-scheduled-run PLAN FOLDER --run-id ID [--source PATH=URI]... [--table TABLE] [--versions LIST]``

All runs of a schedule share the file PLAN. ``--source`` replaces the URI of a source, with PATH as the
scenario writes it. ``--table`` and ``--versions`` are the parameters of the workspace's job; if they are
empty, the run reads what the plan says. FOLDER belongs to this run only, and gets the plan as it was run, the
result and the reports.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.files import write_text
from harness.job.__main__ import main as run_job
from harness.loading.table_override import TableOverride, parse_table_override
from harness.plan import Environment, ManagedTables, Plan, SourceData, load_plan
from harness.report import HTML, write_reports
from harness.report.terminal.console import PlainConsole
from harness.report.terminal.verdict_summary import show_verdict
from harness.results import Result
from harness.runs import PLAN, RESULT, RunFolder
from harness.storage.uris import SCHEME, VOLUMES, hide_passwords
from harness.table_names import is_table_name, normalize_table_name
from harness.views.bound_table import make_headline
from harness.views.formatting import show_control_characters
from harness.views.run_info import list_reads

_WIDTH = 120
"""Characters per line of the verdict, whatever the width of a cluster's output."""


def entry() -> None:
    """Run the command ``harness-scheduled-run``.

    Raises:
        SystemExit: The verdict is not a pass, or there is none; the workspace shows the reason.
    """
    try:
        failure = run(_parse(sys.argv[1:]))
    except HarnessError as error:
        failure = str(error)
    # A cluster treats every exit as a failure, even one with code 0.
    if failure is not None:
        raise SystemExit(show_control_characters(hide_passwords(failure)))


def run(options: argparse.Namespace) -> str | None:
    """Run the job, show its verdict, and write its reports.

    Returns:
        Why the run counts as failed; ``None`` if it passed.

    Raises:
        HarnessError: The plan or a parameter is invalid, or a file can't be written.
    """
    plan = make_plan(options)
    folder = RunFolder(Path(options.folder))
    file = folder.path / PLAN
    write_text(file, plan.model_dump_json(indent=2, by_alias=True) + "\n")
    (folder.path / RESULT).unlink(missing_ok=True)  # Of an attempt that the workspace repeats.
    code = run_job([str(file), str(folder.path / RESULT)], is_installed=True)
    if not folder.has_result:
        return f"The job ended with exit code {code} and without a result; the output above has the reason."
    result = folder.read_result()
    show_result(plan, result, folder.path)
    write_reports(plan, result, folder.path)
    return describe_failure(result, folder.path) if result.exit_code else None


def make_plan(options: argparse.Namespace) -> Plan:
    """Return the plan of this run: that of the schedule, with the run's id, locations and parameters.

    Raises:
        UsageError: A parameter is invalid, or the plan doesn't have a source.
        PrerequisiteError: The plan can't be read.
    """
    plan = load_plan(Path(options.plan).read_text(encoding="utf-8"), options.plan)
    located = dict(locate_source(plan, text) for text in options.source)
    changes = {
        "run_id": options.run_id,
        "sources": {**plan.sources, **located},
        "environment": renew_expiry(plan.environment),
    }
    plan = plan.model_copy(update=changes)
    override = parse_parameters(options.table.strip(), options.versions.strip())
    return plan if override is None else use_table(plan, override)


def renew_expiry(environment: Environment) -> Environment:
    """Return an environment whose managed tables are kept for the planned days from today on."""
    managed = environment.managed_tables
    if managed is None:
        return environment
    today = datetime.now(UTC).date()
    renewed = ManagedTables.starting(today, managed.schema_name, managed.days)
    return environment.model_copy(update={"managed_tables": renewed})


def parse_parameters(table: str, versions: str) -> TableOverride | None:
    """Return the existing table that the job's parameters name; ``None`` if they are empty.

    Raises:
        UsageError: A parameter is invalid, or a cluster can't reach the table.
    """
    if table and not is_table_name(table) and not table.startswith((SCHEME, VOLUMES)):
        raise UsageError(
            f"'table': a cluster can't reach {table}.",
            remedy="Use its name in a catalog, an abfss:// URI or a folder of a volume.",
        )
    return parse_table_override(
        table or None, versions or None, option="'table'", versions_option="'versions'"
    )


def locate_source(plan: Plan, option: str) -> tuple[str, SourceData]:
    """Return a source of the plan with the URI of ``PATH=URI``; both parts may contain ``=``."""
    for name in sorted(plan.sources, key=len, reverse=True):
        if option.startswith(f"{name}="):
            uri = option.removeprefix(f"{name}=")
            return name, plan.sources[name].model_copy(update={"uri": uri})
    raise UsageError(
        f"--source {option}: the plan has no such source.",
        remedy=f"Its sources: {', '.join(plan.sources) or 'none'}. Write PATH=URI.",
    )


def use_table(plan: Plan, override: TableOverride) -> Plan:
    """Return a plan that reads an existing table instead of building the scenario's own."""
    scenario = override.apply_to_scenario(plan.scenario)
    sys.stdout.write(f"{override.describe(scenario)}\n")
    name = normalize_table_name(override.uri) if is_table_name(override.uri) else None
    return plan.model_copy(
        update={
            "scenario": scenario,
            "parameters": {**plan.parameters, **override.parameters},
            "sources": {},
            "existing_table": name or override.uri,
            "table_name": name,
            "commits": {},
        }
    )


def show_result(plan: Plan, result: Result, folder: Path) -> None:
    """Show the verdict in the task's output, as a command does in the terminal."""
    console = PlainConsole(
        width=_WIDTH,
        highlight=False,
        color_system=None,
        # Otherwise, rich would display HTML, which the output of a job doesn't show.
        force_jupyter=False,
        force_terminal=False,
    )
    show_verdict(console, result, folder, reads=list_reads(plan, result))
    sys.stdout.flush()  # Before the workspace shows the reason for a failure.


def describe_failure(result: Result, folder: Path) -> str:
    """Return why a run counts as failed, which the workspace shows and sends to whoever it notifies."""
    headline = make_headline(result)
    reason = headline.sentence if result.failure is None else result.failure.message
    return f"{headline.word}: {result.scenario}. {reason[:1].upper()}{reason[1:]} Report: {folder / HTML}"


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="harness-scheduled-run")
    parser.add_argument("plan")
    parser.add_argument("folder")
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--source", action="append", default=[])
    parser.add_argument("--table", default="")
    parser.add_argument("--versions", default="")
    return parser.parse_args(arguments)
