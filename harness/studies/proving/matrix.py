"""Which bound of a version catches which fault, as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from harness.bounds.standard import STANDARD
from harness.errors import ExitCode
from harness.results import BoundResult, Verdict
from harness.scenario.bound_spec import BoundSpec


class FaultRow(BaseModel):
    """One fault, and which bounds caught it."""

    model_config = ConfigDict(frozen=True)

    fault: str
    meaning: str
    dose: float
    """Share of the added rows that were hit."""
    is_required: bool = False
    skipped: str = ""
    """Why the fault could not be injected; empty if it was."""
    refused: str = ""
    """Why no model can be trained on these rows: a run would end here, so the fault is caught."""
    caught_by: dict[str, str] = {}
    """Bound that failed, or was not proven, to what it found; those that don't hold without the fault are
    left out."""
    smallest_dose: float | None = None
    """The smallest dose at which a bound catches it; ``None`` if it was not searched for."""
    caught_in: int = 0
    """In how many of the repetitions it was caught."""
    repetitions: int = 1
    """With one, ``caught_in`` is not counted."""

    @property
    def is_caught(self) -> bool:
        """Whether the version would not pass, in at least nine of ten repetitions."""
        if self.repetitions > 1:
            return 10 * self.caught_in >= 9 * self.repetitions
        return bool(self.refused or self.caught_by)


class Proof(BaseModel):
    """The matrix of faults and bounds of one version of a scenario."""

    model_config = ConfigDict(frozen=True)

    scenario: str
    version: str
    run_id: str
    """The run whose table and numbers the faults were compared with."""
    holding: tuple[str, ...]
    """The bounds that were judged, and that hold without a fault."""
    left_out: tuple[str, ...] = ()
    """Bounds that need a model, although none was trained."""
    failing: tuple[str, ...] = ()
    """Bounds that don't hold even without a fault."""
    rows: tuple[FaultRow, ...]

    @property
    def idle(self) -> tuple[str, ...]:
        """Bounds that no fault made fail."""
        caught = {bound for row in self.rows for bound in row.caught_by}
        return tuple(name for name in self.holding if name not in caught)

    @property
    def missed(self) -> tuple[FaultRow, ...]:
        """Faults that were injected and that no bound caught."""
        return tuple(row for row in self.rows if not row.skipped and not row.is_caught)

    @property
    def missed_required(self) -> tuple[FaultRow, ...]:
        """Required faults that no bound caught, or that could not be injected."""
        return tuple(row for row in self.rows if row.is_required and not row.is_caught)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command: whether every required fault was caught."""
        return ExitCode.BOUND_FAILED if self.missed_required else ExitCode.PASS


@dataclass(frozen=True)
class Control:
    """The bounds of a version without any fault."""

    holding: Sequence[str]
    failing: Sequence[str]

    @classmethod
    def of(cls, bounds: Iterable[BoundResult]) -> Control:
        """Return the control for the judged bounds of the unchanged version."""
        holding: list[str] = []
        failing: list[str] = []
        for each in bounds:
            (holding if each.verdict is Verdict.PASS else failing).append(name_bound(each))
        return cls(holding, failing)

    def find_caught(self, bounds: Iterable[BoundResult]) -> dict[str, str]:
        """Return the bounds that hold for the unchanged version and don't hold now, with what they found."""
        return {
            name_bound(each): describe_finding(each)
            for each in bounds
            if each.verdict is not Verdict.PASS and name_bound(each) not in self.failing
        }


def name_bound(bound: BoundResult) -> str:
    """Return the name of a judged bound in a matrix."""
    return name_spec(bound.spec)


def name_spec(spec: BoundSpec) -> str:
    """Return the name of a bound in a matrix, such as ``rows = 10000`` or ``standard.drift``."""
    return spec.metric if spec.quantity.kind == STANDARD else f"{spec.metric} {spec.text}"


def describe_finding(bound: BoundResult) -> str:
    """Return what a bound found, as a few words."""
    if bound.verdict is Verdict.NOT_PROVEN:
        return f"not proven: {bound.reason}"
    return bound.found or ("" if bound.measured is None else f"{bound.measured:.4g}")
