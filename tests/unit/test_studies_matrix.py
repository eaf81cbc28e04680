"""A scenario with a matrix: its combinations, their selection, and their common outcome."""

import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.bounds.judge import judge_versions
from harness.errors import (
    ExitCode,
    InterruptedRunError,
    JobError,
    PrerequisiteError,
    Problem,
    ScenarioError,
    UsageError,
)
from harness.loading import rules
from harness.loading.loader import LoadedScenario
from harness.loading.matrix_selection import select_combinations, select_one
from harness.report.terminal.command_tables import CombinationRow, show_matrix
from harness.request import Session
from harness.results import Verdict
from harness.scenario.matrix import combinations, format_value
from harness.scenario.model import Scenario
from harness.scenario.model_kinds import LogisticRegression
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from harness.workflow import Outcome, execute_all
from tests.unit.studies_samples import loaded, measured, result, scenario, with_versions

TWO_BY_TWO = {"seed": [1, 2], "pipeline.model.max_iter": [50, 100]}


def _max_iter(found: Scenario) -> int:
    model = found.pipeline.model
    assert isinstance(model, LogisticRegression)
    return model.max_iter


def _apply_only_combination(matrix: dict[str, Any], **changes: Any) -> Scenario:
    """Return the scenario of the only combination of a matrix."""
    base = scenario(matrix=matrix, **changes)
    (combination,) = combinations(base.matrix)
    return combination.apply_to(base)


def test_every_combination_is_a_scenario_without_a_matrix() -> None:
    """Combinations are in the order of the file, and the last key changes fastest."""
    base = scenario(matrix=TWO_BY_TWO)
    found = [each.apply_to(base) for each in combinations(base.matrix)]
    expected = [(1, 50), (1, 100), (2, 50), (2, 100)]
    assert expected == [(each.seed, _max_iter(each)) for each in found]
    assert [{}] * 4 == [each.matrix for each in found]


def test_a_scenario_without_a_matrix_has_no_combination() -> None:
    """A scenario without a matrix has no combinations, not an empty one."""
    assert [] == list(combinations(scenario().matrix))


def test_a_key_can_contain_a_version_name() -> None:
    """A key can refer to a value in a version's step, whose other values stay."""
    found = _apply_only_combination(
        {"versions.two.append.sample": [0.5]}, versions=[{"name": "one", "append": {}}, _TWO]
    )
    assert found.versions[1].append is not None
    assert ("batch = 2", 0.5) == (found.versions[1].append.where, found.versions[1].append.sample)


_TWO = {"name": "two", "append": {"where": "batch = 2"}}


@pytest.mark.parametrize("bound", [{"min": 0.6}, [{"min": 0.6}]])
def test_a_bound_is_varied_with_or_without_its_list(bound: object) -> None:
    """A list with one bound is addressed like the bound itself."""
    found = _apply_only_combination(
        {"every.metrics.cv_roc_auc.min": [0.7]}, every={"metrics": {"cv_roc_auc": bound}}
    )
    assert [0.7] == [each.min for each in found.every.metrics["cv_roc_auc"]]


def test_a_key_missing_from_the_file_can_be_varied() -> None:
    """Mappings that the file lacks are added around the value."""
    assert 0.3 == _apply_only_combination({"pipeline.split.test": [0.3]}).pipeline.split.test


def test_null_in_a_matrix_removes_the_key() -> None:
    """A null in a matrix stands for a run without this key."""
    base = scenario(matrix={"pipeline.filter": [None, "heat > 3"]})
    found = [each.apply_to(base).pipeline.filter for each in combinations(base.matrix)]
    assert [None, "heat > 3"] == found
    assert [] == list(rules.check_rules(base))


