"""The Databricks target: the same wheel, entry point and plan as a one-time run on a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import (
    HarnessError,
    InterruptedRunError,
    JobError,
    LostRunError,
    PrerequisiteError,
    UsageError,
)
from harness.events import Listener
from harness.files import write_bytes, write_text
from harness.plan import Environment, ManagedTables, Plan, SourceData
from harness.reading.file_names import make_plain_name
from harness.results import Result
from harness.runs import LOG, PLAN, RESULT, RunFolder
from harness.setting_types import Settings
from harness.storage.accounts import select_local_accounts
from harness.storage.blobs import Blobs, find_account, has_credential
from harness.storage.uris import SCHEME, VOLUMES, StorageUri
from harness.table_names import is_table_name, normalize_table_name
from harness.targets.base import FinishedRun
from harness.targets.checks import Check, path_on_this_machine, require_all, require_remote_table
from harness.targets.databricks import DATABRICKS, job_runs, read_setting
from harness.targets.databricks.catalog_tables import (
    remove_table,
    require_approvable,
    require_table,
    require_versions,
    sweep_tables,
)
from harness.targets.databricks.client import UnreachableError, open_workspace, translate_errors
from harness.targets.databricks.cluster import (
    SYNAPSEML,
    list_cluster_libraries,
    make_cluster_spec,
    require_synapseml,
    select_scope_accounts,
)
from harness.targets.databricks.cluster_overrides import leave_to_policy, read_overrides
from harness.targets.databricks.experiment import search_runs
from harness.targets.databricks.job_runs import Follower
from harness.targets.databricks.workspace_bundles import WorkspaceBundles
from harness.targets.databricks.workspace_files import (
    RemoteFiles,
    make_stream,
    name_expiring_folder,
    open_files,
    sweep,
    upload_once,
)
from harness.targets.spark_conf import is_small, make_session_settings
from harness.tracked_run import TrackedRun
from harness.used_models import BundleRecords
from harness.wheel import build_wheel, require_installed_dependencies

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.compute import ClusterSpec
    from databricks.sdk.service.iam import User
    from databricks.sdk.service.jobs import Run, RunOutput

EVENTS = "events.jsonl"
SUBMISSION = "submission.json"
"""File in the run's local folder that identifies the run on the workspace."""
_RUNS = "runs"


