"""A Declarative Automation Bundle: the job of a run, which the command 'databricks' deploys with a schedule.

Docs: https://docs.databricks.com/dev-tools/bundles/ and, for expressions in double braces,
https://docs.databricks.com/jobs/dynamic-value-references.html. The bundle's folder contains everything that
it deploys:

    databricks.yml   the job
    additions/       the user's own files, which are never written here
    plan.json        what it runs
    data/            the rows, if they are files on this machine
    dist/            the wheel
"""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from harness.errors import UsageError
from harness.files import make_unwritable_error, write_text
from harness.runs import PLAN
from harness.setting_types import Settings
from harness.table_names import is_table_name
from harness.targets.databricks import read_setting
from harness.targets.databricks.catalog_tables import is_in_unity_catalog
from harness.targets.databricks.cluster import list_cluster_libraries, make_tags
from harness.targets.databricks.job_overrides import merge_job_overrides, read_job_overrides
from harness.targets.databricks.job_runs import PACKAGE, SCHEDULED_ENTRY_POINT, TASK
from harness.wheel import build_wheel

if TYPE_CHECKING:
    from harness.plan import Plan
    from harness.targets.databricks.databricks_target import Databricks

FILE = "databricks.yml"
DEPLOYER = "${workspace.current_user.userName}"
"""User who deploys the bundle, and who the cluster is dedicated to."""
_FILES = "${workspace.file_path}"
_DIGITS = 12
_RUN = "{{job.run_id}}-{{job.repair_count}}"
"""A repaired run is another run, with its own table."""
_ROOT = f"/Workspace/Users/{DEPLOYER}/.bundle/${{bundle.name}}/${{bundle.target}}"
_PARAMETERS = ("table", "versions")
"""Parameters of the job, which a single run can set: an existing table, and its versions."""
_ADDITIONS = "additions/*.yml"
"""The user's own files, which belong to the bundle too; there need not be any."""
_SCHEDULE_VARIABLES = {
    "cron": ("schedule as a Quartz cron expression", "0 0 6 * * ?"),
    "timezone": ("time zone of the schedule", "UTC"),
}
_PAUSE_VARIABLE = {"pause_status": ("PAUSED or UNPAUSED", "PAUSED")}
_HEAD = """\
# Written by 'harness asset-bundle {name}'. Change the scenario or the settings, then write it again.
# databricks bundle deploy --target dev
# databricks bundle deploy --target prod --var pause_status=UNPAUSED
"""


def write(
    settings: Settings, plan: Plan, target: Databricks, folder: Path, *, on_update: bool = False
) -> Path:
    """Write a bundle that runs a scenario on a schedule, and return its main file.

    Args:
        settings: Settings with those of this target.
        plan: Plan of the scenario on this target.
        target: Target with the client of the workspace.
        folder: Folder of the bundle.
        on_update: Whether an update of the table starts the job, instead of a schedule.

    Raises:
        UsageError: Nothing would report an update of this table, or a setting of the job is invalid.
        PrerequisiteError: The folder can't be written, or the wheel can't be built.
    """
    start = _make_trigger(plan) if on_update else _make_schedule()
    read_job_overrides(settings)  # Reports a mistake in them before anything is written.
    wheel = build_wheel(folder / "dist")
    rows = _choose_paths(plan)
    for name, destination in rows.items():
        _copy(Path(plan.sources[name].copied_from or ""), folder / destination)
    kept = _make_repeatable(plan, rows)
    write_text(folder / PLAN, kept.model_dump_json(indent=2, by_alias=True) + "\n")
    library = f"./{wheel.relative_to(folder).as_posix()}"
    task = _make_task(settings, target, kept, library, rows)
    host = target.workspace.config.host or ""
    name = kept.scenario.name
    variables = {**({} if on_update else _SCHEDULE_VARIABLES), **_PAUSE_VARIABLE}
    content = {
        "bundle": {"name": f"harness_{name}"},
        "variables": {
            key: {"description": description, "default": value}
            for key, (description, value) in variables.items()
        },
        "include": [_ADDITIONS],
        # Needed if git ignores the folder.
        "sync": {"include": [PLAN, *dict.fromkeys(rows.values())]},
        "resources": {"jobs": {name: _make_job(settings, name, task, start)}},
        "targets": _make_targets(host),
    }
    write_text(folder / FILE, _HEAD.format(name=name) + _format_yaml(content))
    return folder / FILE


