"""``harness report``: the reports of a past run, written again."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import PrerequisiteError
from harness.parity.compare import report_not_compared
from harness.report import HTML, MARKDOWN, write_reports
from harness.runs import JUNIT, PLAN, RESULT
from tests.unit import report_samples as samples


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    plan, result = samples.plan(), samples.cloud()
    folder = tmp_path / result.run_id
    folder.mkdir()
    (folder / PLAN).write_text(plan.model_dump_json(by_alias=True))
    (folder / RESULT).write_text(result.model_dump_json(by_alias=True))
    parity = report_not_compared(result, "There is no local run.").model_copy(update={"required": False})
    write_reports(plan, result, folder, parity)
    return folder


def test_the_same_reports_are_written(folder: Path) -> None:
    """From plan, result and comparison: nothing else is needed."""
    names = (HTML, MARKDOWN, JUNIT)
    before = {name: (folder / name).read_text() for name in names}
    for name in names:
        (folder / name).unlink()
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert (done.exit_code, done.stdout) == (0, f"report  {folder / HTML}\n")
    assert {name: (folder / name).read_text() for name in names} == before
    assert "Parity (not required): not compared." in before[MARKDOWN].replace("\\", "")


@pytest.mark.parametrize(("file", "text"), [("parity.json", "{"), ("parity.json", "[1]"), (RESULT, "{")])
def test_files_that_cannot_be_read_are_named(folder: Path, file: str, text: str) -> None:
    """One message, and the reports stay as they are."""
    before = (folder / HTML).read_text()
    (folder / file).write_text(text)
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert isinstance(done.exception, PrerequisiteError)
    assert file in str(done.exception)
    assert (folder / HTML).read_text() == before
