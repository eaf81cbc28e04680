"""The search for the version at which a bound began to fail, on chosen numbers."""

import io
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from rich.console import Console

from harness.bounds.judge import judge_versions
from harness.errors import ExitCode, UsageError
from harness.results import VersionResult
from harness.scenario.expectations import Expect
from harness.scenario.model import Scenario
from harness.studies.bisection.bisect_runs import find_first_failed_bound, search, search_exit_code
from harness.studies.bisection.search import (
    Bisection,
    FirstFailure,
    Inquiry,
    NoFirstFailure,
    Question,
    describe_step,
    find_first_failing,
    list_steps_between,
    make_probe,
)
from harness.studies.study_tables import show_search
from tests.properties import given, st
from tests.unit.studies_samples import measured, result, scenario, with_versions


class FakeMeasure:
    """A measurement that looks values up in a table, and records its calls."""

    def __init__(self, values: Mapping[str, float | None], metric: str = "test_roc_auc") -> None:
        self.values = values
        self.metric = metric
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, name: str, also: Iterable[str]) -> dict[str, VersionResult]:
        """Return the version, and the versions that are trained with it."""
        self.calls.append((name, tuple(also)))
        return {each: self.version(each) for each in {name, *also}}

    def version(self, name: str) -> VersionResult:
        """Return a version with its number, which is also the weight of its feature heat."""
        value = self.values[name]
        return measured(name, heat=value or 0.0, **{self.metric: value})

    @property
    def names(self) -> list[str]:
        """The versions that were measured, in order."""
        return [name for name, _ in self.calls]


def _falling(count: int, first_bad: int) -> FakeMeasure:
    return FakeMeasure({f"v{number}": 0.8 if number < first_bad else 0.5 for number in range(count)})


def _inquiry(count: int, **expected: Any) -> Inquiry:
    return Inquiry.from_scenario(with_versions(count, **expected))


MIN = {"metrics": {"test_roc_auc": {"min": 0.6}}}


@given(st.integers(2, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))))
def test_the_first_failing_version_is_found_with_few_checks(size: tuple[int, int]) -> None:
    """The search checks both ends, and at most log2 of the versions between them."""
    count, first_bad = size
    checked: list[int] = []

    def fails(name: str) -> bool:
        checked.append(int(name))
        return int(name) >= first_bad

    found = find_first_failing([str(number) for number in range(count)], fails)
    assert FirstFailure(str(first_bad - 1), str(first_bad)) == found
    assert len(checked) <= 2 + math.ceil(math.log2(max(count - 1, 1)))
    assert len(checked) == len(set(checked))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_bound_that_holds_at_the_last_version_ends_the_search(count: int) -> None:
    """If the bound holds at the last version, no other version is checked."""
    checked: list[str] = []

    def fails(name: str) -> bool:
        checked.append(name)
        return False

    found = find_first_failing([str(number) for number in range(count)], fails)
    assert isinstance(found, NoFirstFailure)
    assert [str(count - 1)] == checked
    assert f"the bound holds at the last version, {count - 1}" == found.reason


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_bound_that_fails_at_the_first_version_ends_the_search(count: int) -> None:
    """If the bound fails at the first version, the search reports that it never held."""
    found = find_first_failing([str(number) for number in range(count)], lambda _name: True)
    assert NoFirstFailure("the bound fails already at the first version, 0") == found


def test_the_bound_of_the_last_version_is_judged_at_others() -> None:
    """The bound of the last of nine versions is judged at five of them."""
    measure = _falling(9, 5)
    found = search(_inquiry(9, **MIN), Question("test_roc_auc"), measure)
    assert (FirstFailure("v4", "v5"), ["v8", "v0", "v4", "v6", "v5"]) == (found.answer, measure.names)
    assert ExitCode.PASS == search_exit_code(found)


def test_the_default_is_the_first_bound_that_fails_at_the_last_version() -> None:
    """Without a specified bound, the search takes the first one that fails at the last version."""
    expected = {"metrics": {"test_pr_auc": {"max": 1}, "test_roc_auc": {"max": 0.9, "min": 0.6}}}
    measure = _falling(4, 2)
    found = search(_inquiry(4, **expected), None, measure)
    assert Question("test_roc_auc", "min") == found.question
    assert FirstFailure("v1", "v2") == found.answer
    assert len(measure.names) == len(set(measure.names))


def test_a_search_without_a_failing_bound_finds_nothing() -> None:
    """If every bound holds at the last version, one training shows it, and the exit code is 4."""
    measure = _falling(4, 99)
    found = search(_inquiry(4, **MIN), None, measure)
    assert NoFirstFailure("no bound fails at the last version, v3") == found.answer
    assert (["v3"], ExitCode.NOT_PROVEN) == (measure.names, search_exit_code(found))


def test_a_bound_that_is_not_proven_ends_the_search() -> None:
    """The search ends with a reason if the bound is not proven at a version."""
    measure = FakeMeasure({"v0": 0.8, "v1": None, "v2": 0.5})
    found = search(_inquiry(3, **MIN), Question("test_roc_auc"), measure)
    expected = (
        "the bound is not proven at v1: test_roc_auc could not be measured at v1: a score is not a number"
    )
    assert NoFirstFailure(expected) == found.answer


