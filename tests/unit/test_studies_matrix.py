"""A scenario with a matrix: its combinations, which of them run, and what they come to together."""

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
from harness.report.terminal.matrix_table import CombinationRow, show_matrix
from harness.request import Session
from harness.results import Verdict
from harness.scenario.matrix import combinations, text_of
from harness.scenario.model import Scenario
from harness.scenario.model_kinds import LogisticRegression
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from harness.workflow import Outcome, execute_all
from tests.unit.studies_samples import loaded, measured, named, result, scenario

TWO_BY_TWO = {"seed": [1, 2], "pipeline.model.max_iter": [50, 100]}


def _max_iter(found: Scenario) -> int:
    model = found.pipeline.model
    assert isinstance(model, LogisticRegression)
    return model.max_iter


def _only(matrix: dict[str, Any], **changes: Any) -> Scenario:
    """The one scenario that a matrix leads to."""
    base = scenario(matrix=matrix, **changes)
    (combination,) = combinations(base.matrix)
    return combination.applied_to(base)


def test_every_combination_is_a_scenario_without_a_matrix() -> None:
    """The last place changes fastest."""
    base = scenario(matrix=TWO_BY_TWO)
    found = [each.applied_to(base) for each in combinations(base.matrix)]
    expected = [(1, 50), (1, 100), (2, 50), (2, 100)]
    assert expected == [(each.seed, _max_iter(each)) for each in found]
    assert [{}] * 4 == [each.matrix for each in found]


def test_a_scenario_without_a_matrix_has_no_combination() -> None:
    """Not one that says nothing."""
    assert [] == list(combinations(scenario().matrix))


def test_a_version_is_named_in_a_place() -> None:
    """Its step's values are places like any other; what is said beside them stays."""
    found = _only({"versions.two.append.sample": [0.5]}, versions=[{"name": "one", "append": {}}, _TWO])
    assert found.versions[1].append is not None
    assert ("batch = 2", 0.5) == (found.versions[1].append.where, found.versions[1].append.sample)


_TWO = {"name": "two", "append": {"where": "batch = 2"}}


@pytest.mark.parametrize("bound", [{"min": 0.6}, [{"min": 0.6}]])
def test_a_bound_is_varied_with_or_without_its_list(bound: object) -> None:
    """A list of one stands for its item."""
    found = _only({"every.metrics.cv_roc_auc.min": [0.7]}, every={"metrics": {"cv_roc_auc": bound}})
    assert [0.7] == [each.min for each in found.every.metrics["cv_roc_auc"]]


def test_what_the_file_does_not_say_may_be_varied() -> None:
    """The mappings on the way there are made."""
    assert 0.3 == _only({"pipeline.split.test": [0.3]}).pipeline.split.test


def test_nothing_in_a_matrix_leaves_a_value_out() -> None:
    """With and without a filter are two runs of one scenario."""
    base = scenario(matrix={"pipeline.filter": [None, "heat > 3"]})
    found = [each.applied_to(base).pipeline.filter for each in combinations(base.matrix)]
    assert [None, "heat > 3"] == found
    assert [] == list(rules.problems(base))


def test_an_outer_place_comes_before_one_inside_it() -> None:
    """Whichever the file has first."""
    found = _only({"pipeline.model.max_iter": [7], "pipeline.model": [{"folds": 3}]})
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
def test_a_value_is_told_as_the_file_has_it(value: object, text: str) -> None:
    """Parameters are texts, by which --only takes them."""
    assert text == text_of(value)


def test_64_combinations_are_not_too_many() -> None:
    """One more is told by the file bad/matrix_too_many.yaml."""
    matrix = {"seed": list(range(8)), "pipeline.model.max_iter": list(range(1, 9))}
    assert [] == list(rules.problems(scenario(matrix=matrix)))


def test_a_mistake_of_the_scenario_is_not_told_again_for_each_combination() -> None:
    """Only what a combination adds is its own."""
    base = scenario(every={"metrics": {"auc": {"min": 0.5}}}, matrix={"seed": [1, 2]})
    assert 1 == len([each for each in rules.problems(base) if "auc" in each.message])


def test_each_combination_knows_its_parameters(tmp_path: Path) -> None:
    """As text, by place."""
    found = [each.parameters for each in select_combinations(loaded(tmp_path, matrix=TWO_BY_TWO))]
    assert 4 == len(found)
    assert {"seed": "1", "pipeline.model.max_iter": "50"} == found[0]


def test_only_leaves_the_other_combinations_out(tmp_path: Path) -> None:
    """Said twice, both must be met."""
    base = loaded(tmp_path, matrix=TWO_BY_TWO)
    assert [1, 2] == [
        each.scenario.seed for each in select_combinations(base, ["pipeline.model.max_iter=100"])
    ]
    found = select_one(base, ["pipeline.model.max_iter=100", "seed=2"])
    assert (2, 100) == (found.scenario.seed, _max_iter(found.scenario))


def test_a_scenario_without_a_matrix_is_the_one_to_run(tmp_path: Path) -> None:
    """With no parameter."""
    base = loaded(tmp_path)
    assert (base,) == select_combinations(base)
    assert {} == select_one(base).parameters


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("seed", "--only seed: not of the form KEY=VALUE, such as seed=1."),
        ("sed=1", "--only sed=1: unknown key 'sed' of the matrix. Did you mean 'seed'?"),
        ("seed=3", "--only seed=3: unknown value of the matrix."),
    ],
)
def test_only_names_what_the_matrix_has(tmp_path: Path, only: str, message: str) -> None:
    """Anything else is a mistake of the command line."""
    with pytest.raises(UsageError) as raised:
        select_combinations(loaded(tmp_path, matrix=TWO_BY_TWO), [only])
    assert message == raised.value.message


