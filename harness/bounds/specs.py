"""All bounds of a scenario and the versions that they apply to, for judging, counting and locating."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.bounds.drift import DRIFT
from harness.bounds.explanation_bounds import AGREEMENTS
from harness.bounds.quantities import NUMBERS, Number, depends_on_explanations, format_label, list_numbers
from harness.bounds.standard import CHECKS, STANDARD
from harness.bounds.text_bounds import TEXTS
from harness.errors import Location
from harness.metrics import CHAMPION_METRICS, DATA_METRICS, UNLABELLED_ROWS
from harness.scenario.bound_spec import (
    CHANGE_COMPARISONS,
    VALUE_COMPARISONS,
    BoundLocation,
    BoundSpec,
    Comparison,
    Quantity,
    Reference,
)
from harness.scenario.expectations import (
    ADDED_ROWS,
    FIRST,
    PREVIOUS,
    AgainstChampion,
    Agreement,
    Baseline,
    Bound,
    Change,
    Expect,
    Overlap,
)
from harness.scenario.model import Scenario, Version
from harness.scenario.text_checks import explain_not_earlier

CHAMPION_INPUT = "champion_input"
"""Kind and name of the bound that a version's columns fit the champion's input."""


def list_bound_specs(scenario: Scenario) -> tuple[BoundSpec, ...]:
    """Return every bound of a scenario, in the order in which they are judged.

    A bound that compares with an earlier version doesn't exist at a version without one, and a bound on added
    rows doesn't exist at the first version, whose rows are all new. A scenario that only observes has none.
    """
    if scenario.observe:
        return ()
    return tuple(
        spec for index in range(len(scenario.versions)) for spec in _VersionBounds(scenario, index).specs()
    )


def list_label_bounds(scenario: Scenario) -> tuple[BoundSpec, ...]:
    """Return a bound for each trained version that sets none on unlabelled rows: there must be none."""
    if scenario.observe:
        return ()
    names = [name for name in scenario.trained if UNLABELLED_ROWS not in scenario.expected_of(name).metrics]
    return tuple(_make_label_bound(name) for name in names)


def explain_unjudged(scenario: Scenario) -> str:
    """Explain that a run judges no bound, so that its verdict is *not proven*; empty if it judges one.

    A scenario that only observes judges nothing, and needs no explanation.
    """
    if scenario.observe or list_bound_specs(scenario):
        return ""
    remedy = "set one under 'every' or 'expect', or 'observe: true' to look without judging"
    if scenario.sets_expectations:
        return (
            "no bound is judged: those under 'every' compare with an earlier trained version, or are on rows "
            f"that it lacks, and there is none; {remedy}"
        )
    return f"no bound is judged, because the scenario sets none; {remedy}"


def find_approved_version(scenario: Scenario) -> str | None:
    """Return the name of the version that a passed run approves: the last one that has bounds.

    A later version without any is only looked at, and an earlier one is what the last one is compared with.
    """
    judged = {spec.version for spec in list_bound_specs(scenario)}
    return next((each.name for each in reversed(scenario.versions) if each.name in judged), None)


def depends_on_explained_rows(spec: BoundSpec) -> bool:
    """Return whether the bounded quantity depends on which rows are explained."""
    kind = spec.quantity.kind
    return kind in AGREEMENTS or (kind not in TEXTS and depends_on_explanations(spec.quantity))


def needs_model(spec: BoundSpec) -> bool:
    """Return whether the bounded quantity can't be measured without training a model."""
    kind, name = spec.quantity.kind, spec.quantity.name
    if kind == STANDARD:
        return CHECKS[name].needs_model
    if kind in TEXTS or kind == DRIFT:
        return False
    if kind in AGREEMENTS:
        return True
    return (
        name not in (*DATA_METRICS, *CHAMPION_METRICS)
        if kind == "metric"
        else NUMBERS[kind].needs_model and not NUMBERS[kind].needs_added
    )


def needs_champion(spec: BoundSpec) -> bool:
    """Return whether the bounded quantity can't be measured without scoring the champion."""
    return spec.quantity.name in CHAMPION_METRICS or (
        spec.reference is not None and spec.reference.is_champion
    )


@dataclass(frozen=True)
class _Limit:
    """One part of a bound on a number, such as its ``min``."""

    comparison: Comparison
    value: float
    part: Location
    tolerance: float = 0.0
    relative: bool = False
    reference: Reference | None = None


