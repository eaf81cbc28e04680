"""The page of the runs that are kept on this machine: a table, filters, and charts over runs and versions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from harness.errors import PrerequisiteError
from harness.files import write_text
from harness.report import HTML
from harness.report.html import make_template_environment
from harness.storage.uris import remove_password
from harness.views.formatting import shorten
from harness.views.kept_runs import KeptRun, RunFilter, list_kept_runs
from harness.views.metric_courses import MOST_RUNS, build_courses, draw_course, list_metrics
from harness.wheel import compute_version

PAGE = "index.html"
"""Name of the page in the folder of the runs."""
_VERSIONS_LISTED = 4


@dataclass(frozen=True)
class RunRow:
    """One run as a row of the table."""

    run: KeptRun
    report: str
    """Address of its report, relative to the page; empty if it has none."""

    @property
    def table(self) -> str:
        """Name or URI of its table."""
        return remove_password(self.run.table)

    @property
    def started(self) -> str:
        """When it started."""
        return "" if self.run.started is None else f"{self.run.started:%Y-%m-%d %H:%M}"

    @property
    def day(self) -> str:
        """The day on which it started."""
        return self.started[:10]

    @property
    def reason(self) -> str:
        """Why it has no verdict, in short."""
        return shorten(self.run.outcome.reason.partition("\n")[0])

    @property
    def versions(self) -> str:
        """The versions of its table: all of a few, or the first and last of many."""
        found = self.run.delta_versions
        if len(found) <= _VERSIONS_LISTED:
            return ", ".join(map(str, found))
        return f"{found[0]} … {found[-1]} ({len(found)})"


def write_runs_page(runs: Path, wanted: RunFilter, file: Path | None = None) -> Path:
    """Write the page of the kept runs, and return its file.

    Args:
        runs: Folder of the runs.
        wanted: Which of them are shown.
        file: The file to write (default: ``index.html`` in the folder of the runs).

    Raises:
        PrerequisiteError: There are no such runs, or the file can't be written.
    """
    found = list_kept_runs(runs, wanted)
    if not found and wanted.description:
        raise PrerequisiteError(
            f"There are no such runs in {runs} ({wanted.description}).",
            remedy="'harness runs --html' without filters shows every run that is kept on this machine.",
        )
    if not found:
        raise PrerequisiteError(
            f"There are no runs in {runs} yet.",
            remedy="Run a scenario first: make scenario NAME=three_versions.",
        )
    file = runs / PAGE if file is None else file
    write_text(file, render_runs(found, runs, wanted, file.absolute().parent))
    return file


def render_runs(runs: Sequence[KeptRun], folder: Path, wanted: RunFilter, page_folder: Path) -> str:
    """Render the page, with all names and messages escaped.

    Args:
        runs: The runs, newest first.
        folder: The folder that keeps them.
        wanted: The filter that selected them.
        page_folder: The folder of the page, from which links start.
    """
    rows = [RunRow(run, _link(run, page_folder)) for run in runs]
    courses = build_courses(runs)
    outcomes = Counter(run.outcome.label for run in runs)
    context = {
        "written_by": compute_version(),
        "written": datetime.now(UTC),
        "folder": str(folder),
        "only": wanted.description,
        "tally": ", ".join(f"{number} {label}" for label, number in outcomes.items()),
        "runs": rows,
        "scenarios": _list_values(rows, lambda row: row.run.folder.scenario),
        "tables": _list_values(rows, lambda row: row.table),
        "targets": _list_values(rows, lambda row: row.run.target),
        "outcomes": _list_values(rows, lambda row: row.run.outcome.label),
        # Drawn by us, with its text escaped.
        "courses": [(course, Markup(draw_course(course))) for course in courses],  # noqa: S704
        "metrics": list_metrics(courses),
        "most_runs": MOST_RUNS,
        "left_out": any(number > MOST_RUNS for number in Counter(r.folder.scenario for r in runs).values()),
    }
    return make_template_environment("runs.js.j2").get_template("runs.html.j2").render(context)


def _list_values(rows: Sequence[RunRow], read: Callable[[RunRow], str]) -> list[str]:
    """Return the different values of some rows, without the empty one."""
    return sorted({read(row) for row in rows} - {""})


def _link(run: KeptRun, page_folder: Path) -> str:
    report = run.folder.path.absolute() / HTML
    return quote(Path(os.path.relpath(report, page_folder)).as_posix()) if report.is_file() else ""
