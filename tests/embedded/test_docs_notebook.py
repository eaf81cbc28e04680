"""The notebook of the docs, cell by cell on one session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness.results import Verdict
from tests.notebooks import read_source

pytestmark = pytest.mark.spark


def test_the_notebook_runs_from_top_to_bottom(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every cell of the notebook runs, its scenario passes, and the existing table passes too."""
    monkeypatch.chdir(tmp_path)
    for name in ("HARNESS_HOME", "HARNESS_TARGET", "HARNESS_TARGETS_DATABRICKS_FILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HARNESS_TARGETS_DATABRICKS_FILES", "/Volumes/main/default/harness")
    names: dict[str, Any] = {"spark": spark.newSession()}
    for cell in read_source():
        if cell.is_python:
            exec(compile(cell.text, "cell", "exec"), names)  # noqa: S102 - our own notebook
    result = names["result"]
    assert Verdict.PASS is result.verdict
    assert [0, 1, 2] == [version.version for version in result.versions]
    assert names["loans"].count() == result.versions[0].rows
    assert all(Path(version.bundle).is_dir() for version in result.versions)
    assert 3 == len({run.data.tags["harness.data_fingerprint"] for run in names["runs"]})
    printed = capsys.readouterr().out
    assert 2 == printed.count("PASS")
