"""Annotations and job summaries in GitHub workflows."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.errors import PrerequisiteError, Problem, ScenarioError
from harness.parity.compare import report_not_compared
from harness.plan import Plan
from harness.report import github
from harness.results import BoundResult, Verdict
from tests.unit import report_samples as samples

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "bad"
_HELD = "march: cv_roc_auc is 0.6500 ± 0.037; the bound is >= 0.6, met with 0.0500 to spare"
FAILED = samples.bound(verdict=Verdict.FAIL)


@pytest.fixture(autouse=True)
def _workflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulate a workflow step in its own folder."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("::error::plain", {"message": "plain"}),
        ("::error file=a.yaml,line=3,title=t::", {"message": "", "file": "a.yaml", "line": 3, "title": "t"}),
        ("::error file=a.yaml::plain", {"message": "plain", "file": "a.yaml"}),
        ("::error::100%25%0D%0A::x,y", {"message": "100%\r\n::x,y"}),
        ("::error title=a%3A b%2C 5%25%0A::", {"message": "", "title": "a: b, 5%\n"}),
        ("::error file=a%2Cb%3Ac.yaml::", {"message": "", "file": "a,b:c.yaml"}),
        ("::error::%250A", {"message": "%0A"}),
        (r"::error::red\x1b[0m \u202e", {"message": "red\x1b[0m \u202e"}),
    ],
)
def test_a_command_is_one_escaped_line(expected: str, arguments: dict[str, Any]) -> None:
    """A message can neither end its workflow command nor start another one."""
    assert expected == github.format_command(**arguments)


def test_a_file_is_relative_to_the_repositorys_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are relative to the repository's root; a file outside is named as it is."""
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path / "tests")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert ["::error file=tests/a.yaml::", "::error file=/elsewhere/a.yaml::"] == [
        github.format_command("", file=file) for file in ("a.yaml", "/elsewhere/a.yaml")
    ]


def test_each_mistake_of_a_scenario_is_annotated_at_its_line() -> None:
    """Each mistake of a scenario is annotated at its line, or at the file if it has no line."""
    error = ScenarioError([Problem("wrong: 5%", line=3), Problem("bad")], file="a.yaml")
    assert [
        "::error file=a.yaml,line=3,title=scenario::wrong: 5%25",
        "::error file=a.yaml,title=scenario::bad",
    ] == list(github.list_error_commands(error))


def test_another_error_is_annotated_once() -> None:
    """Any other error is one annotation with its remedy."""
    error = PrerequisiteError("No Java.", remedy="Install one.")
    assert ["::error title=dataset-harness::No Java.%0A  Install one."] == list(
        github.list_error_commands(error)
    )


def _plan(file: Path) -> Plan:
    return samples.plan(scenario_file=file.name)


@pytest.mark.parametrize(
    ("bound", "messages"),
    [
        (samples.bound(), []),
        (samples.bound(verdict=Verdict.FAIL, must_fail=True), []),
        (FAILED, ["march: cv_roc_auc is 0.5500 ± 0.037; the bound is >= 0.6, missed by 0.0500"]),
        (
            samples.bound(verdict=Verdict.NOT_PROVEN),
            ["march: cv_roc_auc >= 0.6 is not proven: it could not be measured"],
        ),
        (
            samples.bound(must_fail=True),
            [f"{_HELD}, but it should have failed"],
        ),
    ],
)
def test_each_bound_that_does_not_pass_is_annotated(
    bound: BoundResult, messages: list[str], tmp_path: Path
) -> None:
    """Each bound that does not pass is an annotation, and no other bound is."""
    result = samples.result((samples.version("march", 2, bounds=(bound,)),))
    lines = list(github.list_verdict_commands(_plan(tmp_path / "absent.yaml"), result))
    assert messages == [line.rpartition("::")[2] for line in lines]


@pytest.mark.parametrize("text", [None, "versions: []\n", "no: [yaml"])
def test_a_changed_file_has_no_lines(text: str | None, tmp_path: Path) -> None:
    """Bounds of a scenario file that was changed or deleted are annotated without a line."""
    plan = samples.plan(scenario_file="three_versions.yaml", scenario_sha256="0" * 64)
    if text is not None:
        (tmp_path / "three_versions.yaml").write_text(text)
    [line] = github.list_verdict_commands(
        plan, samples.result((samples.version("march", 2, bounds=(FAILED,)),))
    )
    assert line.startswith("::error file=three_versions.yaml,title=three_versions%3A march%3A cv_roc_auc::")


def test_a_failed_run_is_annotated(tmp_path: Path) -> None:
    """A failed run is an annotation with its remedy."""
    lines = github.list_verdict_commands(
        _plan(tmp_path / "absent.yaml"), samples.result((), failure=samples.failure())
    )
    message = "Spark ran out of memory while it trained february.%0ASet spark.driver.memory to 4g or more."
    assert [f"::error file=absent.yaml,title=three_versions::{message}"] == list(lines)


