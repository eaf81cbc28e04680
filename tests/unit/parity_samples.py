"""Minimal runs for comparisons, and a lookup of one difference."""

from __future__ import annotations

from typing import Any

from harness.parity.compare import Difference, Parity
from harness.results import Result
from tests.unit import report_samples as samples

FINGERPRINT = "5" * 32
EMPTY: dict[str, Any] = {
    "metrics": {},
    "coefficients": {},
    "explanations": {},
    "intercept": None,
    "fingerprint": FINGERPRINT,
}


def run_of(**changes: Any) -> Result:
    """Return a run of one version that has little more than what is compared."""
    return samples.result((samples.version("march", 2, **(EMPTY | changes)),))


def difference_of(parity: Parity, name: str) -> Difference:
    (difference,) = (each for each in parity.differences if each.name == name)
    return difference
