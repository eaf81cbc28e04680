"""One bound of a scenario as data, and each kind of comparison of a number with its limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, assert_never

from pydantic import Field

from harness.errors import Location
from harness.scenario.model_base import ScenarioPart

BoundKind = Literal["min", "max", "equals", "change_min", "change_max", "is"]
"""``is`` compares a text, such as a Delta operation; all others compare a number with a limit."""
Side = Literal["min", "max", "both"]
"""Which side of the numbers is limited; ``both`` if the number must equal the limit, up to a tolerance."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of a number with its limit by one kind of bound."""

    kind: BoundKind
    key: str
    """Its key in the scenario file."""
    sign: str
    """As reports write it."""
    side: Side
    is_change: bool = False
    """Whether it compares the difference to an earlier version or to another run, not the number itself."""

    def distance(self, measured: Decimal, limit: Decimal, tolerance: Decimal) -> Decimal:
        """Return how far inside the limit a number is; negative if it is outside."""
        match self.side:
            case "min":
                return measured - limit
            case "max":
                return limit - measured
            case "both":
                return tolerance - abs(measured - limit)
            case _:
                assert_never(self.side)

    def interval(self, limit: float, tolerance: float) -> tuple[float, float]:
        """Return the smallest and the largest number that meet the bound."""
        match self.side:
            case "min":
                return limit, math.inf
            case "max":
                return -math.inf, limit
            case "both":
                return limit - tolerance, limit + tolerance
            case _:
                assert_never(self.side)


_ALL = (
    Comparison("min", "min", ">=", "min"),
    Comparison("max", "max", "<=", "max"),
    Comparison("equals", "equals", "=", "both"),
    Comparison("change_min", "min", ">=", "min", is_change=True),
    Comparison("change_max", "max", "<=", "max", is_change=True),
)
COMPARISONS: Mapping[BoundKind, Comparison] = {each.kind: each for each in _ALL}
"""Every kind of bound on a number, in the order in which the parts of one bound are judged."""
VALUE_COMPARISONS = tuple(each for each in _ALL if not each.is_change)
"""The comparisons that apply to the number itself."""
CHANGE_COMPARISONS = tuple(each for each in _ALL if each.is_change)
"""The comparisons that apply to a difference, in ``change`` and ``baseline``."""
LIMITS_OF_VALUES = ", ".join(each.key for each in VALUE_COMPARISONS)
LIMITS_OF_CHANGES = " or ".join(each.key for each in CHANGE_COMPARISONS)
"""The keys of these limits, as messages list them."""


class Quantity(ScenarioPart):
    """The quantity of a version that is bounded."""

    kind: str
    """Such as ``metric``, ``rows``, ``nulls``, ``schema`` or ``top_k``."""
    name: str = ""
    """The metric, the column or the feature, if there are several of the kind."""
    on_added: bool = False
    """Whether the file bounds the rows that the version added with ``on: added``."""
    segment: str = ""
    """The segment that the metric is measured on; empty for all held-out rows."""
    k: int | None = None
    """How many features are compared, of ``top_k``."""


class Reference(ScenarioPart):
    """The version that a number is compared with: an earlier one, or one of another run."""

    version: str
    run: str | None = None
    """The run, as the file names it; None for a version of the same run."""
    is_positional: bool = False
    """Whether the file names the version by its position: ``previous`` or ``first``."""
    may_differ: tuple[str, ...] = ()
    """What may differ in the other run."""
    is_champion: bool = False
    """Whether it is the champion, at the same version."""

    @property
    def text(self) -> str:
        """The reference as reports write it."""
        if self.is_champion:
            return "the champion"
        return self.version if self.run is None else f"{self.version} of {self.run}"