def test_a_warning_is_annotated_as_one(tmp_path: Path) -> None:
    """A warning of a run is an annotation, but not an error."""
    lines = github.list_verdict_commands(
        _plan(tmp_path / "absent.yaml"), samples.result((), warnings=("Version 3 expires.",))
    )
    assert ["::warning file=absent.yaml,title=three_versions::Version 3 expires."] == list(lines)


def test_a_disagreement_is_annotated(tmp_path: Path) -> None:
    """A run that does not agree with another one is a single annotation."""
    parity = report_not_compared(samples.cloud(), "There is no local run.")
    lines = github.list_verdict_commands(_plan(tmp_path / "absent.yaml"), samples.cloud(), parity)
    annotation = "::error file=absent.yaml,title=three_versions::Nothing was compared. There is no local run."
    assert [annotation] == list(lines)


def _announce(folder: Path, *, quiet: bool = False) -> str:
    file = io.StringIO()
    result = samples.result((samples.version("march", 2, bounds=(FAILED,)),))
    github.announce(Console(file=file, width=40, quiet=quiet), samples.plan(), result, folder)
    return file.getvalue()


@pytest.fixture(name="summary")
def _summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the job's summary with another step's text, next to the report of a run."""
    (tmp_path / "report.md").write_text("## report\n", encoding="utf-8")
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    return file


def test_a_workflow_gets_complete_lines(tmp_path: Path, summary: Path) -> None:
    """Annotations are never wrapped, and the report is appended to the job's summary."""
    assert 1 == len(_announce(tmp_path).splitlines())
    assert "before\n## report\n\n" == summary.read_text()


def test_outside_a_workflow_nothing_is_announced(
    tmp_path: Path, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a workflow, nothing is printed, and no summary is written."""
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert ("", "before\n") == (_announce(tmp_path), summary.read_text())


def test_a_run_that_is_not_shown_is_not_announced(tmp_path: Path, summary: Path) -> None:
    """A run with a quiet console, such as one of a study, is not announced."""
    assert ("", "before\n") == (_announce(tmp_path, quiet=True), summary.read_text())


def test_without_a_summary_only_annotations_are_written(tmp_path: Path) -> None:
    """If the workflow has no job summary, the annotations are still written."""
    assert _announce(tmp_path).startswith("::error ")


def test_a_summary_that_can_not_be_written_is_reported(
    tmp_path: Path, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unwritable job summary is reported and does not affect the run."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary / "below"))
    assert "Can't add the report to the job summary " in _announce(tmp_path)


def test_a_full_summary_is_unchanged(tmp_path: Path, summary: Path) -> None:
    """A summary that would exceed GitHub's limit stays unchanged, and this is reported."""
    summary.write_text("x" * (1 << 20))
    assert "has no room for the report" in _announce(tmp_path)
    assert 1 << 20 == summary.stat().st_size


@pytest.mark.parametrize("workflow", ["true", ""])
def test_the_command_annotates_an_invalid_scenario(workflow: str, tmp_path: Path) -> None:
    """In a workflow, an invalid scenario is annotated in addition to the usual message."""
    file = BAD / "unknown_metric.yaml"
    environ = {
        **os.environ,
        "GITHUB_ACTIONS": workflow,
        "PYTHONPATH": str(ROOT),
        "HARNESS_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "harness", "check", str(file)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    message, *commands = done.stderr.splitlines()
    where, _, what = message.partition(": ")
    line = where.rpartition(":")[2]
    expected = f"::error file={file},line={line},title=scenario::{what}"
    assert (2, [expected] if workflow else []) == (done.returncode, commands)


def test_a_run_that_judged_no_bound_is_annotated(tmp_path: Path) -> None:
    """A run that judged no bound is annotated with the reason, unless the scenario only observes."""
    versions = (samples.version("march", 2),)
    unproven = samples.result(versions, verdict=Verdict.NOT_PROVEN, reason="no bound is judged")
    [line] = github.list_verdict_commands(_plan(tmp_path / "absent.yaml"), unproven)
    assert line.endswith("::no bound is judged")
    observed = samples.result(versions, verdict=Verdict.OBSERVED)
    assert [] == list(github.list_verdict_commands(_plan(tmp_path / "absent.yaml"), observed))


def test_parity_that_is_not_required_is_a_warning(tmp_path: Path) -> None:
    """The run passes in spite of it."""
    parity = report_not_compared(samples.cloud(), "There is no local run.")
    parity = parity.model_copy(update={"required": False})
    [line] = github.list_verdict_commands(_plan(tmp_path / "absent.yaml"), samples.cloud(), parity)
    assert line.startswith("::warning ")
