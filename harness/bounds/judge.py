"""Bounds held against what was measured: pure functions, used by the job and by the command line.

What could not be measured, or can't be compared, is not proven, and that is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from harness.bounds import arithmetic, explanation_bounds, text_bounds
from harness.bounds.measured_values import Value, proven, value_of
from harness.bounds.quantities import numbers
from harness.metrics import ADDED
from harness.results import BoundResult, Measured, Verdict, VersionResult
from harness.scenario.expectations import (
    FIRST,
    PREVIOUS,
    Agreement,
    Baseline,
    Bound,
    Expect,
    Explanations,
    Overlap,
)
from harness.scenario.model import Scenario

Baselines = Mapping[str, Mapping[str, Mapping[str, Measured]]]
"""Other runs, as the scenario names them: their versions, and the numbers of each by name."""


def judge_versions(
    scenario: Scenario, measured: Sequence[VersionResult], baselines: Baselines | None = None
) -> tuple[VersionResult, ...]:
    """Every measured version with its bounds judged, in order.

    Args:
        scenario: What must hold.
        measured: What was found.
        baselines: What other runs have found, where bounds name some.
    """
    judge = _Judge(scenario, {version.name: version for version in measured}, baselines or {})
    return tuple(version.model_copy(update={"bounds": tuple(judge.version(version))}) for version in measured)


def overall(bounds: Iterable[BoundResult]) -> Verdict:
    """The worst of all outcomes; a failed bound outweighs one that is not proven."""
    outcomes = {bound.outcome for bound in bounds}
    for verdict in (Verdict.FAIL, Verdict.NOT_PROVEN):
        if verdict in outcomes:
            return verdict
    return Verdict.PASS


def all_hold(bounds: Iterable[BoundResult]) -> bool:
    """Whether every bound holds by itself, also one by which the scenario must come to fail."""
    return all(bound.verdict is Verdict.PASS for bound in bounds)


@dataclass(frozen=True)
class _Judge:
    """Holds versions against what a scenario expects of them."""

    scenario: Scenario
    versions: Mapping[str, VersionResult]
    """What was measured, by the versions' names."""
    baselines: Baselines

    def version(self, version: VersionResult) -> Iterator[BoundResult]:
        """Every bound of one version; those by which the scenario must come to fail are marked."""
        for bound in self._expected(self.scenario.expected_of(version.name), version):
            name = f"{version.name}.{bound.metric}"
            must_fail = not {name, f"{name}.{bound.kind}"}.isdisjoint(self.scenario.caught_by)
            yield bound.model_copy(update={"must_fail": must_fail})

    def _expected(self, expect: Expect, version: VersionResult) -> Iterator[BoundResult]:
        for number in numbers(expect):
            for bound in number.bounds:
                yield from self._number(number.name, bound, version)
        if expect.columns is not None:
            yield from text_bounds.schema(expect.columns, version)
        if expect.operation is not None:
            yield text_bounds.operation(expect.operation, version)
        if expect.same_data_as is not None:
            yield text_bounds.same_data(expect.same_data_as, version, self.versions.get(expect.same_data_as))
        if expect.explanations is not None:
            yield from self._explanations(expect.explanations, version)

    def _number(self, metric: str, bound: Bound, version: VersionResult) -> Iterator[BoundResult]:
        """Each part of one bound on one number by itself."""
        if bound.on == "added":
            if self.scenario.index_of(version.name) == 0:
                return  # All its rows are new.
            metric = ADDED + metric
        now = self._value(metric, version.name)
        yield from arithmetic.values(metric, bound, now)
        if bound.change is not None:
            since = self._since(bound.change.since, version.name)
            if since is not None:
                yield from arithmetic.changes(metric, bound.change, now, self._value(metric, since), since)
        if bound.baseline is not None:
            yield from self._against(bound.baseline, metric, now, version.name)

    def _value(self, metric: str, name: str) -> Value:
        version = self.versions.get(name)
        if version is None:
            return Value(None, f"version {name} was not measured")
        return proven(metric, partial(value_of, version=version), name)

    def _against(self, said: Baseline, metric: str, now: Value, name: str) -> Iterator[BoundResult]:
        """What is said of the difference to another run."""
        name = said.version or name
        since = f"{name} of {said.source}"
        run = self.baselines.get(said.source, {})
        before = Value(None, f"the run {said.source} has no version {name}")
        if name in run:
            before = proven(metric, run[name].get, since)
        yield from arithmetic.changes(metric, said, now, before, since)

    def _explanations(self, said: Explanations, version: VersionResult) -> Iterator[BoundResult]:
        """How far the explanations agree with an earlier version's."""
        top, signs, ranks = said.top_k, said.sign_agreement, said.rank_correlation
        if top is not None:
            overlap = partial(explanation_bounds.top_overlap, k=top.k)
            yield from self._agree(f"top_{top.k}_overlap", top, version, overlap)
        if signs is not None:
            yield from self._agree("sign_agreement", signs, version, explanation_bounds.sign_agreement)
        if ranks is not None:
            yield from self._agree("rank_correlation", ranks, version, explanation_bounds.rank_correlation)

    def _agree(
        self, metric: str, said: Overlap | Agreement, version: VersionResult, how: explanation_bounds.How
    ) -> Iterator[BoundResult]:
        since = self._since(said.since, version.name)
        if since is not None:
            value = _agreement(version, since, self.versions.get(since), how)
            yield arithmetic.at_least(metric, value, said.min, since)

    def _since(self, since: str, name: str) -> str | None:
        """The version that a version is compared with; none where no such version comes before it."""
        every = [version.name for version in self.scenario.versions]
        if since not in (PREVIOUS, FIRST):
            return since if since not in every[every.index(name) :] else None
        trained = self.scenario.trained
        peers = trained if name in trained else every
        place = peers.index(name)
        if place == 0:
            return None
        return peers[0] if since == FIRST else peers[place - 1]


def _agreement(
    version: VersionResult, since: str, earlier: VersionResult | None, how: explanation_bounds.How
) -> Value:
    if earlier is None:
        return Value(None, f"version {since} was not measured")
    for each in (version, earlier):
        if not each.explanations:
            return Value(None, f"version {each.name} has no explanations")
    number = how(version.explanations, earlier.explanations)
    few = f"the explanations of {version.name} and {since} have too few features in common"
    return Value(number, few if number is None else "")