class BoundLocation(ScenarioPart):
    """The location of a bound in the scenario file."""

    root: Location = ()
    """The version's ``expect``, or ``every``; empty in results that did not record it."""
    keys: tuple[str, ...] = ()
    """The bounded quantity below the root, such as ``("metrics", "test_f1")``."""
    index: int | None = None
    """Which of the bounds on one number; None for a quantity that is bounded once."""
    part: Location = ()
    """Below that bound, such as ``("change", "min")``."""

    @property
    def path(self) -> Location:
        """The whole path from the file's root."""
        index = () if self.index is None else (self.index,)
        return (*self.root, *self.keys, *index, *self.part)


class BoundSpec(ScenarioPart):
    """One bound of one version, as the scenario sets it."""

    version: str
    quantity: Quantity
    metric: str
    """The quantity's name in reports, in ``caught_by`` and for ``bisect``."""
    kind: BoundKind
    limit: float | None = None
    """What the number is compared with; None for a text."""
    tolerance: float = 0.0
    relative: bool = False
    """Whether a change is a share of the earlier value."""
    expected: str = ""
    """The expected text."""
    columns: dict[str, str] = Field(default_factory=dict)
    """The expected columns and their types, of a schema."""
    reference: Reference | None = None
    must_fail: bool = False
    """Whether ``caught_by`` names it: the scenario passes only if this bound fails."""
    is_implicit: bool = False
    """Whether every trained version has it, without the file setting it; results have it only if it fails."""
    location: BoundLocation = BoundLocation()

    @property
    def name(self) -> str:
        """The name by which ``caught_by`` selects it, together with all other kinds on the same quantity."""
        return f"{self.version}.{self.metric}"

    @property
    def full_name(self) -> str:
        """The name by which ``caught_by`` selects only this kind."""
        return f"{self.name}.{self.kind}"

    @property
    def comparison(self) -> Comparison | None:
        """How a number is compared with the limit; None for a text."""
        return COMPARISONS.get(self.kind)

    @property
    def is_change(self) -> bool:
        """Whether it bounds a difference, not a number or a text itself."""
        return self.comparison is not None and self.comparison.is_change

    @property
    def since(self) -> str | None:
        """The reference as reports write it."""
        return None if self.reference is None else self.reference.text

    @property
    def limit_text(self) -> str:
        """The bound without its reference, such as ``>= 0.6``."""
        if self.comparison is None or self.limit is None:
            return f"= {self.expected}"
        value = f"{100 * self.limit:.6g} %" if self.relative else f"{self.limit:.6g}"
        tolerance = f" ± {self.tolerance:g}" if self.tolerance else ""
        return f"{self.comparison.sign} {value}{tolerance}"

    @property
    def text(self) -> str:
        """The bound as a person writes it, such as ``>= -0.1 since january``."""
        if self.reference is None:
            return self.limit_text
        is_earlier = self.reference.run is None and not self.reference.is_champion
        relation = "since" if is_earlier else "compared with"
        return f"{self.limit_text} {relation} {self.reference.text}"

    def to_mapping(self) -> dict[str, object]:
        """Return the bound as the scenario file writes it at ``location.keys``."""
        if self.comparison is None or self.limit is None:
            return {}
        limit: dict[str, object] = {self.comparison.key: self.limit}
        if self.comparison.side == "both":
            limit["tolerance"] = self.tolerance
        relative = {"relative": True} if self.relative else {}
        rows = "added" if self.quantity.on_added else self.quantity.segment
        on = {"on": rows} if rows else {}
        match self.reference:
            case None:
                return {**limit, **on}
            case Reference(is_champion=True):
                return {"champion": limit, **on}
            case Reference(version=version, run=str(run), may_differ=aspects):
                may_differ = {"may_differ": list(aspects)} if aspects else {}
                return {
                    "baseline": {"from": run, "version": version, **may_differ, **relative, **limit},
                    **on,
                }
            case Reference(version=version) if self.is_change:
                return {"change": {"since": version, **relative, **limit}, **on}
            case Reference(version=version):
                k = {} if self.quantity.k is None else {"k": self.quantity.k}
                return {**k, "since": version, **limit}
