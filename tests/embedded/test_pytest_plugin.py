"""A scenario whose bounds are really run as pytest tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded.runner import ROOT, change_scenario
from tests.embedded.small import SMALL, write_scenario

pytestmark = pytest.mark.spark

_EXPECTED = {
    "rows": 300,
    "metrics": {
        "test_roc_auc": [{"min": 0.7}, {"min": 0.999, "on": "all"}, {"min": 1.0}],
        "added_test_roc_auc": {"min": 0.999},
        "added_test_f1": {"change": {"since": "first", "min": -0.9}},
    },
}
_SCENARIO = change_scenario(
    SMALL,
    {
        "versions": [
            SMALL.versions[0].model_dump(exclude_none=True),
            SMALL.versions[1].model_dump(exclude_none=True) | {"expect": _EXPECTED},
        ],
        "verdict": "fail",
        "caught_by": ["second.added_test_roc_auc", "first.rows"],
    },
)


def test_bounds_pass_and_fail_as_tests(tmp_path: Path) -> None:
    """Bounds that fail, are not proven or should have failed are failed tests, from a single run."""
    write_scenario(tmp_path / "scenarios", _SCENARIO)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = _run_pytest(tmp_path, "--scenario-target=embedded", f"--junitxml={tmp_path}/junit.xml")
    failed = re.findall(r"^FAILED .*small\.yaml::(.*?) - ", done.stdout, re.MULTILINE)
    assert [
        "first::rows = 200, must fail",
        "second::added_test_f1 change >= -0.9 since first",
        "second::test_roc_auc >= 0.999",
        "second::test_roc_auc >= 1",
    ] == failed, done.stdout
    assert "4 failed, 6 passed" in done.stdout
    for message in (
        r"^first: rows is 200;.* It must fail here, but doesn't\.\nReport: .*/report\.html$",
        r"^second: test_roc_auc is 0\..*; the bound is >= 0\.999, missed by .*\.\nReport: ",
        r"^second: added_test_f1 >= -0.9 since first is not proven: .*\.\nReport: ",
    ):
        assert re.search(message, done.stdout, re.MULTILINE), done.stdout
    assert "Traceback" not in done.stdout
    assert 1 == sum(
        each.is_dir() and not each.is_symlink() for each in (tmp_path / "home" / "runs").iterdir()
    )
    assert '<property name="measured" value="200.0"' in (tmp_path / "junit.xml").read_text()


def _run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a project's scenarios, as a user would."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "dataset_harness.pytest_plugin",
        "-c",
        str(folder / "pytest.ini"),
    ]
    return subprocess.run(
        [*command, *arguments, str(folder / "scenarios")],
        cwd=ROOT,
        env={**os.environ, "HARNESS_HOME": str(folder / "home"), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
