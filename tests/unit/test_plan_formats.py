"""Formats of plans: plans of earlier formats still load, and newer ones are reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.authoring.scenario_list import list_scenarios
from harness.cli import app
from harness.errors import ExitCode, PrerequisiteError
from harness.job.__main__ import main as run_job
from harness.parity.counterpart import find_local_run
from harness.plan import PLAN_FORMAT, load_plan
from harness.reuse import find_known_runs, make_keys
from harness.runs import PLAN, RESULT, RunFolder
from harness.targets.registry import is_local
from tests.unit import report_samples as samples

SAMPLES = Path(__file__).parent / "samples"
SCENARIOS = Path(__file__).parents[2] / "scenarios"
RUN = "20261129-084527-three_versions-2357"
OTHER = "20261129-085216-three_versions-4ab3"


@pytest.fixture(name="runs")
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the runs' folder of a home with two runs of format 1."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    monkeypatch.setenv("HARNESS_TARGET", "embedded")
    for run_id in (RUN, OTHER):
        shutil.copytree(SAMPLES / "format_1", tmp_path / "runs" / run_id)
    return tmp_path / "runs"


def _sample() -> str:
    return (SAMPLES / "format_1" / PLAN).read_text(encoding="utf-8")


def test_a_plan_of_format_1_loads() -> None:
    """A plan without a format version has format 1 and is upgraded when it is loaded."""
    plan = load_plan(_sample(), PLAN)
    assert "format_version" not in json.loads(_sample())
    assert (PLAN_FORMAT, RUN, "embedded") == (plan.format_version, plan.run_id, plan.environment.target)
    assert ["january", "february", "march"] == [version.name for version in plan.scenario.versions]


def test_a_plan_has_its_format() -> None:
    """A plan's file starts with the current format, and loads as the same plan."""
    text = samples.plan().model_dump_json(by_alias=True)
    assert (PLAN_FORMAT, samples.plan()) == (json.loads(text)["format_version"], load_plan(text, PLAN))
    assert "format_version" == next(iter(json.loads(text)))


def test_every_supported_format_has_a_sample() -> None:
    """Each earlier plan format has a sample in the tests."""
    expected = [f"format_{number}" for number in range(1, PLAN_FORMAT)]
    assert expected == sorted(path.parent.name for path in SAMPLES.glob("*/plan.json"))


def test_a_newer_format_is_reported(runs: Path) -> None:
    """The message about a newer format names the file, both formats and a remedy."""
    file = runs / RUN / PLAN
    file.write_text(
        json.dumps({**json.loads(_sample()), "format_version": PLAN_FORMAT + 1}), encoding="utf-8"
    )
    with pytest.raises(PrerequisiteError) as caught:
        RunFolder(runs / RUN).read_plan()
    assert str(caught.value) == (
        f"{file} has plan format 3; this harness reads formats up to 2.\n"
        "  Update the harness, or read the plan with the version that wrote it."
    )


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "7", '{"format_version": 0}', '{"format_version": "2"}', '{"format_version": [2]}'],
)
def test_a_file_without_a_plan_is_reported(text: str) -> None:
    """A file that is not a plan is reported in one message without a traceback."""
    with pytest.raises(PrerequisiteError, match="x is not a plan that this version of the harness can read"):
        load_plan(text, "x")


def test_the_job_reports_a_newer_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The job reports a plan of a newer format before Spark starts."""
    plan = tmp_path / PLAN
    plan.write_text('{"format_version": 99}', encoding="utf-8")
    assert ExitCode.PREREQUISITE_MISSING == run_job([str(plan), str(tmp_path / RESULT)])
    assert f"{plan} has plan format 99" in capsys.readouterr().err


def test_list_shows_a_run_of_format_1(runs: Path) -> None:
    """'harness list' shows the verdict of a run of format 1."""
    newest = {each.name: each.newest for each in list_scenarios(SCENARIOS, runs)}
    assert "pass" == newest["three_versions"]


def test_compare_writes_a_page_of_runs_of_format_1(runs: Path, tmp_path: Path) -> None:
    """'harness compare --html' reads plans and results of format 1."""
    page, plan = tmp_path / "page.html", runs / OTHER / PLAN
    text = plan.read_text(encoding="utf-8").replace('"value": "harness"', '"value": "another experiment"')
    plan.write_text(text, encoding="utf-8")
    outcome = CliRunner().invoke(app, ["compare", RUN, OTHER, "--html", str(page)])
    assert ExitCode.PASS == outcome.exit_code, outcome.output
    assert "another experiment" in page.read_text(encoding="utf-8")  # A setting: only the plan has it.


def test_attach_reads_a_run_of_format_1(runs: Path) -> None:
    """'harness attach' judges a run of format 1 again and writes its report."""
    outcome = CliRunner().invoke(app, ["attach", RUN])
    assert f"The run {RUN} ended at " in outcome.output
    assert ExitCode.PASS == outcome.exit_code, outcome.output
    assert "PASS: three_versions on embedded" in outcome.output
    assert (runs / RUN / "report.html").is_file()


def test_a_run_of_format_1_can_be_a_counterpart(runs: Path) -> None:
    """A cloud run can be compared with a local run of format 1 that has the same inputs."""
    local = load_plan(_sample(), PLAN)
    environment = local.environment.model_copy(update={"target": "databricks"})
    remote = local.model_copy(update={"environment": environment})
    found = find_local_run(runs, remote, is_local)
    assert (RUN, "") == (found.result.run_id if found.result else None, found.reason)


def test_a_run_without_a_digest_is_not_reused(runs: Path) -> None:
    """Nobody can tell whether the result of an older format was edited."""
    plan = load_plan(_sample(), PLAN)
    RunFolder(runs / RUN).write_keys(make_keys(plan))
    assert [] == list(find_known_runs(runs, plan))
