"""The search for the version at which a bound began to fail, with few trainings: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds.judge import Baselines, judge
from harness.bounds.specs import depends_on_explained_rows, list_bound_specs
from harness.errors import UsageError, did_you_mean
from harness.results import BoundResult, VersionResult
from harness.scenario.bound_spec import BoundKind, BoundSpec, Reference
from harness.scenario.expectations import Expect
from harness.scenario.model import Scenario, Version
from harness.scenario.publish import Publish

MONOTONE = (
    "Assumption: once the bound fails, it fails at every later version. "
    "Versions that were not trained may differ."
)


class NotProvenError(Exception):
    """A bound that is not proven at a version."""


@dataclass(frozen=True)
class FirstFailure:
    """Two versions in a row: the last at which the bound holds, and the first at which it fails."""

    good: str
    bad: str


@dataclass(frozen=True)
class NoFirstFailure:
    """The reason why no first failing version was found."""

    reason: str


@dataclass(frozen=True)
class SearchStep:
    """A checked version, with its judged bounds."""

    version: str
    bounds: tuple[BoundResult, ...]


@dataclass(frozen=True)
class SearchResult:
    """The result of a search."""

    question: Question | None
    """None if no failing bound was found."""
    answer: FirstFailure | NoFirstFailure
    candidates: tuple[str, ...]
    """The versions that were searched, in order."""
    checks: tuple[SearchStep, ...]
    trainings: int = 0
    """How many models the search trained."""
    runs: int = 0


@dataclass(frozen=True)
class Bisection:
    """A search with its scenario."""

    scenario: Scenario
    result: SearchResult
    location: str
    """File and line of the first failing version; only the file if none was found."""


def find_first_failing(names: Sequence[str], fails: Callable[[str], bool]) -> FirstFailure | NoFirstFailure:
    """Find the first version that fails, given that all before it hold and all after it fail.

    Checks the last version, the first, and then no more than log2 of the versions in between.

    Args:
        names: The versions, in order.
        fails: Whether the bound fails at a version; each call costs a training.
    """
    if not fails(names[-1]):
        return NoFirstFailure(f"the bound holds at the last version, {names[-1]}")
    if len(names) == 1 or fails(names[0]):
        return NoFirstFailure(f"the bound fails already at the first version, {names[0]}")
    good, bad = 0, len(names) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if fails(names[middle]):
            bad = middle
        else:
            good = middle
    return FirstFailure(names[good], names[bad])


def list_steps_between(scenario: Scenario, found: FirstFailure) -> tuple[Version, ...]:
    """Return the steps after the version that holds, up to the one that fails.

    There are several if no model is trained at some of them.

    Args:
        scenario: The searched scenario.
        found: The two versions.
    """
    start, end = scenario.index_of(found.good) + 1, scenario.index_of(found.bad) + 1
    return scenario.versions[start:end]


def describe_step(version: Version) -> dict[str, Any]:
    """Return a version as the scenario file writes it, without its expectations."""
    step: dict[str, Any] = version.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"expect"}
    )
    return step


@dataclass(frozen=True)
class Question:
    """A bound by its metric and, if only one part of it is meant, its kind."""

    metric: str
    kind: BoundKind | None = None

    def __str__(self) -> str:
        return self.metric if self.kind is None else f"{self.metric}.{self.kind}"

    def selects(self, spec: BoundSpec) -> bool:
        """Return whether the question is about a bound."""
        return spec.metric == self.metric and self.kind in (None, spec.kind)


@dataclass(frozen=True)
class Inquiry:
    """The bounds of the last trained version, to be judged at any trained version."""

    scenario: Scenario
    specs: tuple[BoundSpec, ...]
    """The bounds; each change refers to the same version wherever it is judged."""
    baselines: Baselines

    @classmethod
    def from_scenario(cls, scenario: Scenario, baselines: Baselines | None = None) -> Inquiry:
        """Return the bounds of the last trained version.

        Args:
            scenario: The scenario as the file sets it.
            baselines: The numbers of other runs that bounds compare with.

        Raises:
            UsageError: No model is trained at all.
        """
        if not scenario.trained:
            raise UsageError(f"The scenario {scenario.name} trains no model, so there is nothing to search.")
        first, last = scenario.trained[0], scenario.trained[-1]
        specs = tuple(
            _fix_reference(spec, first) for spec in list_bound_specs(scenario) if spec.version == last
        )
        return cls(scenario, specs, baselines or {})

    def judge_bounds(self, name: str, measured: Mapping[str, VersionResult]) -> tuple[BoundResult, ...]:
        """Judge the bounds at a version, except those that compare with it or with a later one.

        Args:
            name: The version.
            measured: All versions measured so far by name, including this one.
        """
        specs = [
            spec.model_copy(update={"version": name})
            for spec in self.specs
            if self._is_comparable(spec.reference, name)
        ]
        return judge(specs, measured.values(), self.baselines, self.scenario.proof)

    def parse_question(self, text: str) -> Question:
        """Parse a question of the form ``METRIC`` or ``METRIC.KIND``, as in ``caught_by``.

        Raises:
            UsageError: The last version has no such bound.
        """
        questions = {str(each): each for spec in self.specs for each in _list_questions(spec)}
        if text in questions:
            return questions[text]
        known = sorted(questions)
        raise UsageError(
            f"--bound {text}: the last trained version, {self.scenario.trained[-1]}, has no such bound."
            f"{did_you_mean(text, known)}",
            remedy=f"Its bounds: {', '.join(known)}." if known else "It has no bounds.",
        )

    def select_bounds(self, question: Question | None) -> tuple[BoundSpec, ...]:
        """Return the bounds that a question is about; all of them if there is no question."""
        return tuple(spec for spec in self.specs if question is None or question.selects(spec))

    def list_references(self, question: Question | None) -> tuple[str, ...]:
        """Return the trained versions that the selected bounds compare with."""
        references = [spec.reference for spec in self.select_bounds(question)]
        names = [each.version for each in references if each is not None and each.run is None]
        return tuple(dict.fromkeys(name for name in names if name in self.scenario.trained))

    def list_candidates(self, question: Question) -> tuple[str, ...]:
        """Return the trained versions to search: none before one that the bound compares with."""
        trained = self.scenario.trained
        return trained[max((trained.index(each) for each in self.list_references(question)), default=0) :]

    def depends_on_explained_rows(self, question: Question) -> bool:
        """Return whether a bound depends on the explained rows, which the first version determines."""
        return any(depends_on_explained_rows(spec) for spec in self.select_bounds(question))

    def _is_comparable(self, reference: Reference | None, name: str) -> bool:
        if reference is None or reference.run is not None:
            return True
        return self.scenario.index_of(reference.version) < self.scenario.index_of(name)


def make_probe(scenario: Scenario, trained: Iterable[str]) -> Scenario:
    """Return the scenario up to the last of these versions, trained only at them and without bounds.

    Args:
        scenario: The scenario as the file sets it.
        trained: The versions to train at.
    """
    wanted = set(trained)
    end = max(scenario.index_of(name) for name in wanted) + 1
    return scenario.model_copy(
        update={
            "versions": tuple(
                each.model_copy(update={"train": each.name in wanted, "expect": Expect()})
                for each in scenario.versions[:end]
            ),
            "every": Expect(),
            "observe": True,
            "verdict": "pass",
            "caught_by": (),
            "matrix": {},
            "publish": Publish(when="never"),
            "approve": None,
        }
    )


def _list_questions(spec: BoundSpec) -> tuple[Question, Question]:
    return Question(spec.metric), Question(spec.metric, spec.kind)


def _fix_reference(spec: BoundSpec, first: str) -> BoundSpec:
    """Return a bound with the same reference at each version: ``previous`` becomes the first version."""
    reference = spec.reference
    if reference is not None and reference.is_positional:
        reference = Reference(version=first)
    return spec.model_copy(update={"reference": reference, "must_fail": False})
