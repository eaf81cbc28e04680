"""The kinds of numbers that can be bounded: their keys in the file, their measurement, their domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.bounds.measured_values import (
    NO_ADDED_ROWS,
    measure_coefficient,
    measure_new_values,
    measure_null_share,
    measure_positives,
    measure_reader_version,
    measure_repeated_rows,
    measure_share,
    measure_weight,
    measure_writer_version,
)
from harness.metrics import (
    ANY_NUMBER,
    CHAMPION_METRICS,
    COUNTS,
    EXPLANATION_METRICS,
    METRICS,
    SHARES,
    Domain,
    name_on_added,
)
from harness.results import MeasuredValue, VersionResult
from harness.scenario.bound_spec import Quantity
from harness.scenario.expectations import ADDED_ROWS, ALL_ROWS, Bounds, Expect

_PROTOCOLS = Domain(1.0, is_whole=True)


@dataclass(frozen=True)
class NumberKind:
    """A kind of number of a version that can be bounded."""

    name: str
    """The kind's name, such as ``nulls``."""
    keys: tuple[str, ...]
    """The keys of its bounds below ``expect`` or ``every``."""
    measure: Callable[[VersionResult, str], MeasuredValue]
    """Returns the number of a version; the name selects one if there are several of the kind."""
    domain: Domain | None
    """The values that it can take; None if that depends on its name."""
    label: str
    """Its name in reports; ``{name}`` stands for its own."""
    is_named: bool = False
    """Whether there are several of the kind: one for each metric, column or feature."""
    needs_model: bool = False
    """Whether only a trained version has it."""
    needs_explanations: bool = False
    """Whether it comes from the explanations of single rows."""
    needs_added: bool = False
    """Whether it is of the rows that a version added, so that the first version doesn't have it."""


_ALL = (
    NumberKind("rows", ("rows",), lambda version, _: float(version.rows), COUNTS, "rows"),
    NumberKind("null_keys", ("null_keys",), lambda version, _: float(version.null_keys), COUNTS, "null_keys"),
    NumberKind(
        "duplicate_keys",
        ("duplicate_keys",),
        lambda version, _: float(version.duplicate_keys),
        COUNTS,
        "duplicate_keys",
    ),
    NumberKind("nulls", ("nulls",), measure_null_share, SHARES, "nulls({name})", is_named=True),
    NumberKind(
        "protocol.reader", ("protocol", "reader"), measure_reader_version, _PROTOCOLS, "protocol.reader"
    ),
    NumberKind(
        "protocol.writer", ("protocol", "writer"), measure_writer_version, _PROTOCOLS, "protocol.writer"
    ),
    NumberKind(
        "positives",
        ("positives",),
        measure_positives,
        SHARES,
        "positives",
        needs_model=True,
        needs_added=True,
    ),
    NumberKind(
        "new_values",
        ("new_values",),
        measure_new_values,
        SHARES,
        "new_values({name})",
        is_named=True,
        needs_model=True,
        needs_added=True,
    ),
    NumberKind(
        "repeated_rows",
        ("repeated_rows",),
        measure_repeated_rows,
        SHARES,
        "repeated_rows",
        needs_model=True,
        needs_added=True,
    ),
    NumberKind(
        "metric",
        ("metrics",),
        lambda version, name: version.metrics.get(name),
        None,
        "{name}",
        is_named=True,
        needs_model=True,
    ),
    NumberKind(
        "coefficient",
        ("coefficients",),
        measure_coefficient,
        ANY_NUMBER,
        "coefficient({name})",
        is_named=True,
        needs_model=True,
    ),
    NumberKind(
        "weight",
        ("explanations", "weight"),
        measure_weight,
        ANY_NUMBER,
        "weight({name})",
        is_named=True,
        needs_model=True,
        needs_explanations=True,
    ),
    NumberKind(
        "share",
        ("explanations", "share"),
        measure_share,
        SHARES,
        "share({name})",
        is_named=True,
        needs_model=True,
        needs_explanations=True,
    ),
)
NUMBERS: Mapping[str, NumberKind] = {each.name: each for each in _ALL}
"""Every kind of number that can be bounded, in the order in which bounds are judged."""