def test_only_needs_a_matrix(tmp_path: Path) -> None:
    """Without one there is nothing to choose from."""
    with pytest.raises(UsageError, match="the scenario readings has no matrix"):
        select_combinations(loaded(tmp_path), ["seed=1"])


def test_what_takes_one_run_takes_one_combination(tmp_path: Path) -> None:
    """The remedy is the option with which the first is chosen."""
    with pytest.raises(UsageError, match="matrix of 4 combinations, and this command runs one") as raised:
        select_one(loaded(tmp_path, matrix=TWO_BY_TWO))
    assert "Select one, such as: --only seed=1 --only pipeline.model.max_iter=50" == raised.value.remedy


def _outcome(verdict: Verdict) -> Outcome:
    return Outcome(result(measured("one")).model_copy(update={"verdict": verdict}), Path())


def _run_all(
    folder: Path, run: Callable[[LoadedScenario], Outcome], shown: io.StringIO | None = None
) -> list[CombinationRow]:
    base = loaded(folder, matrix={"seed": [1, 2, 3]})
    settings = read_settings({"home": str(folder)})
    console = Console(file=shown or io.StringIO(), width=200)
    session = Session(base, select_combinations(base), Embedded(settings), settings, console)
    return execute_all(session, lambda _session, each: run(each))


def test_the_combinations_run_one_after_the_other(tmp_path: Path) -> None:
    """Each is told before it begins, and keeps its own exit code."""
    verdicts = {1: Verdict.PASS, 2: Verdict.FAIL, 3: Verdict.NOT_PROVEN}
    shown = io.StringIO()
    rows = _run_all(tmp_path, lambda each: _outcome(verdicts[each.scenario.seed]), shown)
    assert [ExitCode.PASS, ExitCode.BOUND_FAILED, ExitCode.NOT_PROVEN] == [row.code for row in rows]
    expected = "".join(f"\nCombination {number} of 3: seed={number}\n" for number in (1, 2, 3))
    assert expected == shown.getvalue()


@pytest.mark.parametrize(
    ("error", "word", "code"),
    [
        (JobError("The job broke."), "error", ExitCode.JOB_FAILED),
        (ScenarioError([Problem("No row is labelled.")]), "invalid", ExitCode.WRONG_INPUT),
    ],
)
def test_one_that_breaks_ends_no_other(tmp_path: Path, error: Exception, word: str, code: ExitCode) -> None:
    """What is wrong with one combination says nothing of the next; the fault is told at once."""

    def run(each: LoadedScenario) -> Outcome:
        if each.scenario.seed == 2:
            raise error
        return _outcome(Verdict.PASS)

    shown = io.StringIO()
    rows = _run_all(tmp_path, run, shown)
    assert [ExitCode.PASS, code, ExitCode.PASS] == [row.code for row in rows]
    assert (word, True) == (rows[1].verdict, str(error) in shown.getvalue())


@pytest.mark.parametrize("error", [InterruptedRunError("Interrupted."), PrerequisiteError("No Java.")])
def test_what_ends_one_ends_all_where_it_would_end_the_next(tmp_path: Path, error: Exception) -> None:
    """Ctrl-C is meant for all, and what is not there is not there for any."""
    ran: list[int] = []

    def run(each: LoadedScenario) -> Outcome:
        ran.append(each.scenario.seed)
        raise error

    with pytest.raises(type(error)):
        _run_all(tmp_path, run)
    assert [1] == ran


def _shown(rows: list[CombinationRow], width: int = 100) -> str:
    out = io.StringIO()
    show_matrix(Console(file=out, width=width), rows)
    return out.getvalue()


def _row(code: ExitCode, auc: float, **bound: Any) -> CombinationRow:
    judged = judge_versions(named(1, metrics={"test_roc_auc": bound}), [measured("v0", test_roc_auc=auc)])
    return CombinationRow({"seed": "1", "pipeline.model.max_iter": "50"}, "pass", code, judged)


def test_the_table_has_the_bound_with_the_least_room() -> None:
    """A failed one before any other; places by their last part."""
    failed = _shown([_row(ExitCode.BOUND_FAILED, 0.7, min=0.69, max=0.65)])
    assert "v0: test_roc_auc <= 0.65" in failed
    assert "-0.05" in failed
    held = _shown([_row(ExitCode.PASS, 0.7, min=0.69, max=0.9)])
    assert "v0: test_roc_auc >= 0.69" in held
    assert "max_iter" in held
    assert "pipeline.model" not in held
    assert "1 of 1 combination passed." in held


def test_places_that_end_alike_are_told_in_full() -> None:
    """``versions.one.append.sample`` beside ``versions.two.append.sample``."""
    places = {"versions.one.append.sample": "0.5", "versions.two.append.sample": "0.1", "seed": "1"}
    shown = _shown([CombinationRow(places, "error", ExitCode.JOB_FAILED)], width=140)
    assert "versions.one.append.sample" in shown
    assert "versions.two.append.sample" in shown
    assert "0 of 1 combination passed." in shown
