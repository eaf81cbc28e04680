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
from harness.storage.uris import SCHEME, VOLUMES
from harness.table_names import is_table_name, normalize_table_name
from harness.targets.base import Report
from harness.targets.checks import (
    Check,
    check_disk_space,
    make_file_uri,
    require_credentials,
    run_check,
)
from harness.targets.databricks import DATABRICKS, DATABRICKS_SETTINGS, read_setting
from harness.targets.databricks.cluster import SYNAPSEML
from harness.targets.databricks.databricks_target import Databricks
from harness.targets.embedded import EMBEDDED
from harness.targets.embedded.embedded_target import make_environment
from harness.targets.end_causes import explain_failure
from harness.targets.spark_conf import is_small, make_session_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RUNTIME = "DATABRICKS_RUNTIME_VERSION"
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
    notebook = (DatabricksNotebook if _RUNTIME in os.environ else Notebook)(spark, report)
    notebook.require_ready()
    return notebook


class Notebook:
    """The target that runs the job in this process, on a Spark session that is open already.

    Data, models and MLflow's runs are where the embedded target has them.
    """

    has_delta = False
    """Whether every session has Delta."""

    def __init__(self, spark: SparkSession, report: Report) -> None:
        self._spark = spark
        self._report = report

    @cached_property
    def settings(self) -> Settings:
        """The settings of the run."""
        return read_settings({"target": EMBEDDED.name}, origin=_ORIGIN)

    def keep_process(self) -> AbstractContextManager[None]:
        """Return a block at whose end this process's variables are as they were at its beginning."""
        from harness.job.borrowed_session import restore_process

        return restore_process()

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return an environment on this session."""
        from harness.job.borrowed_session import describe_session, list_sql_settings

        small = is_small(source_bytes)
        return self._locate_everything(source_bytes, store).model_copy(
            update={
                "spark": {**list_sql_settings(self._spark), **make_session_settings(small=small)},
                "libraries": identify_libraries(*describe_session(self._spark)),
                "accounts": select_local_accounts(self.settings),
            }
        )

    def _locate_everything(self, source_bytes: int | None, store: str) -> Environment:
        """Return an environment that says where data, models and runs are."""
        del source_bytes  # Only Spark's settings depend on it.
        return make_environment(self.settings, store, spark={}, libraries="")

    def locate_source(self, source: SourceData) -> SourceData:
        """Return the source with a URI that Spark reads."""
        return source.model_copy(update={"uri": _make_readable(source.uri)})

    def locate_table(self, uri: str) -> str:
        """Return the table's URI, or its name in the session's catalog if no setting maps it to a folder."""
        if is_table_name(uri):
            name = normalize_table_name(uri)
            uri = self.settings.table(name) or name
        return uri if is_table_name(uri) else _make_readable(uri)

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
        from harness.job.borrowed_session import require_suitable

        require_suitable(self._spark, has_delta=self.has_delta, synapseml=SYNAPSEML)
        return f"Spark {self._spark.version}"

    def prepare(self, plan: Plan) -> None:
        """Check what the run can't create itself."""
        self.require_ready()
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
        if plan.environment.scratch is not None:  # In a volume; the job removes that in the lake.
            rmtree(plan.scratch_uri, ignore_errors=True)
        return explain_failure(result, folder)

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


class DatabricksNotebook(Notebook):
    """The same on a cluster of Databricks: data and models are where the Databricks target has them."""

    has_delta = True

    @cached_property
    def settings(self) -> Settings:
        """The settings of the run, with an experiment of the session's user.

        If no home is set, a run's files are on the driver's disk: a notebook's folder can't keep all of them.
        """
        chosen = {"target": DATABRICKS.name}
        settings = read_settings(chosen, origin=_ORIGIN)
        if settings.value_if_set("home") is None:
            chosen["home"] = str(Path(tempfile.gettempdir(), "harness"))
        if not read_setting(settings, "experiment"):
            [row] = self._spark.sql("SELECT current_user()").collect()
            chosen[f"{DATABRICKS_SETTINGS}experiment"] = f"/Users/{row[0]}/{settings['experiment']}"
        return read_settings(chosen, origin=_ORIGIN)

    @cached_property
    def _workspace(self) -> Databricks:
        return Databricks(self.settings, self._report)

    def _locate_everything(self, source_bytes: int | None, store: str) -> Environment:
        return self._workspace.environment(source_bytes, store)

    def locate_table(self, uri: str) -> str:
        """Return the table's URI, or its name in the workspace's catalog."""
        return normalize_table_name(uri) if is_table_name(uri) else _make_readable(uri)

    def prepare(self, plan: Plan) -> None:
        """Check the session again; the workspace itself decides who may do what."""
        del plan
        self.require_ready()

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables from their schema, or from the lake of its plan."""
        run = RunFolder(self.settings.runs / run_id)
        if (run.lake or "").startswith(SCHEME) or is_table_name(run.built_table or ""):
            self._workspace.remove_run(run_id)
        else:
            super().remove_run(run_id)


def _make_readable(uri: str) -> str:
    """Return a path or a URI as Spark reads it: volumes by their path, other local files by a URI."""
    return uri if uri.startswith(VOLUMES) else make_file_uri(uri)