class Databricks:
    """The target that runs the job on a cluster of a workspace."""

    def __init__(self, settings: Settings, report: Callable[[str], None], *, keep: bool = False) -> None:
        self._settings = settings
        self._report = report
        self._keep = keep
        self._ready = False

    @cached_property
    def workspace(self) -> WorkspaceClient:
        """Client of the workspace."""
        return open_workspace(read_setting(self._settings, "profile"))

    @cached_property
    def me(self) -> User:
        """User that the workspace authenticates."""
        with translate_errors(self.workspace, "return the current user"):
            return self.workspace.current_user.me()

    @property
    def user(self) -> str:
        """Name of the user, or application id of the service principal."""
        return self.me.user_name or ""

    @property
    def root(self) -> str:
        """Folder with everything that is uploaded.

        Raises:
            UsageError: None is set.
        """
        folder = read_setting(self._settings, "files").rstrip("/")
        if not folder:
            raise UsageError(
                "The Databricks target needs a folder for its uploads, but none is set.",
                remedy="Set files under [targets.databricks] in harness.toml, or "
                "HARNESS_TARGETS_DATABRICKS_FILES, to /Volumes/CATALOG/SCHEMA/VOLUME or "
                "/Workspace/Users/NAME/FOLDER.",
            )
        return folder

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return an environment with the workspace's lake, model store and MLflow."""
        del store  # A workspace has one store; the names in scenarios are for stores of this machine.
        # Mistakes in the settings are reported before anything is planned.
        read_overrides(self._settings)
        require_synapseml(read_setting(self._settings, "runtime"))
        return Environment(
            target=DATABRICKS.name,
            lake=self._choose_location("lake"),
            managed_tables=self._managed_tables,
            model_store=self._choose_location("models"),
            tracking_uri="databricks",
            experiment=self.experiment,
            registry_uri=DATABRICKS.registry_uri,
            spark=make_session_settings(small=is_small(source_bytes)),
            libraries=f"{read_setting(self._settings, 'runtime')}, {SYNAPSEML}",
            scratch=self._scratch,
            accounts=select_scope_accounts(self._settings),
        )

    @property
    def schema(self) -> str:
        """Schema in which runs build their tables; empty if these are folders in the lake."""
        return read_setting(self._settings, "schema")

    @property
    def _managed_tables(self) -> ManagedTables | None:
        today = datetime.now(UTC).date()
        return ManagedTables.starting(today, self.schema, self._days_needed) if self.schema else None

    @property
    def _scratch(self) -> str | None:
        """Volume through which MLflow saves models, because it can't reach a storage account by itself."""
        volume = read_setting(self._settings, "model_volume").rstrip("/")
        if volume or self._choose_location("lake").startswith(VOLUMES):
            return volume or None
        if not self.root.startswith(VOLUMES):
            raise UsageError(
                f"Models can't be saved through {self._choose_location('lake')}: MLflow needs a volume.",
                remedy="Set model_volume under [targets.databricks] to /Volumes/CATALOG/SCHEMA/VOLUME.",
            )
        # In this case, a run's scratch folder is the folder of its uploads, and is removed with them.
        return f"{self.upload_folder}/{_RUNS}"

    @property
    def experiment(self) -> str:
        """Path of the experiment in the workspace."""
        return (
            read_setting(self._settings, "experiment") or f"/Users/{self.user}/{self._settings['experiment']}"
        )

    def locate_runs(self) -> str:
        """Return the workspace and the experiment in which runs are recorded."""
        return f"{self.workspace.config.host}, experiment {self.experiment}"

    def search_runs(self, condition: str) -> list[TrackedRun]:
        """Return the runs of the experiment that meet a condition of MLflow's search, newest first."""
        return search_runs(self.workspace, self.experiment, condition)

    def open_bundles(self, environment: Environment) -> BundleRecords | None:
        """Return access to the bundles of runs; ``None`` without a credential for their store."""
        accounts = select_local_accounts(self._settings)
        store = environment.model_store
        if not store.startswith(VOLUMES) and not has_credential(accounts, store):
            return None
        return WorkspaceBundles(self.workspace, environment, accounts)

    def locate_source(self, source: SourceData) -> SourceData:
        """Return the source in the workspace; a local file is uploaded to a path with its digest."""
        path = path_on_this_machine(source.uri)
        if path is None:
            return source
        if source.sha256 is None:
            raise PrerequisiteError(
                f"The Databricks target can't upload {path}: it is a folder.",
                remedy="Use a single file, an abfss:// URI or a folder of a volume as the source.",
            )
        uri = f"{self.upload_folder}/sources/{source.sha256}/{make_plain_name(path.name)}"
        # Spark reads volumes by their path, but workspace files only through the file system.
        scheme = "" if uri.startswith(VOLUMES) else "file:"
        return source.model_copy(update={"uri": scheme + uri, "copied_from": str(path)})

    def locate_table(self, uri: str) -> str:
        """Return the table's name in a catalog, or its URI, which must be in a lake or a volume."""
        if is_table_name(uri):
            return normalize_table_name(uri)
        require_remote_table(
            uri, "Databricks", "its name in a catalog, an abfss:// URI or a folder of a volume"
        )
        return uri

    def checks(self) -> Iterator[Check]:
        """Check the workspace's permissions and everything that a run needs."""
        from harness.targets.databricks.workspace_checks import check_workspace

        return check_workspace(self._settings, self)

    def require_ready(self) -> None:
        """Require that the workspace is ready, and that the wheel fits what is installed; checked once.

        Raises:
            PrerequisiteError: A prerequisite is missing.
        """
        if not self._ready:
            require_installed_dependencies()
            require_all(self.checks())
            self._ready = True

    def prepare(self, plan: Plan) -> None:
        """Check the workspace, and upload wheel, rows and plan."""
        self.require_ready()
        if plan.existing_table is not None and is_table_name(plan.existing_table):
            require_versions(self.workspace, plan.existing_table)
        if plan.approved_table is not None and is_table_name(plan.approved_table):
            require_approvable(self.workspace, plan.approved_table, plan.table_uri)
        for source in plan.sources.values():
            if is_table_name(source.uri):
                require_table(self.workspace, source.uri)
        files = open_files(self.workspace, self.root)
        upload_once(files, self._wheel_path, self._wheel)
        for source in plan.sources.values():
            if source.copied_from is not None:
                upload_once(files, source.uri.removeprefix("file:"), Path(source.copied_from))
        folder = self._run_folder(plan.run_id)
        with self._remove_on_failure(folder):
            files.make_folder(folder)
            files.upload(f"{folder}/{PLAN}", make_stream(plan.model_dump_json(by_alias=True)))

    def run(self, folder: Path, listener: Listener) -> Result:
        """Submit the job, and follow it until it ends."""
        remote = self._run_folder(folder.name)
        with self._remove_on_failure(remote, *_scratch_folders(folder)):
            submission = self._submit(self._make_run_spec(folder.name, remote), remote)
            return self._follow(submission, folder, listener)

    def attach(self, folder: Path, listener: Listener) -> Result:
        """Follow a run that was submitted before; if it has finished, only read its result.

        Raises:
            PrerequisiteError: The run was never submitted.
        """
        if RunFolder(folder).has_result:
            return FinishedRun().attach(folder, listener)
        file = folder / SUBMISSION
        if not file.is_file():
            raise PrerequisiteError(
                f"The run {folder.name} was never submitted to a workspace: {file} doesn't exist."
            )
        submission = job_runs.SubmittedRun.model_validate_json(file.read_text(encoding="utf-8"))
        if submission.host != self.workspace.config.host:
            raise UsageError(
                f"The run {folder.name} is on {submission.host}, not on {self.workspace.config.host}.",
                remedy="Set HARNESS_TARGETS_DATABRICKS_PROFILE to the profile of that workspace.",
            )
        with self._remove_on_failure(submission.folder, *_scratch_folders(folder)):
            return self._follow(submission, folder, listener)

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables from their schema and from the lake of its plan."""
        run = RunFolder(self._settings.runs / run_id)
        if (table := run.built_table) is not None and is_table_name(table):
            remove_table(self.workspace, table)
        lake = run.lake or self._choose_location("lake")
        if lake.startswith(VOLUMES):
            open_files(self.workspace, lake).remove_folder(f"{lake}/runs/{run_id}")
            return
        accounts = select_local_accounts(self._settings)
        if has_credential(accounts, lake):
            root = StorageUri.parse(lake)
            Blobs(root, find_account(root, accounts)).remove_all(f"runs/{run_id}")
        else:
            self._report(f"The table remains at {lake}/runs/{run_id}: this machine has no credential for it.")

    def write_schedule(self, plan: Plan, folder: Path, *, on_update: bool = False) -> Path:
        """Write a Declarative Automation Bundle that schedules a scenario, and return its main file."""
        from harness.targets.databricks.asset_bundle import write

        return write(self._settings, plan, self, folder, on_update=on_update)

    def sweep(self) -> int:
        """Remove what has expired, and return the number of removed folders and tables."""
        today = datetime.now(UTC).date()
        removed = sweep(open_files(self.workspace, self.root), self.root, today, self._report)
        if self.schema:
            removed += sweep_tables(self.workspace, self.schema, today, self._report)
        return removed

    @cached_property
    def upload_folder(self) -> str:
        """Folder for current uploads."""
        return f"{self.root}/{name_expiring_folder(datetime.now(UTC).date(), self._days_needed)}"

    @property
    def _days_needed(self) -> int:
        longest = timedelta(minutes=int(read_setting(self._settings, "time_limit_min"))).days + 1
        return max(int(read_setting(self._settings, "expire_days")), longest)

    @cached_property
    def _wheel(self) -> Path:
        return build_wheel(self._settings.home / "wheels")

    @property
    def _wheel_path(self) -> str:
        return f"{self.upload_folder}/wheels/{self._wheel.name}"

    def _run_folder(self, run_id: str) -> str:
        return f"{self.upload_folder}/{_RUNS}/{run_id}"

    def _make_run_spec(self, run_id: str, remote: str) -> job_runs.RunSpec:
        cluster_id = read_setting(self._settings, "cluster_id")
        return job_runs.RunSpec(
            run_id=run_id,
            cluster=cluster_id or self.make_cluster(self.user, run_id),
            libraries=list_cluster_libraries(self._wheel_path, self._settings),
            parameters=[f"{remote}/{name}" for name in (PLAN, RESULT, EVENTS)],
            timeout=timedelta(minutes=int(read_setting(self._settings, "time_limit_min"))),
        )

    def make_cluster(self, user: str, run_id: str) -> ClusterSpec:
        """Return the specification of a new cluster: without what its policy fixes."""
        spec = make_cluster_spec(self._settings, user, run_id)
        if not spec.policy_id:
            return spec
        with translate_errors(self.workspace, f"read the cluster policy {spec.policy_id}"):
            policy = self.workspace.cluster_policies.get(spec.policy_id)
        return leave_to_policy(spec, policy.definition or "", self._settings)

    def _submit(self, job: job_runs.RunSpec, remote: str) -> job_runs.SubmittedRun:
        try:
            run_id = job_runs.submit(self.workspace, job)
        except KeyboardInterrupt:
            # Whether the first request arrived or not: the same token leads to the same run.
            with job_runs.ignore_signals():
                run_id = job_runs.submit(self.workspace, job)
                job_runs.ask_to_cancel(self.workspace, run_id)
            self._await_cancelled(run_id)
            raise
        except UnreachableError as error:
            raise LostRunError(
                f"{error.message}\n  {error.remedy}",
                remedy=f"It may have arrived: look for 'harness {job.run_id}' in the workspace's job runs.",
            ) from error
        return job_runs.SubmittedRun(host=self.workspace.config.host or "", run_id=run_id, folder=remote)

    def _follow(self, submission: job_runs.SubmittedRun, folder: Path, listener: Listener) -> Result:
        files = open_files(self.workspace, submission.folder)
        follower = Follower(files, f"{submission.folder}/{EVENTS}", listener, self._report)
        try:
            ended = self._watch(submission, folder, follower)
            return self._read_result(ended, files, submission, folder)
        except UnreachableError as error:
            raise LostRunError(
                f"{error.message}\n  {error.remedy}",
                remedy=f"The run continues there. 'harness attach {folder.name}' follows it to its verdict.",
            ) from error

    def _watch(self, submission: job_runs.SubmittedRun, folder: Path, follower: Follower) -> Run:
        """Follow a run until it ends. Ctrl-C and errors cancel it, so that it does not run unnoticed."""
        try:
            write_text(folder / SUBMISSION, submission.model_dump_json(indent=2) + "\n")
            return job_runs.await_run(self.workspace, submission.run_id, follower.update)
        except KeyboardInterrupt as error:
            job_runs.ask_to_cancel(self.workspace, submission.run_id)
            ended = self._await_cancelled(submission.run_id)
            raise InterruptedRunError(
                "Interrupted. The run was cancelled.", remedy=f"The run's page: {ended.run_page_url}"
            ) from error
        except UnreachableError:
            raise
        except PrerequisiteError as error:
            with suppress(HarnessError):
                job_runs.cancel(self.workspace, submission.run_id)
            raise JobError(f"{error.message} The run was cancelled.", remedy=error.remedy) from error

    def _await_cancelled(self, run_id: int) -> Run:
        self._report("Cancelling the run. Press Ctrl-C again to stop waiting.")
        return job_runs.await_cancelled(self.workspace, run_id)

    def _read_result(
        self, ended: Run, files: RemoteFiles, submission: job_runs.SubmittedRun, folder: Path
    ) -> Result:
        """Return the job's result, or raise the reason why there is none."""
        content = files.read(f"{submission.folder}/{RESULT}")
        output = self._read_output(ended, folder)
        if content is None:
            raise job_runs.make_run_error(ended, output)
        result = job_runs.parse_result(content, RunFolder(folder).read_plan().harness_version)
        # Stored on this machine before it is removed from the workspace.
        self._download_predictions(result, files, submission.folder, folder)
        write_text(folder / RESULT, content.decode())
        if result.failure is None or not self._keep:
            self._remove_all(submission.folder, *_scratch_folders(folder))
        return result

    def _download_predictions(self, result: Result, files: RemoteFiles, remote: str, folder: Path) -> None:
        """Download the predictions of every version; the result is valid without them."""
        for stored in filter(None, (version.predictions for version in result.versions)):
            try:
                content = files.read(f"{remote}/{stored.file}")
            except PrerequisiteError as error:
                self._report(f"{stored.file} is not available: {error.message}")
                continue
            if content is None or hashlib.sha256(content).hexdigest() != stored.sha256:
                self._report(f"{stored.file} is not available: the workspace's copy is missing or damaged.")
            else:
                write_bytes(folder / stored.file, content)

    def _read_output(self, ended: Run, folder: Path) -> RunOutput | None:
        """Return the task's output and store it as the run's log; the result is valid without it."""
        try:
            output = job_runs.read_output(self.workspace, ended)
        except PrerequisiteError as error:
            self._report(f"The run's log is not available: {error.message}")
            return None
        if output is not None and output.logs:
            cut = "[The workspace keeps only the end of the log.]\n" if output.logs_truncated else ""
            write_text(folder / LOG, cut + output.logs)
        return output

    @contextmanager
    def _remove_on_failure(self, *folders: str) -> Iterator[None]:
        """Remove the run's own remote folders if it fails, but not if it may still be running."""
        try:
            yield
        except LostRunError:
            raise
        except (HarnessError, KeyboardInterrupt):
            if not self._keep:
                self._remove_all(*folders)
            raise

    def _remove_all(self, *folders: str) -> None:
        """Remove the run's own remote folders, the newest one first."""
        for folder in dict.fromkeys(reversed(folders)):
            self._remove(open_files(self.workspace, folder), folder)

    def _remove(self, files: RemoteFiles, folder: str) -> None:
        """Remove a folder; report a failure without hiding the error that led here."""
        try:
            files.remove_folder(folder)
        except HarnessError as error:
            remedy = " 'harness sweep' removes it after it has expired." if "/until-" in folder else ""
            self._report(f"{folder} was not removed: {error.message}{remedy}")

    def _choose_location(self, name: str) -> str:
        chosen = read_setting(self._settings, name).rstrip("/")
        if not chosen and not self.root.startswith(VOLUMES):
            raise UsageError(
                f"The Databricks target needs a location for the {name}, but none is set.",
                remedy=f"Set {name} under [targets.databricks] to an abfss:// URI or a folder of a volume.",
            )
        if chosen and not chosen.startswith((SCHEME, VOLUMES)):
            raise UsageError(
                f"A cluster can't reach the {name} {chosen}.",
                remedy="Use an abfss:// URI or a folder of a volume: /Volumes/CATALOG/SCHEMA/VOLUME/FOLDER.",
            )
        return chosen or f"{self.root}/{name}"


def _scratch_folders(folder: Path) -> list[str]:
    """Return the run's scratch folder if it is in a volume; one in the lake is removed with the table."""
    plan = RunFolder(folder).read_plan()
    return [] if plan.environment.scratch is None else [plan.scratch_uri]
