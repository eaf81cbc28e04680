"""What a job hands over at its end: its files, then its result."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from harness.job.__main__ import _finish
from harness.prediction_files import SentFile
from harness.results import Result
from tests.unit import report_samples as samples

NAME = "predictions/january.parquet"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "scratch.parquet"
    file.write_bytes(b"\x00as if Parquet\n")
    return file


def test_files_are_written_next_to_the_result(tmp_path: Path, file: Path) -> None:
    """If the result is a file, the other files are below its folder."""
    options = argparse.Namespace(result=str(tmp_path / "run" / "result.json"))
    assert 0 == _finish(samples.result(), options, None, {NAME: file})
    assert file.read_bytes() == (tmp_path / "run" / NAME).read_bytes()
    assert samples.result() == Result.from_json((tmp_path / "run" / "result.json").read_bytes())


def test_files_are_lines_before_the_result(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the result goes to standard output, each file is a line before it."""
    assert 0 == _finish(samples.result(), argparse.Namespace(result="-"), None, {NAME: file})
    sent, result = capsys.readouterr().out.splitlines()
    assert SentFile(NAME, file.read_bytes()) == SentFile.from_line(sent)
    assert samples.result() == Result.from_line(result)


def test_a_folder_that_cannot_be_written_is_reported(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the files can't be written, the job ends with a message and exit code 3."""
    (tmp_path / "predictions").write_text("in the way")
    options = argparse.Namespace(result=str(tmp_path / "result.json"))
    assert 3 == _finish(samples.result(), options, None, {NAME: file})
    assert "Can't write" in capsys.readouterr().err