@dataclass(frozen=True)
class Number:
    """One bounded number."""

    kind: NumberKind
    own_name: str
    """The metric, the column or the feature; empty if there is only one number of the kind."""
    bounds: Bounds

    @property
    def name(self) -> str:
        """Its name in reports."""
        return self.kind.label.format(name=self.own_name)

    @property
    def at(self) -> tuple[str, ...]:
        """The keys of its bounds below ``expect`` or ``every``."""
        return (*self.kind.keys, self.own_name) if self.kind.is_named else self.kind.keys

    @property
    def domain(self) -> Domain:
        """The values that it can take."""
        return _find_domain(self.own_name) if self.kind.domain is None else self.kind.domain

    @property
    def needs_model(self) -> bool:
        """Whether only a trained version has it."""
        return self.kind.needs_model and self.own_name not in CHAMPION_METRICS

    def quantity(self, on: str) -> Quantity:
        """Return what a bound is on: the number itself, or that of only the added rows or of a segment."""
        if on == ADDED_ROWS:
            return Quantity(kind=self.kind.name, name=name_on_added(self.own_name), on_added=True)
        segment = "" if on == ALL_ROWS else on
        return Quantity(kind=self.kind.name, name=self.own_name, segment=segment)


def list_numbers(expect: Expect) -> Iterator[Number]:
    """Yield every bounded number."""
    for kind in _ALL:
        bounds: Any = expect.value_at(kind.keys)
        if kind.is_named:
            yield from (Number(kind, name, of_name) for name, of_name in (bounds or {}).items())
        elif bounds is not None:
            yield Number(kind, "", bounds)


def format_label(quantity: Quantity) -> str:
    """Return the name of a number in reports, such as ``nulls(dti)``."""
    label = NUMBERS[quantity.kind].label.format(name=quantity.name)
    return f"{label} on {quantity.segment}" if quantity.segment else label


def measure_quantity(quantity: Quantity, version: VersionResult) -> MeasuredValue:
    """Return one number of a version; None if it was not measured, or is not a number of one version."""
    kind = NUMBERS.get(quantity.kind)
    return None if kind is None else kind.measure(version, quantity.name)


def explain_missing_number(quantity: Quantity, version: VersionResult) -> str:
    """Return why a number of a feature or a column doesn't exist; empty if it is of another kind."""
    kind = NUMBERS.get(quantity.kind)
    if kind is not None and kind.needs_added:
        return _explain_missing_on_added(version)
    match quantity.kind:
        case "metric" if quantity.name in CHAMPION_METRICS:
            reason = explain_champion(version)
        case "nulls":
            reason = f"the version has no column '{quantity.name}'"
        case "coefficient":
            reason = f"the model has no coefficient of '{quantity.name}'"
        case "weight" | "share":
            has_none = quantity.name not in version.explanations
            zero = "all weights are 0: the prediction doesn't depend on any feature"
            reason = f"no explanation has a weight of '{quantity.name}'" if has_none else zero
        case "protocol.reader" | "protocol.writer":
            reason = "its commit is unknown"
        case _:
            reason = ""
    return reason


def _explain_missing_on_added(version: VersionResult) -> str:
    if version.added is None:
        return NO_ADDED_ROWS
    return "no row was added" if not version.added.added.rows else "no added row has a label"


def explain_champion(version: VersionResult) -> str:
    """Return why a champion's number is missing, as the rest of a sentence; empty if that isn't known."""
    champion = version.champion
    if champion is None:
        return "the champion was not scored"
    if champion.input_problems:
        return f"the version breaks the champion's input: {'; '.join(champion.input_problems)}"
    return champion.reason


def rests_on_weights(quantity: Quantity) -> bool:
    """Return whether a number is made of the weights of features, which mean nothing in a bad fit."""
    return NUMBERS[quantity.kind].needs_explanations


def depends_on_explanations(quantity: Quantity) -> bool:
    """Return whether a number comes from the explanations of single rows."""
    kind = NUMBERS.get(quantity.kind)
    return (kind is not None and kind.needs_explanations) or quantity.name in EXPLANATION_METRICS


def _find_domain(metric: str) -> Domain:
    definition = METRICS.get(metric)
    return ANY_NUMBER if definition is None else definition.domain
