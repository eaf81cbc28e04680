"""A run that is submitted to the stand-in and followed; its job is quick, without Spark."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from databricks.sdk import WorkspaceClient

from harness.events import Event
from harness.files import sha256_of, write_text
from harness.plan import Plan, SourceData
from harness.results import Result
from harness.runs import PLAN
from harness.settings import read_settings
from harness.targets.databricks.databricks_target import Databricks
from tests.databricks.command import FILES
from tests.databricks.standin.server import StandIn
from tests.embedded.runner import make_plan
from tests.embedded.small import SMALL, write_table
from tests.unit import report_samples as samples

RUN = "20261123-120000-small-0001"
FAILS = "raise ValueError('the readings are upside down')"
# Writes a line of progress and a result, as the job does.
PASSES = """
import json, pathlib, sys
plan, result, events = map(pathlib.Path, sys.argv[1:])
events.write_text({events!r})
result.write_text({result!r})
for name, text in {files!r}.items():
    file = result.parent / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
"""


@dataclass
class Bench:
    """A target on the stand-in, and its output."""

    workspace: StandIn
    target: Databricks
    plan: Plan
    folder: Path
    messages: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def run(self, text: str) -> None:
        """Submit a "wheel" with this text and follow the run."""
        content = hashlib.sha256(text.encode()).hexdigest()[:12]
        wheel = self.folder / f"dataset_harness-0.1.0+{content}-py3-none-any.whl"
        wheel.write_text(text, encoding="utf-8")
        self.target.__dict__["_wheel"] = wheel
        self.target.prepare(self.plan)
        self.target.run(self.folder, self.events.append)

    def left_behind(self) -> list[str]:
        """Return all files of the run itself that are still in the volume."""
        return [str(path) for path in self.workspace.volumes.rglob("runs/*/*") if path.is_file()]

    def is_quiet(self) -> bool:
        """Return whether all runs, and their clusters, have ended."""
        created = {task.cluster_id for run in self.workspace.runs.values() for task in run.tasks}
        states = [self.workspace.clusters[each].state for each in created if each]
        return all(state is not None and state.value == "TERMINATED" for state in states)


def make_bench(quick: StandIn, home: Path, client: WorkspaceClient, *, keep: bool = False) -> Bench:
    """Return a bench with another client."""
    environ = {"HARNESS_TARGETS_DATABRICKS_FILES": FILES, "HARNESS_HOME": str(home)}
    messages: list[str] = []
    target = Databricks(read_settings(folder=home, environ=environ), messages.append, keep=keep)
    target.__dict__["workspace"] = client
    table = write_table(home)
    source = SourceData(uri=str(table), format="csv", sha256=sha256_of(table))
    planned = make_plan(SMALL, table, home, RUN)
    plan = planned.model_copy(
        update={"sources": dict.fromkeys(planned.sources, target.locate_source(source))}
    )
    folder = home / "runs" / RUN
    write_text(folder / PLAN, plan.model_dump_json(by_alias=True))
    return Bench(quick, target, plan, folder, messages)


def successful_program(result: Result | None = None, files: Mapping[str, str] | None = None) -> str:
    """Return a job that writes a result of the submitted wheel, and files next to it."""
    written = (result or samples.result()).model_copy(update={"libraries": {"harness": "0"}})
    return PASSES.format(
        events=Event("ingest", "done").to_line() + "\n",
        result=written.model_dump_json(by_alias=True),
        files=dict(files or {}),
    )
