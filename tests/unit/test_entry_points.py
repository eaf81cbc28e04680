"""A project that has a package called ``harness`` itself, in an environment with ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_pytest_plugin import SCENARIO

_PACKAGE = {"__init__.py": "OWNER = 'project'\n", "tools.py": "def double(value): return 2 * value\n"}
_TEST = """
import harness
from harness.tools import double

def test_of_the_project():
    from harness import tools

    assert ("project", 6, tools.double) == (harness.OWNER, double(3), double)
"""
_ROWS = "id,heat,outcome\n1,20.5,bad\n2,7.5,good\n"
_COMMANDS = Path(sys.executable).parent
_MODULE = (sys.executable, "-m", "pytest")
_PYTEST = (str(_COMMANDS / "pytest"),)
_HARNESS = str(_COMMANDS / "harness")


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def _make_project(folder: Path, package: str = "harness") -> None:
    """Create a project with a package, a scenario, and a test that is collected after the scenario."""
    _write(folder / package, _PACKAGE)
    _write(folder / "scenarios", {"small.yaml": SCENARIO, "rows.csv": _ROWS})
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_it.py").write_text(_TEST)


def _run(folder: Path, *command: str, **environ: str) -> str:
    own = {"HARNESS_HOME": str(folder / "home"), "HARNESS_JAVA_HOME": str(folder / "nowhere")}
    # Variables of the tests themselves, such as a path or a worker's number, don't decide what is imported.
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **own, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("package", "command", "environ"),
    [
        ("harness", _MODULE, {}),
        ("harness", (*_PYTEST, "-o", "pythonpath=."), {}),
        ("harness", (*_PYTEST, "--import-mode=importlib"), {"PYTHONPATH": "."}),
        ("tests/harness", _PYTEST, {}),
    ],
)
def test_a_projects_tests_import_its_own_package(
    tmp_path: Path, package: str, command: tuple[str, ...], environ: dict[str, str]
) -> None:
    """A project's tests import its own package, and its scenarios ours, in the same process."""
    _make_project(tmp_path, package)
    arguments = ("--scenario-target=embedded", "-k", "project or completed", "scenarios", "tests")
    output = _run(tmp_path, *command, *arguments, **environ)
    assert re.search(r"\b1 passed, 10 deselected, 1 error\b", output), output
    # The run itself started, and ended with our message about a Java that doesn't exist.
    assert "/nowhere, which doesn't contain a working Java" in output


def test_our_package_stays_one_package_if_a_projects_tests_use_it(tmp_path: Path) -> None:
    """A project's tests that import our package share it with the plugin, whichever of both is first."""
    _make_project(tmp_path, "other")
    arguments = ("--scenario-target=embedded", "-k", "project or completed")
    test = "import harness\nfrom harness.errors import HarnessError\n\n"
    test += "def test_of_the_project():\n    assert harness.HarnessError is HarnessError\n"
    (tmp_path / "tests" / "test_it.py").write_text(test)
    for folders in (("scenarios", "tests"), ("tests", "scenarios")):
        output = _run(tmp_path, *_PYTEST, *arguments, *folders)
        assert re.search(r"\b1 passed, 10 deselected, 1 error\b", output), output


def test_the_command_runs_in_a_project_with_such_a_package(tmp_path: Path) -> None:
    """The command is ours even if Python's path leads to the project's package first."""
    _make_project(tmp_path)
    output = _run(tmp_path, _HARNESS, "check", "scenarios/small.yaml", PYTHONPATH=str(tmp_path))
    assert "scenarios/small.yaml: ok (4 versions)\n" == output