def test_outer_keys_are_applied_before_inner_ones() -> None:
    """An outer key does not overwrite the value of an inner one, whatever their order in the file."""
    found = _apply_only_combination({"pipeline.model.max_iter": [7], "pipeline.model": [{"folds": 3}]})
    assert (3, 7) == (found.pipeline.model.folds, _max_iter(found))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.5, "0.5"),
        ("heat > 3", "heat > 3"),
        (True, "true"),
        (None, "null"),
        (["heat"], '["heat"]'),
        (date(2026, 3, 1), "2026-03-01"),
    ],
)
def test_a_value_is_shown_as_in_the_file(value: object, text: str) -> None:
    """Parameters are texts as in the file, which --only accepts."""
    assert text == format_value(value)


def test_64_combinations_are_allowed() -> None:
    """The maximum number of combinations is 64; bad/matrix_too_many.yaml has more."""
    matrix = {"seed": list(range(8)), "pipeline.model.max_iter": list(range(1, 9))}
    assert [] == list(rules.check_rules(scenario(matrix=matrix)))


def test_a_mistake_is_not_repeated_for_each_combination() -> None:
    """Only the mistakes that a combination adds are reported for it."""
    base = scenario(every={"metrics": {"auc": {"min": 0.5}}}, matrix={"seed": [1, 2]})
    assert 1 == len([each for each in rules.check_rules(base) if "auc" in each.message])


def test_each_combination_has_its_parameters(tmp_path: Path) -> None:
    """The parameters of a combination are its values as text, by key."""
    found = [each.parameters for each in select_combinations(loaded(tmp_path, matrix=TWO_BY_TWO))]
    assert 4 == len(found)
    assert {"seed": "1", "pipeline.model.max_iter": "50"} == found[0]


def test_only_selects_combinations(tmp_path: Path) -> None:
    """With several --only options, a combination must match all of them."""
    base = loaded(tmp_path, matrix=TWO_BY_TWO)
    assert [1, 2] == [
        each.scenario.seed for each in select_combinations(base, ["pipeline.model.max_iter=100"])
    ]
    found = select_one(base, ["pipeline.model.max_iter=100", "seed=2"])
    assert (2, 100) == (found.scenario.seed, _max_iter(found.scenario))


def test_a_scenario_without_a_matrix_is_selected_itself(tmp_path: Path) -> None:
    """A scenario without a matrix runs once, without parameters."""
    base = loaded(tmp_path)
    assert (base,) == select_combinations(base)
    assert {} == select_one(base).parameters


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("seed", "--only seed: write KEY=VALUE, such as seed=1."),
        ("sed=1", "--only sed=1: unknown key 'sed' of the matrix. Did you mean 'seed'?"),
        ("seed=3", "--only seed=3: unknown value of the matrix."),
    ],
)
def test_an_unknown_selection_is_reported(tmp_path: Path, only: str, message: str) -> None:
    """An --only option with an invalid form, an unknown key or an unknown value is reported."""
    with pytest.raises(UsageError) as raised:
        select_combinations(loaded(tmp_path, matrix=TWO_BY_TWO), [only])
    assert message == raised.value.message


def test_only_needs_a_matrix(tmp_path: Path) -> None:
    """The option --only is refused for a scenario without a matrix."""
    with pytest.raises(UsageError, match="the scenario readings has no matrix"):
        select_combinations(loaded(tmp_path), ["seed=1"])


def test_a_single_run_needs_a_single_combination(tmp_path: Path) -> None:
    """A command that runs one combination refuses several, and shows how to select one."""
    with pytest.raises(UsageError, match="matrix of 4 combinations, and this command runs one") as raised:
        select_one(loaded(tmp_path, matrix=TWO_BY_TWO))
    assert "Select one, such as: --only seed=1 --only pipeline.model.max_iter=50" == raised.value.remedy


def _outcome(verdict: Verdict) -> Outcome:
    return Outcome(result(measured("one")).model_copy(update={"verdict": verdict}), Path())


def _run_all(
    folder: Path, run: Callable[[LoadedScenario], Outcome], output: io.StringIO | None = None
) -> list[CombinationRow]:
    base = loaded(folder, matrix={"seed": [1, 2, 3]})
    settings = read_settings({"home": str(folder)})
    console = Console(file=output or io.StringIO(), width=200)
    session = Session(base, select_combinations(base), Embedded(settings), settings, console)
    return execute_all(session, lambda _session, each: run(each))