@dataclass(frozen=True)
class _VersionBounds:
    """The bounds of one version."""

    scenario: Scenario
    index: int

    def specs(self) -> Iterator[BoundSpec]:
        expect = self.scenario.expected_of(self._version_name)
        for number in list_numbers(expect):
            for index, bound in enumerate(number.bounds):
                if self.index > 0 or not (bound.on == ADDED_ROWS or number.kind.needs_added):
                    yield from self._list_number_bounds(number, index, bound)
        yield from self._list_text_bounds(expect)
        yield from self._list_drift_bounds(expect)
        yield from self._list_agreement_bounds(expect)

    @property
    def _version_name(self) -> str:
        return self.scenario.versions[self.index].name

    def _list_number_bounds(self, number: Number, index: int, bound: Bound) -> Iterator[BoundSpec]:
        quantity = number.quantity(bound.on)
        for limit in self._list_limits(bound):
            spec = BoundSpec(
                version=self._version_name,
                quantity=quantity,
                metric=format_label(quantity),
                kind=limit.comparison.kind,
                limit=limit.value,
                tolerance=limit.tolerance,
                relative=limit.relative,
                reference=limit.reference,
                location=self._locate(number.at, index, limit.part),
            )
            yield self._mark_caught(spec)

    def _list_limits(self, bound: Bound) -> Iterator[_Limit]:
        for comparison in VALUE_COMPARISONS:
            value: float | None = getattr(bound, comparison.key)
            if value is not None:
                tolerance = (bound.tolerance or 0.0) if comparison.side == "both" else 0.0
                yield _Limit(comparison, value, (comparison.key,), tolerance)
        if bound.change is not None:
            reference = self._resolve_earlier(bound.change.since)
            if reference is not None:
                yield from _list_change_limits(bound.change, "change", reference)
        if bound.baseline is not None:
            version = bound.baseline.version or self._version_name
            other = Reference(
                version=version, run=bound.baseline.source, may_differ=bound.baseline.may_differ
            )
            yield from _list_change_limits(bound.baseline, "baseline", other)
        if bound.champion is not None:
            champion = Reference(version=self._version_name, is_champion=True)
            yield from _list_change_limits(bound.champion, "champion", champion)

    def _list_text_bounds(self, expect: Expect) -> Iterator[BoundSpec]:
        previous = self._resolve_earlier(PREVIOUS)
        for text in TEXTS.values():
            if text.compares and previous is None:
                continue
            for expected in text.expected(expect):
                spec = BoundSpec(
                    version=self._version_name,
                    quantity=Quantity(kind=text.name, name=expected.name),
                    metric=expected.label or text.name,
                    kind="is",
                    limit=expected.limit,
                    expected=expected.text,
                    columns=dict(expected.columns),
                    reference=previous if text.compares else None,
                    location=self._locate((text.name,)),
                )
                yield self._mark_caught(spec)

    def _list_drift_bounds(self, expect: Expect) -> Iterator[BoundSpec]:
        for feature, bound in expect.drift.items():
            reference = self._resolve_earlier(bound.since)
            if reference is not None:
                spec = BoundSpec(
                    version=self._version_name,
                    quantity=Quantity(kind=DRIFT, name=feature),
                    metric=f"{DRIFT}({feature})",
                    kind="max",
                    limit=bound.max,
                    reference=reference,
                    location=self._locate((DRIFT, feature)),
                )
                yield self._mark_caught(spec)

    def _list_agreement_bounds(self, expect: Expect) -> Iterator[BoundSpec]:
        for agreement in AGREEMENTS.values():
            keys = ("explanations", agreement.name)
            bound = expect.value_at(keys)
            if not isinstance(bound, Overlap | Agreement):
                continue
            reference = self._resolve_earlier(bound.since)
            if reference is not None:
                k = bound.k if isinstance(bound, Overlap) else None
                spec = BoundSpec(
                    version=self._version_name,
                    quantity=Quantity(kind=agreement.name, k=k),
                    metric=agreement.label.format(k=k),
                    kind="min",
                    limit=bound.min,
                    reference=reference,
                    location=self._locate(keys),
                )
                yield self._mark_caught(spec)

    def _resolve_earlier(self, since: str) -> Reference | None:
        name = resolve_reference(self.scenario, since, self.index)
        return None if name is None else Reference(version=name, is_positional=since in (PREVIOUS, FIRST))

    def _locate(self, keys: tuple[str, ...], index: int | None = None, part: Location = ()) -> BoundLocation:
        """Return where the file sets a bound: the version's own expectations precede those of ``every``."""
        is_own = self.scenario.versions[self.index].expect.value_at(keys) is not None
        root: Location = ("versions", self.index, "expect") if is_own else ("every",)
        return BoundLocation(root=root, keys=keys, index=index, part=part)

    def _mark_caught(self, spec: BoundSpec) -> BoundSpec:
        is_caught = not {spec.name, spec.full_name}.isdisjoint(self.scenario.caught_by)
        return spec.model_copy(update={"must_fail": True}) if is_caught else spec


