"""Runs in a notebook: the job in this process, on the Spark session that is open."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, redirect_stderr, suppress
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError, UsageError
from harness.events import FinishedStep, Listener
from harness.files import write_bytes, write_text
from harness.plan import Environment, Plan, SourceData
from harness.results import Result
from harness.runs import LOG, RESULT, RunFolder
from harness.runtime.installed_libraries import identify_libraries
from harness.settings import Settings, read_settings
from harness.storage.accounts import select_local_accounts
from harness.storage.tracking_store import require_usable_store
from harness.storage.uris import VOLUMES
from harness.table_names import is_table_name, normalize_table_name
from harness.targets.base import Report
from harness.targets.checks import (
    Check,
    check_disk_space,
    path_on_this_machine,
    require_credentials,
    run_check,
)
from harness.targets.databricks import DATABRICKS, DATABRICKS_SETTINGS, read_setting
from harness.targets.databricks.cluster import SYNAPSEML
from harness.targets.databricks.databricks_target import Databricks
from harness.targets.embedded import EMBEDDED
from harness.targets.end_causes import explain_failure
from harness.targets.spark_conf import is_small, make_session_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ON_DATABRICKS = "DATABRICKS_RUNTIME_VERSION"
"""Variable that every cluster of Databricks has."""
_ORIGIN = "the open Spark session"


def open_notebook(spark: SparkSession, target: str | None, report: Report) -> Notebook:
    """Open the target for an open Spark session.

    Args:
        spark: The session.
        target: The target that the user named, which must be none.
        report: Shows the user one line.

    Raises:
        UsageError: A target is named, too.
        PrerequisiteError: The session lacks something that the job needs.
    """
    if target is not None:
        raise UsageError(
            f"target={target!r} can't be combined with spark=: the job runs in this process.",
            remedy="Leave out one of them.",
        )
    is_on_databricks = _ON_DATABRICKS in os.environ
    _require_suitable(spark, is_on_databricks=is_on_databricks)
    settings = _read_databricks_settings(spark) if is_on_databricks else _read_local_settings()
    notebook = Notebook(spark, settings, report)
    notebook.require_ready()
    return notebook


def _read_local_settings() -> Settings:
    return read_settings({"target": EMBEDDED.name}, origin=_ORIGIN)


def _read_databricks_settings(spark: SparkSession) -> Settings:
    """Return the settings of a run on a cluster of Databricks.

    If no home is set, a run's files are on the driver's disk: a notebook's folder can't keep all of them.
    """
    settings = read_settings({"target": DATABRICKS.name}, origin=_ORIGIN)
    chosen = {"target": DATABRICKS.name}
    if settings.value_if_set("home") is None:
        chosen["home"] = str(Path(tempfile.gettempdir(), "harness"))
    if not read_setting(settings, "experiment"):
        [row] = spark.sql("SELECT current_user()").collect()
        chosen[f"{DATABRICKS_SETTINGS}experiment"] = f"/Users/{row[0]}/{settings['experiment']}"
    return read_settings(chosen, origin=_ORIGIN)


def _require_suitable(spark: SparkSession, *, is_on_databricks: bool) -> None:
    from harness.job.borrowed_session import require_suitable

    require_suitable(spark, has_delta=is_on_databricks, synapseml=SYNAPSEML)


class Notebook:
    """The target that runs the job in this process, on a Spark session that is open already."""

    def __init__(self, spark: SparkSession, settings: Settings, report: Report) -> None:
        self._spark = spark
        self.settings = settings
        self._is_on_databricks = settings["target"] == DATABRICKS.name
        self._workspace = Databricks(settings, report)

    def keep_process(self) -> AbstractContextManager[None]:
        """Return a block at whose end this process's variables are as they were at its beginning."""
        from harness.job.borrowed_session import restore_process

        return restore_process()

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return an environment on this session; on Databricks, with the workspace's locations."""
        return self._locate_everything(source_bytes, store).model_copy(
            update={
                "spark": {**self._sql_settings, **make_session_settings(small=is_small(source_bytes))},
                "libraries": self._libraries,
                "accounts": select_local_accounts(self.settings),
            }
        )

    def _locate_everything(self, source_bytes: int | None, store: str) -> Environment:
        """Return an environment that says where data, models and runs are."""
        if self._is_on_databricks:
            return self._workspace.environment(source_bytes, store)
        settings = self.settings
        return Environment(
            target=EMBEDDED.name,
            lake=settings["lake"],
            model_store=settings.store(store),
            tracking_uri=settings["tracking_uri"],
            experiment=settings["experiment"],
            artifacts=settings["artifacts"] if settings["tracking_uri"].startswith("sqlite") else None,
        )

    @cached_property
    def _sql_settings(self) -> dict[str, str]:
        from harness.job.borrowed_session import list_sql_settings

        return list_sql_settings(self._spark)

    @cached_property
    def _libraries(self) -> str:
        from harness.job.borrowed_session import describe_session

        return identify_libraries(*describe_session(self._spark))

    def locate_source(self, source: SourceData) -> SourceData:
        """Return the source with a URI that Spark reads."""
        path = path_on_this_machine(source.uri)
        # Spark reads volumes by their path, and everything else on this machine through the file system.
        if path is None or (self._is_on_databricks and source.uri.startswith(VOLUMES)):
            return source
        return source.model_copy(update={"uri": f"file://{path}"})

    def locate_table(self, uri: str) -> str:
        """Return the table's URI, or its name in the session's catalog if no setting maps it to a folder."""
        if is_table_name(uri):
            name = normalize_table_name(uri)
            uri = (None if self._is_on_databricks else self.settings.table(name)) or name
        path = None if is_table_name(uri) or uri.startswith(VOLUMES) else path_on_this_machine(uri)
        return uri if path is None else f"file://{path}"

    def checks(self) -> Iterator[Check]:
        """Check the session and this machine."""
        yield run_check("Spark session", self._check_session)
        yield run_check("disk", lambda: check_disk_space(self.settings.home))

    def require_ready(self) -> None:
        """Check the session and the disk.

        Raises:
            PrerequisiteError: Something is missing; the message names all of it.
        """
        self._check_session()
        check_disk_space(self.settings.home)

    def _check_session(self) -> str:
        _require_suitable(self._spark, is_on_databricks=self._is_on_databricks)
        return f"Spark {self._spark.version}"

    def prepare(self, plan: Plan) -> None:
        """Check what the run can't create itself."""
        self.require_ready()
        if not self._is_on_databricks:
            require_usable_store(plan.environment.tracking_uri, plan.environment.experiment)
            require_credentials(plan, plan.environment.accounts)

    def run(self, folder: Path, listener: Listener) -> Result:
        """Run the job in this process; what it would print goes to its log."""
        from harness.job.borrowed_session import run_on_session

        run = RunFolder(folder)
        plan = run.read_plan()

        def record(step: FinishedStep) -> None:
            with suppress(PrerequisiteError):  # Then the step is repeated if the run is resumed.
                run.record_step(step)

        with (
            (folder / LOG).open("w", encoding="utf-8", errors="replace") as log,
            redirect_stderr(log),
            tempfile.TemporaryDirectory(prefix="harness-", ignore_cleanup_errors=True) as scratch,
        ):
            result, files = run_on_session(
                self._spark, plan, Path(scratch), listener, announce=run.record, record=record
            )
            for name, file in files.items():
                write_bytes(folder / name, file.read_bytes())
        write_text(folder / RESULT, result.to_json())
        self._remove_scratch(plan)
        return explain_failure(result, folder)

    def _remove_scratch(self, plan: Plan) -> None:
        """Remove the run's temporary files in a volume; the job removes those in the lake."""
        if plan.environment.scratch is not None:
            rmtree(plan.scratch_uri, ignore_errors=True)

    def reach(self, environment: Environment) -> Environment:
        """Return a run's environment: this process reaches all of it in the same way as the job."""
        return environment

    def end_job(self, run_id: str) -> None:
        """Do nothing: the job ends with this process."""

    def release(self) -> None:
        """Do nothing: a run starts no services."""

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables."""
        lake = RunFolder(self.settings.runs / run_id).lake or self.settings["lake"]
        if lake.startswith(VOLUMES) or "://" not in lake:
            rmtree(Path(lake) / "runs" / run_id, ignore_errors=True)
        elif self._is_on_databricks:
            self._workspace.remove_run(run_id)