@pytest.mark.parametrize("since", ["previous", "first", "v0"])
def test_a_change_refers_to_the_same_version_everywhere(since: str) -> None:
    """A change is judged since the same version at each version, and each is trained once."""
    expected = {"metrics": {"test_roc_auc": {"change": {"since": since, "min": -0.1}}}}
    measure = _falling(9, 3)
    found = search(_inquiry(9, **expected), Question("test_roc_auc"), measure)
    assert FirstFailure("v2", "v3") == found.answer
    assert len(measure.names) == len(set(measure.names)) <= 6


def test_no_version_before_the_reference_is_searched() -> None:
    """The search for a change since v2 leaves out v0 and v1."""
    expected = {"metrics": {"test_roc_auc": {"change": {"since": "v2", "min": -0.1}}}}
    measure = _falling(6, 4)
    found = search(_inquiry(6, **expected), Question("test_roc_auc"), measure)
    assert FirstFailure("v3", "v4") == found.answer
    assert ("v2", "v3", "v4", "v5") == found.candidates


def test_a_bound_on_added_rows_can_be_searched() -> None:
    """A bound on added rows is judged at each version, although only that version is trained."""
    expected = {"metrics": {"test_roc_auc": {"min": 0.6, "on": "added"}}}
    values = {"v0": 0.8, "v1": 0.8, "v2": 0.5, "v3": 0.5}
    measure = FakeMeasure(values, "added_test_roc_auc")
    found = search(_inquiry(4, **expected), Question("added_test_roc_auc"), measure)
    assert FirstFailure("v1", "v2") == found.answer


def test_the_same_rows_are_explained_at_every_probe() -> None:
    """The first version, which determines the explained rows, is trained in each probe."""
    expected = {"explanations": {"weight": {"heat": {"min": 0.6}}}}
    measure = _falling(5, 3)
    found = search(_inquiry(5, **expected), Question("weight(heat)"), measure)
    assert FirstFailure("v2", "v3") == found.answer
    assert {("v0",)} == {also for _, also in measure.calls}


def test_a_baseline_is_the_same_version_everywhere() -> None:
    """The baseline of the last version is the other run's v3, and it stays the same at each version."""
    expected = {"metrics": {"test_roc_auc": {"baseline": {"from": "good", "min": -0.1}}}}
    baselines = {"good": {"v3": {"test_roc_auc": 0.8, "test_rows": 1000.0, "test_positives": 100.0}}}
    inquiry = Inquiry.from_scenario(with_versions(4, **expected), baselines)
    found = search(inquiry, Question("test_roc_auc"), _falling(4, 2))
    assert FirstFailure("v1", "v2") == found.answer


def test_a_bound_under_every_can_be_searched() -> None:
    """A bound under ``every`` applies to the last version, so it can be searched."""
    base = scenario([{"name": f"v{number}"} for number in range(4)], every=MIN)
    found = search(Inquiry.from_scenario(base), Question("test_roc_auc", "min"), _falling(4, 1))
    assert FirstFailure("v0", "v1") == found.answer


def test_untrained_versions_are_possible_causes() -> None:
    """Versions without a model are not measured, but their steps are among the possible causes."""
    versions: list[dict[str, Any]] = [
        {"name": "v0"},
        {"name": "v1", "train": False},
        {"name": "v2", "expect": MIN},
    ]
    base = scenario(versions)
    measure = _falling(3, 1)
    found = search(Inquiry.from_scenario(base), Question("test_roc_auc"), measure)
    assert (FirstFailure("v0", "v2"), ["v2", "v0"]) == (found.answer, measure.names)
    assert isinstance(found.answer, FirstFailure)
    assert ["v1", "v2"] == [each.name for each in list_steps_between(base, found.answer)]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("test_roc_auc", Question("test_roc_auc")),
        ("test_roc_auc.min", Question("test_roc_auc", "min")),
        ("test_roc_auc.change_min", Question("test_roc_auc", "change_min")),
        ("protocol.writer", Question("protocol.writer")),
        ("protocol.writer.max", Question("protocol.writer", "max")),
        ("nulls(a.b)", Question("nulls(a.b)")),
    ],
)
def test_a_bound_is_selected_as_in_caught_by(text: str, question: Question) -> None:
    """A bound is selected with or without its kind, even if the name of the quantity has a dot."""
    inquiry = _inquiry(
        2,
        metrics={"test_roc_auc": {"min": 0.6, "change": {"min": -0.1}}},
        protocol={"writer": {"max": 7}},
        nulls={"a.b": {"max": 0}},
    )
    assert (question, text) == (inquiry.parse_question(text), str(question))


