"""What a run on the cloud target will cost, told from the newest one that is kept here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import NotThereError
from harness.runs import list_runs
from harness.scenario.plan import Plan
from harness.settings import DATABRICKS

_CLOUD = "databricks"


@dataclass(frozen=True)
class Cost:
    """How long the newest run on the cloud kept its cluster busy."""

    run_id: str
    minutes: float
    """From the job's start to its end, on every node: the driver counts as one."""
    nodes: int
    """The most that the cluster may have had."""

    @property
    def cluster_minutes(self) -> float:
        """Minutes times nodes; without the time that a cluster takes to start."""
        return self.minutes * self.nodes


def expected_cost(runs: Path, scenario: str) -> Cost | None:
    """The cost of a scenario's newest run on the cloud that came to a result, where there is one."""
    for folder in reversed(list_runs(runs)):
        if folder.target != _CLOUD:
            continue
        try:
            plan, result = folder.read_plan(), folder.read_result()
        except NotThereError:  # Broken off, or of another version of the harness.
            continue
        nodes = _nodes(plan)
        if result.scenario == scenario and result.failure is None and nodes is not None:
            return Cost(result.run_id, result.duration_s / 60, nodes)
    return None


def _nodes(plan: Plan) -> int | None:
    """Driver and workers at most; a cluster that was there before has as many as nobody here knows."""
    settings = {setting.name: setting.value for setting in plan.settings}
    workers = settings.get(f"{DATABRICKS}workers", "")
    if settings.get(f"{DATABRICKS}cluster_id") or not workers:
        return None
    return 1 + int(workers.rpartition("-")[2])