def make_input_bound(version: str) -> BoundSpec:
    """Return the bound that a version's columns fit the champion's input."""
    return BoundSpec(
        version=version,
        quantity=Quantity(kind=CHAMPION_INPUT),
        metric=CHAMPION_INPUT,
        kind="is",
        expected="the columns that the champion expects",
        is_implicit=True,
        location=BoundLocation(root=("champion",)),
    )


def _make_label_bound(version: str) -> BoundSpec:
    return BoundSpec(
        version=version,
        quantity=Quantity(kind="metric", name=UNLABELLED_ROWS),
        metric=UNLABELLED_ROWS,
        kind="equals",
        limit=0.0,
        is_implicit=True,
        location=BoundLocation(root=("pipeline", "label")),
    )


def _list_change_limits(
    difference: Change | Baseline | AgainstChampion, key: str, reference: Reference
) -> Iterator[_Limit]:
    for comparison in CHANGE_COMPARISONS:
        value: float | None = getattr(difference, comparison.key)
        if value is not None:
            yield _Limit(
                comparison,
                value,
                (key, comparison.key),
                relative=not isinstance(difference, AgainstChampion) and difference.relative,
                reference=reference,
            )


@dataclass(frozen=True)
class Scope:
    """Expectations of one version or of every trained version, and the versions that they apply to."""

    scenario: Scenario
    expect: Expect
    at: Location
    applies_to: tuple[int, ...]
    """Indexes of these versions."""
    index: int | None = None
    """Index of the version that sets the expectations; None for those of every trained version."""

    @property
    def version(self) -> Version | None:
        """The version that sets the expectations; None for those of every trained version."""
        return None if self.index is None else self.scenario.versions[self.index]

    @property
    def is_of_models(self) -> bool:
        """Whether the expectations can include numbers that only a model has."""
        return self.version is None or self.version.is_trained

    def explain_incomparable(self, since: str, *, needs_model: bool) -> str | None:
        """Explain why numbers can't be compared with those of a version; None if they can.

        Args:
            since: The version's name, ``previous`` or ``first``.
            needs_model: Whether the compared number is one that only a trained version has.
        """
        if since in (PREVIOUS, FIRST):
            return None if self._has_earlier() else "this is the first version."
        names = [version.name for version in self.scenario.versions]
        reason = explain_not_earlier(since, names, self._last_index())
        if reason is not None:
            if self.index is None and since == self.scenario.versions[self._last_index()].name:
                return f"no trained version comes after '{since}'."
            return reason
        named = self.scenario.versions[self.scenario.index_of(since)]
        return f"version '{since}' is not trained." if needs_model and not named.is_trained else None

    def find_compared_with_first(self, since: str) -> Version | None:
        """Return a version that is compared with the scenario's first version, if there is one."""
        compared = (index for index in self.applies_to if self._find_reference(since, index) == 0)
        return next((self.scenario.versions[index] for index in compared), None)

    def _last_index(self) -> int:
        if self.index is not None:
            return self.index
        return max(self.applies_to, default=len(self.scenario.versions) - 1)

    def _has_earlier(self) -> bool:
        """Return whether ``previous`` and ``first`` name a version."""
        return self.index is None or self._find_reference(PREVIOUS, self.index) is not None

    def _find_reference(self, since: str, index: int) -> int | None:
        name = resolve_reference(self.scenario, since, index)
        return None if name is None else self.scenario.index_of(name)


def list_scopes(scenario: Scenario) -> Iterator[Scope]:
    """Yield the expectations of each version, then those of every trained version."""
    for index, version in enumerate(scenario.versions):
        yield Scope(scenario, version.expect, ("versions", index, "expect"), (index,), index)
    trained = tuple(index for index, version in enumerate(scenario.versions) if version.is_trained)
    yield Scope(scenario, scenario.every, ("every",), trained)


def resolve_reference(scenario: Scenario, since: str, index: int) -> str | None:
    """Return the name of the version that a version is compared with; None if nothing is compared.

    Args:
        scenario: The scenario with the versions.
        since: A version's name; or ``previous`` or ``first``, which for a trained version mean trained ones.
        index: Index of the version that is compared.
    """
    versions = scenario.versions
    if since not in (PREVIOUS, FIRST):
        return None if any(each.name == since for each in versions[index:]) else since
    of_models = versions[index].is_trained
    earlier = [each.name for each in versions[:index] if each.is_trained or not of_models]
    if not earlier:
        return None
    return earlier[0] if since == FIRST else earlier[-1]
