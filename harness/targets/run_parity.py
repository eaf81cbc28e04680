"""Comparison of runs on registered targets: the definitions decide on tolerances and gaps."""

from __future__ import annotations

from harness.parity.compare import LOCAL_AGAINST_CLOUD, Parity, Tolerances, compare
from harness.results import Result
from harness.targets.registry import TARGETS, is_local


def compare_runs(a: Result, b: Result, tolerances: Tolerances | None = None) -> Parity:
    """Compare two runs, as :func:`harness.parity.compare.compare` does.

    Args:
        a: One run.
        b: The other run.
        tolerances: Tolerances (default: the usual ones of the two runs' targets).
    """
    usual = choose_tolerances(a.target, b.target)
    return compare(a, b, tolerances or usual, gaps=list_gaps(a.target, b.target))


def choose_tolerances(target_a: str, target_b: str) -> Tolerances:
    """Return the tolerances between two targets, which are wider between a local and a cloud one."""
    return Tolerances() if is_local(target_a) == is_local(target_b) else LOCAL_AGAINST_CLOUD


def list_gaps(target_a: str, target_b: str) -> tuple[str, ...]:
    """Return what a local run can't prove about a cloud run; nothing if both or neither are local."""
    if is_local(target_a) == is_local(target_b):
        return ()
    return TARGETS[target_b if is_local(target_a) else target_a].gaps
