"""Replay: one version of an earlier run is trained again, from what MLflow has of it, and compared.

The scenario of the replay reads the same versions of the same table. It is written to a folder, so that it is
loaded, checked and run as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.errors import ExitCode
from harness.files import write_text
from harness.plan import Plan
from harness.request import RunRequest, open_session
from harness.resolve import resolve_plan
from harness.results import MEASURED_IN_TRAINING, Result, Verdict, VersionResult
from harness.settings import Settings
from harness.targets.run_parity import compare_runs
from harness.tracked_names import BEFORE_TAG, HARNESS_TAG, LIBRARIES_TAG, PATH_TAG, RUN_TAG, TARGET_TAG
from harness.tracking.lineage import open_client, require_store
from harness.tracking.tracked_trainings import TrackedTraining, read_training
from harness.views.yaml_text import format_yaml
from harness.workflow import measure

if TYPE_CHECKING:
    from rich.console import Console

_JUDGING = (
    "every",
    "matrix",
    "prove",
    "caught_by",
    "verdict",
    "description",
    "observe",
    "publish",
    "approve",
    "champion",
)
"""Keys of a scenario that a replay doesn't need."""


def replay(tracked: Settings, run_id: str, target: str | None, console: Console) -> ExitCode:
    """Train one version of an earlier run again, compare it with what was measured, and show both.

    Args:
        tracked: Settings that locate the MLflow that has the run.
        run_id: The version's run in MLflow.
        target: Where to train it (default: the target of the run).
        console: Shows progress and the comparison.

    Raises:
        HarnessError: It can't be replayed; the exception has the reason and the exit code.
    """
    from harness.report.terminal.verdict_summary import show_parity

    require_store(tracked["tracking_uri"])
    with (
        TemporaryDirectory(prefix="harness-replay-") as folder,
        open_client(tracked["tracking_uri"]) as client,
    ):
        training = read_training(client, run_id, Path(folder))
    file = write_scenario(training, tracked.home / "replays" / run_id)
    target = target or training.tags.get(TARGET_TAG) or None
    session = open_session(RunRequest(str(file), target, fresh=True), console, takes_one=True)
    loaded = session.single_combination
    plan = _plan_replay(training, resolve_plan(loaded, session.settings, session.target, fresh=True))
    differences = describe_differences(training, plan)
    for line in differences:
        session.report(line)
    outcome = measure(session, loaded, plan)
    if outcome.result.failure is not None:
        return outcome.exit_code
    again = next(each for each in outcome.result.versions if each.name == training.version.name)
    # Libraries are compared above.
    replayed = outcome.result.model_copy(update={"versions": (again,), "libraries": {}})
    parity = compare_runs(_make_result(training), replayed)
    show_parity(console, parity)
    different = list_different(training.version, again)
    session.report(describe_exactness(again.name, different))
    return ExitCode.BOUND_FAILED if different and not differences else parity.verdict.exit_code


def write_scenario(training: TrackedTraining, folder: Path) -> Path:
    """Write a scenario that trains the version again, with its custom pipeline, and return its file."""
    file = folder / f"{training.scenario.name}_replay.yaml"
    write_text(file, format_yaml(_make_scenario(training)))
    for path, text in training.code.items():
        write_text(folder / path, text)
    return file


def _make_scenario(training: TrackedTraining) -> dict[str, Any]:
    tags, version = training.tags, training.version
    values = training.scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    table = values.pop("table")
    kept = {name: each for name, each in values.items() if name not in (*_JUDGING, "versions", "name")}
    before = tags.get(BEFORE_TAG, "")
    reads: list[dict[str, Any]] = [{"name": version.name, "read": version.version}]
    if before:
        reads.insert(0, {"name": f"before_{version.name}", "read": int(before), "train": False})
    return {
        "name": f"{training.scenario.name}_replay",
        "table": {
            **{name: each for name, each in table.items() if name in ("name", "key")},
            "uri": tags[PATH_TAG],
        },
        **kept,
        "versions": reads,
        "observe": True,
        "publish": {"when": "never"},
    }


def _plan_replay(training: TrackedTraining, plan: Plan) -> Plan:
    """Return a plan that explains the same rows, and is tracked apart from the runs that it repeats."""
    environment = plan.environment
    apart = environment.model_copy(update={"experiment": f"{environment.experiment}-replays"})
    return plan.model_copy(update={"probe": training.explained, "environment": apart})


def describe_differences(training: TrackedTraining, plan: Plan) -> list[str]:
    """Return a line for each part that is not the same as it was, so that the numbers may differ."""
    environment, tags = plan.environment, training.tags
    lines = []
    if (then := tags.get(TARGET_TAG, "")) != environment.target:
        lines.append(f"Differs from the original run: the target is {environment.target}, was {then}.")
    if (then := tags.get(HARNESS_TAG, "unknown")) != plan.harness_version:
        lines.append(f"Differs from the original run: the harness is {plan.harness_version}, was {then}.")
    # Known only by a digest, or on a cluster by nothing.
    if tags.get(LIBRARIES_TAG) != environment.libraries:
        lines.append("Differs from the original run: the libraries are other versions.")
    return lines


def list_different(recorded: VersionResult, again: VersionResult) -> list[str]:
    """Return the fields of what a training measures that are not exactly the same."""
    return sorted(name for name in MEASURED_IN_TRAINING if getattr(recorded, name) != getattr(again, name))


def describe_exactness(version: str, different: Sequence[str]) -> str:
    """Return whether everything that the training measures is exactly the same, as a sentence.

    Args:
        version: The version's name.
        different: The fields that are not.
    """
    if not different:
        return f"Version {version}: all measurements are identical."
    return f"Version {version}: not identical in every digit: {', '.join(different)}."


def _make_result(training: TrackedTraining) -> Result:
    """Return what was recorded in the form that is compared."""
    tags = training.tags
    return Result(
        run_id=tags.get(RUN_TAG, ""),
        scenario=training.scenario.name,
        target=tags.get(TARGET_TAG, ""),
        verdict=Verdict.OBSERVED,
        started=datetime.now(UTC),
        duration_s=0.0,
        timings={},
        versions=(training.version,),
        table_uri=tags[PATH_TAG],
    )