def test_the_combinations_run_one_after_the_other(tmp_path: Path) -> None:
    """Each combination is announced before it runs, and keeps its exit code."""
    verdicts = {1: Verdict.PASS, 2: Verdict.FAIL, 3: Verdict.NOT_PROVEN}
    output = io.StringIO()
    rows = _run_all(tmp_path, lambda each: _outcome(verdicts[each.scenario.seed]), output)
    assert [ExitCode.PASS, ExitCode.BOUND_FAILED, ExitCode.NOT_PROVEN] == [row.code for row in rows]
    expected = "".join(f"\nCombination {number} of 3: seed={number}\n" for number in (1, 2, 3))
    assert expected == output.getvalue()


@pytest.mark.parametrize(
    ("error", "word", "code"),
    [
        (JobError("The job broke."), "error", ExitCode.JOB_FAILED),
        (ScenarioError([Problem("No row is labeled.")]), "invalid", ExitCode.WRONG_INPUT),
    ],
)
def test_a_failed_combination_does_not_stop_the_others(
    tmp_path: Path, error: Exception, word: str, code: ExitCode
) -> None:
    """The error of one combination is shown at once, and the others still run."""

    def run(each: LoadedScenario) -> Outcome:
        if each.scenario.seed == 2:
            raise error
        return _outcome(Verdict.PASS)

    output = io.StringIO()
    rows = _run_all(tmp_path, run, output)
    assert [ExitCode.PASS, code, ExitCode.PASS] == [row.code for row in rows]
    assert (word, True) == (rows[1].verdict, str(error) in output.getvalue())


@pytest.mark.parametrize("error", [InterruptedRunError("Interrupted."), PrerequisiteError("No Java.")])
def test_an_interruption_or_missing_prerequisite_stops_all_combinations(
    tmp_path: Path, error: Exception
) -> None:
    """After Ctrl-C or a missing prerequisite, no further combination runs."""
    ran: list[int] = []

    def run(each: LoadedScenario) -> Outcome:
        ran.append(each.scenario.seed)
        raise error

    with pytest.raises(type(error)):
        _run_all(tmp_path, run)
    assert [1] == ran


def _render(rows: list[CombinationRow], width: int = 100) -> str:
    out = io.StringIO()
    show_matrix(Console(file=out, width=width), rows)
    return out.getvalue()


def _row(code: ExitCode, auc: float, **bound: Any) -> CombinationRow:
    judged = judge_versions(
        with_versions(1, metrics={"test_roc_auc": bound}), [measured("v0", test_roc_auc=auc)]
    )
    return CombinationRow({"seed": "1", "pipeline.model.max_iter": "50"}, "pass", code, judged)


def test_the_table_shows_the_bound_with_the_least_room() -> None:
    """The table shows a failed bound rather than one that holds, and keys by their last part."""
    failed = _render([_row(ExitCode.BOUND_FAILED, 0.7, min=0.69, max=0.65)])
    assert "v0: test_roc_auc <= 0.65" in failed
    assert "-0.05" in failed
    held = _render([_row(ExitCode.PASS, 0.7, min=0.69, max=0.9)])
    assert "v0: test_roc_auc >= 0.69" in held
    assert "max_iter" in held
    assert "pipeline.model" not in held
    assert "1 of 1 combination passed." in held


def test_keys_with_the_same_last_part_are_shown_in_full() -> None:
    """Keys such as ``versions.one.append.sample`` are shown in full if another one ends alike."""
    parameters = {"versions.one.append.sample": "0.5", "versions.two.append.sample": "0.1", "seed": "1"}
    output = _render([CombinationRow(parameters, "error", ExitCode.JOB_FAILED)], width=140)
    assert "versions.one.append.sample" in output
    assert "versions.two.append.sample" in output
    assert "0 of 1 combination passed." in output