@pytest.mark.parametrize(
    ("expected", "depends"),
    [
        ({"metrics": {"lime_r2_mean": {"min": 0.5}}}, True),
        ({"metrics": {"test_roc_auc": {"min": 0.5}}}, False),
        ({"explanations": {"share": {"heat": {"max": 1}}}}, True),
        ({"explanations": {"sign_agreement": {"min": 1}}}, True),
        ({"explanations": {"top_k": {"k": 1, "min": 1}}}, True),
        ({"schema": {"exact": {"id": "int"}}}, False),
        ({"rows": 300}, False),
    ],
)
def test_only_bounds_on_explanations_depend_on_the_explained_rows(
    expected: dict[str, Any], *, depends: bool
) -> None:
    """The first version is trained in each probe only if it determines what is compared."""
    inquiry = _inquiry(2, **expected)
    assert depends is inquiry.depends_on_explained_rows(Question(inquiry.specs[0].metric))


def test_a_bound_that_must_fail_is_searched_like_any_other() -> None:
    """The search ignores whether a bound must fail."""
    failing = with_versions(2, **MIN).model_copy(update={"caught_by": ("v1.test_roc_auc",)})
    assert [False] == [spec.must_fail for spec in Inquiry.from_scenario(failing).specs]


def test_an_unknown_bound_is_reported() -> None:
    """A bound that the last version lacks is reported with the nearest name and all existing bounds."""
    with pytest.raises(UsageError) as raised:
        _inquiry(3, **MIN).parse_question("test_rocauc")
    assert "the last trained version, v2, has no such bound. Did you mean 'test_roc_auc'?" in str(
        raised.value
    )
    assert "Its bounds: test_roc_auc, test_roc_auc.min." == raised.value.remedy


def test_a_scenario_without_models_or_bounds_can_not_be_searched() -> None:
    """A scenario without a trained version, or without bounds, is refused."""
    with pytest.raises(UsageError, match="trains no model"):
        Inquiry.from_scenario(scenario([{"name": "v0", "train": False}]))
    with pytest.raises(UsageError, match="It has no bounds"):
        _inquiry(2).parse_question("test_roc_auc")


def _run(base: Scenario, *aucs: float) -> tuple[VersionResult, ...]:
    versions = [measured(each.name, test_roc_auc=auc) for each, auc in zip(base.versions, aucs, strict=True)]
    return judge_versions(base, versions)


def test_the_first_failed_bound_of_a_run_is_searched() -> None:
    """The first bound that failed in a run is chosen if the last version has it too."""
    every = {"metrics": {"test_roc_auc": {"min": 0.6, "max": 0.9}}}
    base = scenario([{"name": "v0"}, {"name": "v1"}], every=every)
    inquiry = Inquiry.from_scenario(base)
    assert Question("test_roc_auc", "max") == find_first_failed_bound(result(*_run(base, 0.95, 0.5)), inquiry)
    assert find_first_failed_bound(result(*_run(base, 0.7, 0.7)), inquiry) is None


def test_a_bound_of_an_earlier_version_is_not_searched() -> None:
    """A failed bound that the last version lacks is not chosen."""
    base = scenario([{"name": "v0", "expect": MIN}, {"name": "v1"}])
    assert find_first_failed_bound(result(*_run(base, 0.5, 0.5)), Inquiry.from_scenario(base)) is None


def test_a_probe_builds_up_to_its_version_and_trains_it_alone() -> None:
    """A probe has no bounds, no expected failure, and publishes nothing."""
    base = with_versions(4, **MIN).model_copy(update={"verdict": "fail", "caught_by": ("v3.test_roc_auc",)})
    found = make_probe(base, ["v2", "v0"])
    assert ["v0", "v1", "v2"] == [each.name for each in found.versions]
    assert (("v0", "v2"), "never", "pass", ()) == (
        found.trained,
        found.publish.when,
        found.verdict,
        found.caught_by,
    )
    assert [Expect()] * 4 == [each.expect for each in make_probe(base, ["v3"]).versions]


def test_a_step_is_shown_as_in_the_file() -> None:
    """A step is shown without its expectations."""
    (version,) = scenario([{"name": "v0", "append": {"shuffle": "outcome"}, "expect": MIN}]).versions
    assert {"name": "v0", "append": {"shuffle": "outcome"}} == describe_step(version)


def _render(base: Scenario, measure: FakeMeasure, question: Question | None = None) -> str:
    out = io.StringIO()
    found = search(Inquiry.from_scenario(base), question, measure)
    show_search(Console(file=out, width=100), Bisection(base, found, "scenarios/readings.yaml:31"))
    return out.getvalue()


def test_the_first_failing_version_is_shown_with_its_step() -> None:
    """The output has each checked version with its value, the step as YAML, and the assumption."""
    output = _render(with_versions(9, **MIN), _falling(9, 5), Question("test_roc_auc"))
    for text in (
        "test_roc_auc holds at v4 and fails at v5: scenarios/readings.yaml:31",
        "- name: v5\n    append: {where: batch = 5}",
        "not checked",
        "0.5000",
        "training at every version would take 9",
        "once the bound fails, it fails at every later version",
    ):
        assert text in output, output


def test_a_search_that_finds_nothing_shows_the_reason() -> None:
    """A search without a result shows the reason, and no step."""
    output = _render(with_versions(3, **MIN), _falling(3, 99))
    assert "Not found: no bound fails at the last version, v2." in output
    assert "append" not in output
