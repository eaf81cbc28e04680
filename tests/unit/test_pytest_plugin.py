"""The pytest plugin: which tests a scenario has, and what their failures report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.bounds.judge import decide_verdict, judge_versions
from harness.bounds.specs import explain_unjudged
from harness.loading.loader import LoadedScenario
from harness.request import Session
from harness.workflow import Outcome
from tests.unit import bounds_samples, report_samples
from tests.unit.test_cli import HEAVY, SLOW

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "dataset_harness.pytest_plugin")
SCENARIO = """
name: small
table: { source: rows.csv, key: id }
pipeline:
  label: { column: outcome, positive: [bad], negative: [good] }
  features: [heat]
versions:
  - name: first
    append:
    expect: { rows: 2, metrics: { test_roc_auc: { min: 0.6 } } }
  - name: refused
    append: { set: { heat: "'hot'" } }
    expect_error: DELTA_FAILED_TO_MERGE_FIELDS
  - name: second
    append:
    train: false
    expect: { nulls: { heat: [0, 0] } }
  - name: third
    append: { shuffle: outcome }
    expect:
      metrics: { test_roc_auc: [{ min: 0.6, on: added }, { change: { since: first, min: -0.1 } }] }
verdict: fail
caught_by: [third.added_test_roc_auc.min]
"""
TESTS = [
    "the run is completed",
    "first::trained",
    "first::rows = 2",
    "first::test_roc_auc >= 0.6",
    "refused::failed as expected with DELTA_FAILED_TO_MERGE_FIELDS",
    "second::built",
    "second::nulls(heat) = 0",
    "second::nulls(heat) = 0 (2)",
    "third::trained",
    "third::added_test_roc_auc >= 0.6, must fail",
    "third::test_roc_auc change >= -0.1 since first",
]


@pytest.fixture(name="folder")
def _folder(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a project with one scenario and a YAML file that is not a scenario."""
    folder = pytester.mkdir("scenarios")
    (folder / "small.yaml").write_text(SCENARIO)
    (folder / "rows.csv").write_text("id,heat,outcome\n1,20.5,bad\n2,7.5,good\n")
    (folder / "compose.yaml").write_text("name: stack\nservices: {}\nversions: [1]\n")
    return pytester


def _collect(folder: pytest.Pytester, *arguments: str) -> list[str]:
    result = folder.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", *arguments)
    return [line for line in result.outlines if "::" in line]


def test_every_version_and_bound_is_a_test(folder: pytest.Pytester) -> None:
    """Every version and bound is a test with a unique name, without a run; other YAML files are ignored."""
    assert [f"scenarios/small.yaml::{name}" for name in TESTS] == _collect(folder)


def test_a_scenario_without_versions_is_recognized(folder: pytest.Pytester) -> None:
    """A scenario whose table lists the versions is recognized by its three other keys."""
    table = 'uri: "abfss://lake@dlsloandev.dfs.core.windows.net/t", versions: [3, latest]'
    text = SCENARIO.partition("versions:")[0].replace("source: rows.csv", table)
    (folder.path / "scenarios" / "small.yaml").write_text(text)
    assert ["the run is completed", "v3::trained", "latest::trained"] == [
        line.partition("::")[2] for line in _collect(folder)
    ]


def test_each_combination_of_a_matrix_has_its_tests(folder: pytest.Pytester) -> None:
    """Each combination of a matrix has tests, below a node named after its values."""
    text = SCENARIO + "matrix: { seed: [1, 2] }\n"
    (folder.path / "scenarios" / "small.yaml").write_text(text)
    expected = [f"scenarios/small.yaml::seed={seed}::{name}" for seed in (1, 2) for name in TESTS]
    assert expected == _collect(folder)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-k", "first and roc"), [TESTS[3], TESTS[-1]]),
        (("-m", "scenario(version='second')"), TESTS[5:8]),
        (("-m", "scenario(name='small') and not scenario(version='third')"), TESTS[:8]),
        (("-m", "scenario(name='other')"), []),
        ((f"scenarios/small.yaml::{TESTS[3]}",), [TESTS[3]]),
    ],
)
def test_tests_can_be_selected(
    folder: pytest.Pytester, arguments: tuple[str, ...], expected: list[str]
) -> None:
    """Tests can be selected by keyword, by marker and by name."""
    chosen = _collect(folder, "--strict-markers", *arguments)
    assert expected == [line.partition("::")[2] for line in chosen]