def _choose_paths(plan: Plan) -> dict[str, str]:
    """Return the path in the bundle of every source that is copied into it, by its path in the scenario.

    Files with the same name get one folder each, with their digest as its name.
    """
    copied = {path: source for path, source in plan.sources.items() if source.copied_from is not None}
    names = {path: Path(source.copied_from or "").name for path, source in copied.items()}
    files_by_name = Counter(
        name for name, _ in {(names[path], source.sha256) for path, source in copied.items()}
    )
    folders = {path: f"{source.sha256 or ''}"[:_DIGITS] + "/" for path, source in copied.items()}
    return {
        path: f"data/{folders[path] if files_by_name[name] > 1 else ''}{name}" for path, name in names.items()
    }


def _copy(source: Path, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, file)
    except OSError as error:
        raise make_unwritable_error(file, error) from error


def _make_repeatable(plan: Plan, rows: Mapping[str, str]) -> Plan:
    """Return a plan that is always written the same: without a single run and this machine's settings."""
    sources = {
        name: source.model_copy(update={"uri": rows[name], "copied_from": None}) if name in rows else source
        for name, source in plan.sources.items()
    }
    environment = plan.environment
    if (managed := environment.managed_tables) is not None:
        environment = environment.model_copy(
            update={"managed_tables": managed.model_copy(update={"until": ""})}
        )
    return plan.model_copy(
        update={
            "run_id": plan.scenario.name,
            "environment": environment,
            "sources": sources,
            "settings": (),
        }
    )


def _make_task(
    settings: Settings, target: Databricks, plan: Plan, wheel: str, rows: Mapping[str, str]
) -> dict[str, Any]:
    from databricks.sdk.service.jobs import PythonWheelTask, Task

    name = plan.scenario.name
    sources = [text for path, at in rows.items() for text in ("--source", f"{path}=file:{_FILES}/{at}")]
    parameters = [
        f"{_FILES}/{PLAN}",
        f"{target.root}/scheduled/{name}/{_RUN}",
        "--run-id",
        f"{name}-{_RUN}",
        *sources,
        # One argument each, so that an empty value is still one.
        *(f"--{parameter}={{{{job.parameters.{parameter}}}}}" for parameter in _PARAMETERS),
    ]
    cluster_id = read_setting(settings, "cluster_id") or None
    return Task(
        task_key=TASK,
        python_wheel_task=PythonWheelTask(PACKAGE, SCHEDULED_ENTRY_POINT, parameters=parameters),
        existing_cluster_id=cluster_id,
        new_cluster=None if cluster_id else target.make_cluster(DEPLOYER, f"scheduled-{name}"),
        libraries=list_cluster_libraries(wheel, settings),
    ).as_dict()


def _make_schedule() -> dict[str, Any]:
    return {
        "schedule": {
            "quartz_cron_expression": "${var.cron}",
            "timezone_id": "${var.timezone}",
            "pause_status": "${var.pause_status}",
        }
    }


def _make_trigger(plan: Plan) -> dict[str, Any]:
    """Return the trigger of a job that starts when its table is updated; a job has only one kind of start.

    Raises:
        UsageError: Only Unity Catalog reports updates, and only the latest version follows them.
    """
    name = plan.existing_table
    if name is None or not (is_table_name(name) and is_in_unity_catalog(name)):
        reads = "builds its own table" if name is None else f"reads {name}"
        raise UsageError(
            f"--on-update needs a table in Unity Catalog, but the scenario {reads}.",
            remedy="Name one: --table CATALOG.SCHEMA.TABLE",
        )
    if not any(each.read is not None and each.read.version == "latest" for each in plan.scenario.versions):
        listed = ", ".join(each.name for each in plan.scenario.versions)
        raise UsageError(
            f"--on-update needs a scenario that reads the latest version; this one only reads {listed}.",
            remedy=f"Read it: --table {name} --versions latest",
        )
    return {"trigger": {"pause_status": "${var.pause_status}", "table_update": {"table_names": [name]}}}


def _make_job(settings: Settings, name: str, task: dict[str, Any], start: dict[str, Any]) -> dict[str, Any]:
    own = make_tags(settings)
    job = {
        "name": f"harness {name}",
        **start,
        "timeout_seconds": int(read_setting(settings, "time_limit_min")) * 60,
        "max_concurrent_runs": 1,
        "parameters": [{"name": each, "default": ""} for each in _PARAMETERS],
        **({"tags": own} if own else {}),
        "tasks": [task],
    }
    return merge_job_overrides(job, settings)


def _make_targets(host: str) -> dict[str, Any]:
    # The production mode requires an explicit folder, so that there is one deployment.
    workspace = {"host": host, "root_path": _ROOT}
    return {
        "dev": {"mode": "development", "default": True, "workspace": workspace},
        "prod": {"mode": "production", "workspace": dict(workspace)},
    }


def _format_yaml(content: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.width = 4096  # Don't break parameters and URIs.
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(content, stream)
    return stream.getvalue()
