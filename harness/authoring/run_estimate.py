"""How long a run will roughly take, and how much memory, before it starts.

From an earlier run of the scenario that has trained as many models; otherwise from the size of the data, by
what was measured on two cores (``docs/performance.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.plan import Plan
from harness.results import Result
from harness.runs import list_runs
from harness.scenario.model import Scenario
from harness.targets.registry import TARGETS
from harness.targets.target_definition import TargetDefinition

MEASURED_CORES = 2
UNCERTAINTY = 2
"""By how much a run may take longer or shorter than what the size of its data says."""
_START_S, _VERSION_S, _TRAINING_S = 25.0, 1.0, 10.0
"""Seconds once, per version, and per trained version, however little data there is."""
_TRAINING_S_PER_MIB = 0.5
_BASE_BYTES, _BYTES_PER_BYTE = 2 << 30, 30
"""Memory of all processes without data, and for each byte of data."""
_OUTSIDE_HEAP_BYTES = 1 << 30


@dataclass(frozen=True)
class Estimate:
    """A run's duration and memory."""

    seconds: float
    run_id: str
    """The earlier run that took so long; empty if the size of the data says so."""
    data_bytes: int | None
    """Size of the scenario's data; ``None`` if it is not known."""
    memory_bytes: int | None
    """Most memory of all processes; ``None`` if it is not known."""


def estimate_run(
    scenario: Scenario, *, trainings: int, data_bytes: int | None, heap_bytes: int, runs: Path
) -> Estimate | None:
    """Return the estimate for a run on this machine; ``None`` if nothing is known about it.

    Args:
        scenario: The scenario.
        trainings: Number of versions at which a model will be trained.
        data_bytes: Size of its data; ``None`` if it is not known.
        heap_bytes: Most memory of the JVM's heap.
        runs: Folder of earlier runs.
    """
    memory = None
    if data_bytes is not None:
        memory = min(_BASE_BYTES + _BYTES_PER_BYTE * data_bytes, heap_bytes + _OUTSIDE_HEAP_BYTES)
    earlier = _find_earlier(scenario, trainings, runs)
    if earlier is not None:
        run_id, seconds = earlier
        return Estimate(seconds, run_id, data_bytes, memory)
    if data_bytes is None:
        return None
    each = _TRAINING_S + _TRAINING_S_PER_MIB * data_bytes / 2**20
    seconds = _START_S + _VERSION_S * len(scenario.versions) + trainings * each
    return Estimate(seconds, "", data_bytes, memory)


def _find_earlier(scenario: Scenario, trainings: int, runs: Path) -> tuple[str, float] | None:
    """Return the newest local run that has trained as many models of the scenario, and its seconds."""
    for _, _, result in list_finished_runs(runs, scenario.name, lambda target: target.is_local):
        trained = [each for each in result.versions if each.run_id and not each.reused_from]
        is_whole = not result.reused_from and len(result.versions) == len(scenario.versions)
        if is_whole and len(trained) == trainings:
            return result.run_id, result.duration_s
    return None


def list_finished_runs(
    runs: Path, scenario: str, is_wanted: Callable[[TargetDefinition], bool]
) -> Iterator[tuple[TargetDefinition, Plan, Result]]:
    """Yield a scenario's finished runs on some targets, the newest first; unreadable ones are left out."""
    for folder in reversed(list_runs(runs)):
        definition = TARGETS.get(folder.target or "")
        if definition is None or not is_wanted(definition):
            continue
        try:
            plan, result = folder.read_plan(), folder.read_result()
        except PrerequisiteError:  # Interrupted, or written by another version of the harness.
            continue
        if result.scenario == scenario and result.failure is None:
            yield definition, plan, result
