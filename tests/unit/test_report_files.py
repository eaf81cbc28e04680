"""The files that a report consists of."""

from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.parity.compare import Parity
from harness.report import write_reports
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples


def test_three_reports_are_written(tmp_path: Path) -> None:
    """The folder has the HTML page with its drawings, the Markdown comment and the JUnit results."""
    write_reports(samples.plan(), samples.result(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "drawings.json",
        "junit.xml",
        "report.html",
        "report.md",
    ]


def test_a_comparison_is_written_next_to_the_reports(tmp_path: Path) -> None:
    """The file parity.json has every compared value; a run without a comparison has no such file."""
    parity = compare_runs(samples.result(), samples.cloud())
    write_reports(samples.plan(), samples.cloud(), tmp_path, parity)
    assert parity == Parity.model_validate_json((tmp_path / "parity.json").read_text(encoding="utf-8"))


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    """A file in place of the report folder leads to a message, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(PrerequisiteError, match=r"report\.html"):
        write_reports(samples.plan(), samples.result(), tmp_path / "file")
