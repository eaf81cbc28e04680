"""GitHub annotations on a scenario's lines, and the report as a job's summary.

Each annotation is a workflow command:
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.text import Text

from harness.errors import HarnessError, ScenarioError, limit_lines
from harness.files import sha256_of
from harness.loading.document import Document, read_document
from harness.parity.compare import Parity
from harness.plan import Plan
from harness.report import MARKDOWN
from harness.report.parity_table import describe_agreement
from harness.report.terminal.console import write_line
from harness.results import Result, Verdict
from harness.views import formatting
from harness.views.bound_table import make_bound_rows

if TYPE_CHECKING:
    from rich.console import Console

_LARGEST_SUMMARY_BYTES = 1024 * 1024
"""The most that GitHub accepts from one step."""


def is_github_workflow() -> bool:
    """Return whether this process runs in a GitHub workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def announce(
    console: Console, plan: Plan, result: Result, folder: Path, parity: Parity | None = None
) -> None:
    """Annotate what failed and add the report to the job's summary, if this process runs in a workflow.

    Args:
        console: The console that shows the verdict; if it is quiet, nothing is announced.
        plan: The run's plan.
        result: Its result.
        folder: Its folder.
        parity: The comparison with another run, with this one as ``b``.
    """
    if not is_github_workflow() or console.quiet:
        return
    for line in list_verdict_commands(plan, result, parity):
        write_line(console, Text(line))
    if problem := add_summary(folder):
        write_line(console, Text(problem))


def list_error_commands(error: HarnessError) -> Iterator[str]:
    """Yield a command for each mistake of a scenario, at its line; for any other error one."""
    if not isinstance(error, ScenarioError):
        yield format_command(str(error), title="dataset-harness")
        return
    yield from limit_lines(
        [
            format_command(each.message, file=error.file, line=each.line, title="scenario")
            for each in error.problems
        ]
    )


def list_verdict_commands(plan: Plan, result: Result, parity: Parity | None = None) -> Iterator[str]:
    """Yield a command for each bound that fails, each warning, a failure of the run, and its comparison."""
    document = _read_unchanged_document(plan)
    if result.failure is not None:
        message = "\n".join(filter(None, (result.failure.message, result.failure.remedy)))
        yield format_command(message, file=plan.scenario_file, title=result.scenario)
    if result.reason:
        yield format_command(result.reason, file=plan.scenario_file, title=result.scenario)
    bounds = [bound for version in result.versions for bound in version.bounds]
    for row, bound in zip(make_bound_rows(result.versions), bounds, strict=True):
        if row.verdict is not Verdict.PASS:
            line = None if document is None else document.line_of(bound.spec.location.path)
            title = f"{result.scenario}: {row.version}: {bound.metric}"
            yield format_command(row.sentence, file=plan.scenario_file, line=line, title=title)
    if parity is not None and parity.verdict is not Verdict.PASS:
        level: Literal["error", "warning"] = "error" if parity.required else "warning"
        agreement = describe_agreement(parity)
        yield format_command(agreement, file=plan.scenario_file, title=result.scenario, level=level)
    for warning in result.warnings:
        yield format_command(warning, file=plan.scenario_file, title=result.scenario, level="warning")


def format_command(
    message: str,
    *,
    file: str | None = None,
    line: int | None = None,
    title: str = "",
    level: Literal["error", "warning"] = "error",
) -> str:
    """Return an error or a warning as a workflow command, on one line whatever it contains.

    Args:
        message: The message.
        file: The file, relative to the current folder.
        line: The line in the file, from 1.
        title: The title of the annotation.
        level: Whether it is an error.
    """
    values = {"file": _make_relative_to_root(file), "line": line, "title": title}
    properties = ",".join(f"{name}={_escape_property(str(value))}" for name, value in values.items() if value)
    return (
        f"::{level} {properties}::{_escape_data(message)}"
        if properties
        else f"::{level}::{_escape_data(message)}"
    )


def add_summary(folder: Path) -> str | None:
    """Add a run's report to the job's summary, if there is one; return why that failed, if it did.

    Args:
        folder: The run's folder.
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary:
        return None
    file = Path(summary)
    try:
        text = (folder / MARKDOWN).read_text(encoding="utf-8") + "\n"
        size = file.stat().st_size if file.exists() else 0
        if size + len(text.encode()) > _LARGEST_SUMMARY_BYTES:
            return f"The job summary has no room for the report: {folder / MARKDOWN}."
        with file.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        return f"Can't add the report to the job summary {summary}: {error.strerror}."
    return None


def _read_unchanged_document(plan: Plan) -> Document | None:
    """Return the scenario's file if it hasn't changed since the run."""
    file = Path(plan.scenario_file)
    try:
        return read_document(file) if sha256_of(file) == plan.scenario_sha256 else None
    except (OSError, HarnessError):
        return None


def _make_relative_to_root(file: str | None) -> str | None:
    """Return the file relative to the repository's root, as GitHub expects it."""
    root = os.environ.get("GITHUB_WORKSPACE")
    if file is None or not root:
        return file
    path, top = Path(file).resolve(), Path(root).resolve()
    return str(path.relative_to(top)) if path.is_relative_to(top) else file


def _escape_data(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return formatting.show_control_characters(escaped)


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
