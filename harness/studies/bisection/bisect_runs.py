"""``harness bisect``: a search for the version, and its step, at which a bound began to fail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Protocol

from rich.console import Console

from harness.errors import ExitCode
from harness.loading.loader import LoadedScenario
from harness.request import RunRequest, open_session
from harness.results import BoundResult, Result, Verdict, VersionResult
from harness.runs import BISECTION_PARAMETER
from harness.studies.bisection.search import (
    Bisection,
    FirstFailure,
    Inquiry,
    NoFirstFailure,
    NotProvenError,
    Question,
    SearchResult,
    SearchStep,
    find_first_failing,
    make_probe,
)
from harness.studies.study_runs import Runner, find_newest_result


class Measure(Protocol):
    """A function that trains at versions of a scenario or reuses stored results."""

    def __call__(self, name: str, also: Iterable[str]) -> dict[str, VersionResult]:
        """Return the results of a version, and of others that were trained with it, by name.

        Args:
            name: The version.
            also: Versions that the same run must train, as they determine what is measured.
        """


def bisect(request: RunRequest, console: Console, *, bound: str | None = None) -> Bisection:
    """Find the first version at which a bound of the last one fails.

    Args:
        request: The scenario, or one combination of its matrix, and where it runs.
        console: Shows a line per run.
        bound: ``METRIC`` or ``METRIC.KIND`` (default: the first bound that failed in the scenario's newest
            run, or else the first one that fails at the last version).

    Raises:
        HarnessError: A run broke, or there is no such bound.
    """
    session = open_session(request, console, takes_one=True)
    runner, loaded = Runner(session), session.single_combination
    inquiry = Inquiry.from_scenario(loaded.scenario, runner.resolve(loaded).baselines)
    question = inquiry.parse_question(bound) if bound is not None else None
    if question is None:
        newest = find_newest_result(session.settings.runs, loaded.scenario.name)
        question = find_first_failed_bound(newest, inquiry) if newest is not None else None
    measure = _Probes(runner, loaded)
    search_result = replace(
        search(inquiry, question, measure), trainings=measure.trainings, runs=measure.runs
    )
    return Bisection(loaded.scenario, search_result, _locate(loaded, search_result))


def search_exit_code(search_result: SearchResult) -> ExitCode:
    """Return the exit code of a search: not proven if no version was found."""
    return ExitCode.PASS if isinstance(search_result.answer, FirstFailure) else ExitCode.NOT_PROVEN


def _locate(loaded: LoadedScenario, search_result: SearchResult) -> str:
    """Return the file and line of the first failing version; only the file if there is none."""
    file = loaded.document.file
    if not isinstance(search_result.answer, FirstFailure):
        return file
    line = loaded.document.line_of(("versions", loaded.scenario.index_of(search_result.answer.bad)))
    return file if line is None else f"{file}:{line}"


def find_first_failed_bound(result: Result, inquiry: Inquiry) -> Question | None:
    """Return the first bound that failed in a run and that the last version has too, or None."""
    for bound in chain.from_iterable(version.bounds for version in result.versions):
        question = Question(bound.metric, bound.kind)
        if bound.verdict is Verdict.FAIL and inquiry.select_bounds(question):
            return question
    return None


def search(inquiry: Inquiry, question: Question | None, measure: Measure) -> SearchResult:
    """Search for the version at which a bound of the last version began to fail.

    Args:
        inquiry: The bounds of the last version.
        question: Which of them (default: the first that fails there).
        measure: Measures a version; called for as few versions as possible, once each.
    """
    trained = inquiry.scenario.trained
    checks = _Checks(inquiry, measure)
    if question is None:
        question = checks.find_first_failing_bound(trained[-1])
    if question is None:
        reason = f"no bound fails at the last version, {trained[-1]}"
        return SearchResult(None, NoFirstFailure(reason), trained, tuple(checks.seen.values()))
    candidates = inquiry.list_candidates(question)
    searched = question
    try:
        answer = find_first_failing(candidates, lambda name: checks.fails(name, searched))
    except NotProvenError as error:
        answer = NoFirstFailure(str(error))
    return SearchResult(question, answer, candidates, tuple(checks.seen.values()))


@dataclass
class _Checks:
    """The checked versions, and everything measured so far."""

    inquiry: Inquiry
    measure: Measure
    known: dict[str, VersionResult] = field(default_factory=dict)
    seen: dict[str, SearchStep] = field(default_factory=dict)

    def find_first_failing_bound(self, name: str) -> Question | None:
        """Return the first bound that fails at a version; None if all hold."""
        for bound in self._bounds(name, None):
            if bound.verdict is Verdict.FAIL:
                return Question(bound.metric, bound.kind)
        return None

    def fails(self, name: str, question: Question) -> bool:
        """Return whether the bound fails at a version.

        Raises:
            NotProvenError: The bound is not proven at this version.
        """
        bounds = tuple(each for each in self._bounds(name, question) if question.selects(each.spec))
        self.seen[name] = SearchStep(name, bounds)
        for bound in bounds:
            if bound.verdict is Verdict.NOT_PROVEN:
                raise NotProvenError(f"the bound is not proven at {name}: {bound.reason}")
        return any(bound.verdict is Verdict.FAIL for bound in bounds)

    def _bounds(self, name: str, question: Question | None) -> tuple[BoundResult, ...]:
        first = self.inquiry.scenario.trained[0]
        has_explanations = question is None or self.inquiry.depends_on_explained_rows(question)
        same_rows = (first,) if has_explanations else ()
        for needed in (*self.inquiry.list_references(question), name):
            if needed not in self.known:
                found = self.measure(needed, same_rows)
                self.known = {**found, **self.known}
        return self.inquiry.judge_bounds(name, self.known)


@dataclass
class _Probes:
    """A measurement by runs that train at one version, or by stored runs."""

    runner: Runner
    loaded: LoadedScenario
    trainings: int = 0
    runs: int = 0

    def __call__(self, name: str, also: Iterable[str]) -> dict[str, VersionResult]:
        wanted = {name, *also}
        one = replace(
            self.loaded,
            scenario=make_probe(self.loaded.scenario, wanted),
            parameters={
                **self.loaded.parameters,
                BISECTION_PARAMETER: ", ".join(sorted(wanted, key=self._index_of)),
            },
        )
        # A run of the whole scenario has trained the version, too, and explained the rows that it chooses.
        for loaded in (self.loaded, one):
            if (known := self.runner.find_known_version(loaded, name)) is not None:
                run, version = known
                self.runner.report(f"{name}: as in run {run.result.run_id}")
                return {name: version}
        result = self.runner.run(one, name)
        self.trainings += len(wanted)
        self.runs += 1
        return {each.name: each for each in result.versions if each.name in wanted}

    def _index_of(self, name: str) -> int:
        return self.loaded.scenario.index_of(name)