def test_an_invalid_scenario_is_a_collection_error(folder: pytest.Pytester) -> None:
    """Every mistake in a scenario is reported with its line, without a traceback, even for a mistyped key."""
    file = folder.path / "scenarios" / "small.yaml"
    text = SCENARIO.replace("test_roc_auc: { min: 0.6 }", "test_rocauc: { min: 0.6 }")
    file.write_text(text.replace("features: [heat]", "features: [heats]"))
    result = folder.runpytest_inprocess(*PLUGIN)
    assert pytest.ExitCode.INTERRUPTED == result.ret
    result.stdout.fnmatch_lines(
        [
            "scenarios/small.yaml:6: rows.csv has no column 'heats'. *",
            "scenarios/small.yaml:10: unknown metric 'test_rocauc'. Did you mean 'test_roc_auc'?",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    file.write_text(SCENARIO.replace("pipeline:", "pipelines:"))
    result = folder.runpytest_inprocess(*PLUGIN)
    result.stdout.fnmatch_lines(["scenarios/small.yaml:4: unknown key 'pipelines'*"])


def test_a_failed_run_is_an_error_of_each_test(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that fails is started once, and every test reports the same error."""
    monkeypatch.setenv("HARNESS_HOME", str(folder.path / "home"))
    monkeypatch.setenv("HARNESS_JAVA_HOME", str(folder.path / "nowhere"))
    result = folder.runpytest_inprocess(*PLUGIN, "--scenario-target=embedded", "-k", "first and not third")
    result.assert_outcomes(errors=3)
    messages = [line for line in result.outlines if "nowhere" in line and not line.startswith("ERROR")]
    assert (3, 1) == (len(messages), len(set(messages)))
    result.stdout.no_fnmatch_line("*Traceback*")


def _run(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, scenario: str, **metrics: float
) -> pytest.RunResult:
    """Run the tests of a scenario with one version, whose run has these measurements."""
    (folder.path / "scenarios" / "small.yaml").write_text(scenario)

    def execute(_session: Session, loaded: LoadedScenario) -> Outcome:
        measured = bounds_samples.version("first", metrics=metrics)
        versions = judge_versions(loaded.scenario, [measured])
        verdict = decide_verdict(loaded.scenario, versions[0].bounds)
        reason = explain_unjudged(loaded.scenario)
        return Outcome(report_samples.result(versions, verdict=verdict, reason=reason), folder.path)

    monkeypatch.setattr("harness.workflow.execute", execute)
    return folder.runpytest_inprocess(*PLUGIN, "--scenario-target=embedded")


HEAD = SCENARIO.partition("    expect:")[0]
"""A scenario of one version without bounds."""


def test_a_bound_that_is_not_proven_is_a_failed_test(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound that is not proven is one failed test, whose message says why; the other tests pass."""
    expect = "    expect: { metrics: { test_roc_auc: { min: 0.6 } } }\n"
    counts = {"test_rows": 100.0, "test_positives": 4.0}
    result = _run(folder, monkeypatch, HEAD + expect, test_roc_auc=1.0, **counts)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "first: test_roc_auc >= 0.6 is not proven: only 4 positives at first, fewer than 10.",
            "Report: *report.html",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_run_that_judges_no_bound_is_a_failed_test(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no bound is judged, the test of the run fails and says why, although all versions are trained."""
    result = _run(folder, monkeypatch, HEAD)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["No bound is judged, because the scenario sets none; *", "Report: *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_scenario_that_observes_passes(folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario that looks without judging passes, as it exits with 0."""
    result = _run(folder, monkeypatch, HEAD + "observe: true\n")
    result.assert_outcomes(passed=2)


def test_a_baseline_that_does_not_exist_is_a_collection_error(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that bounds can't compare with is reported with its line before anything runs."""
    monkeypatch.setenv("HARNESS_HOME", str(folder.path / "home"))
    expect = "    expect: { rows: { baseline: { from: latest, min: 0 } } }\n"
    result = _run(folder, monkeypatch, HEAD + expect)
    assert pytest.ExitCode.INTERRUPTED == result.ret
    result.stdout.fnmatch_lines(["scenarios/small.yaml:10: 'latest' can't be a baseline: *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_an_unknown_target_is_refused(folder: pytest.Pytester) -> None:
    """An unknown ``--scenario-target`` is refused before anything is collected."""
    result = folder.runpytest_inprocess(*PLUGIN, "--scenario-target=cloud")
    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["*unknown target 'cloud'. *embedded*"])


def test_the_plugin_imports_nothing_heavy() -> None:
    """The plugin itself, which every pytest of the environment loads, imports nothing heavy."""
    names = "{name.partition('.')[0] for name in sys.modules}"
    script = f"import sys, dataset_harness.pytest_plugin; print(*{names})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set() == (HEAVY | SLOW | {"harness"}) & set(done.stdout.split())


def test_bad_scenarios_of_the_tests_are_not_collected() -> None:
    """The harness's bad scenarios are not collected as tests where the plugin is installed."""
    command = [sys.executable, "-m", "pytest", *PLUGIN, "--collect-only", "-q", "tests/unit/bad"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert pytest.ExitCode.NO_TESTS_COLLECTED == done.returncode, done.stdout
