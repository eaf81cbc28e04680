"""The Databricks target: the same wheel, entry point and plan as a one-time run on a cluster."""

from __future__ import annotations

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
    NotThereError,
    UsageError,
)
from harness.events import Listener
from harness.files import write_text
from harness.plan import Environment, Plan, SourceData
from harness.results import Result
from harness.runs import PLAN, RESULT, RunFolder
from harness.setting_types import Settings
from harness.storage.accounts import local_accounts
from harness.storage.blobs import Blobs
from harness.storage.uri import SCHEME, VOLUMES, StorageUri
from harness.targets.checks import Check, on_this_machine, require, require_elsewhere
from harness.targets.databricks import job_runs
from harness.targets.databricks.client import UnreachableError, open_workspace, told
from harness.targets.databricks.cluster import cluster_spec, libraries, scope_accounts
from harness.targets.databricks.databricks_definition import DATABRICKS, DATABRICKS_SETTINGS
from harness.targets.databricks.event_follower import Follower
from harness.targets.databricks.workspace_files import RemoteFiles, open_files, put, shelf, sweep, text
from harness.targets.job_process import LOG
from harness.targets.spark_conf import is_small, session_settings
from harness.wheel import build_wheel, require_checkout

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.iam import User
    from databricks.sdk.service.jobs import Run, RunOutput

EVENTS = "events.jsonl"
SUBMISSION = "submission.json"
"""In the run's local folder: what leads to the run on the workspace."""
_RUNS = "runs"


class Databricks:
    """Runs the job on a cluster of a workspace."""

    def __init__(self, settings: Settings, report: Callable[[str], None], *, keep: bool = False) -> None:
        self._settings = settings
        self._report = report
        self._keep = keep
        self._ready = False

    @cached_property
    def workspace(self) -> WorkspaceClient:
        """The client."""
        return open_workspace(self._setting("profile"))

    @cached_property
    def me(self) -> User:
        """Who the workspace takes us for."""
        with told(self.workspace, "say who we are"):
            return self.workspace.current_user.me()

    @property
    def user(self) -> str:
        """The user's name, or a service principal's application id."""
        return self.me.user_name or ""

    @property
    def root(self) -> str:
        """The folder with everything that is uploaded.

        Raises:
            UsageError: None is set.
        """
        folder = self._setting("files").rstrip("/")
        if not folder:
            raise UsageError(
                "The Databricks target needs a folder for what it uploads, and none is set.",
                remedy="Set files under [targets.databricks] in harness.toml, or "
                "HARNESS_TARGETS_DATABRICKS_FILES, to /Volumes/CATALOG/SCHEMA/VOLUME or "
                "/Workspace/Users/NAME/FOLDER.",
            )
        return folder

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """The workspace's lake, model store and MLflow."""
        del store  # A workspace has one: what scenarios name is this machine's.
        return Environment(
            target=DATABRICKS.name,
            lake=self._place("lake"),
            model_store=self._place("models"),
            tracking_uri="databricks",
            experiment=self.experiment,
            spark=session_settings(small=is_small(source_bytes)),
            scratch=self._scratch,
            accounts=scope_accounts(self._settings),
        )

    @property
    def _scratch(self) -> str | None:
        """Where MLflow takes saved models from: a volume, as it can't reach an account by itself."""
        volume = self._setting("model_volume").rstrip("/")
        if volume or self._place("lake").startswith(VOLUMES):
            return volume or None
        if not self.root.startswith(VOLUMES):
            raise UsageError(
                f"Models can't be saved through {self._place('lake')}: MLflow needs a volume for it.",
                remedy="Set model_volume under [targets.databricks] to /Volumes/CATALOG/SCHEMA/VOLUME.",
            )
        # A run's scratch folder is its uploads' own then, and goes with them.
        return f"{self.shelf}/{_RUNS}"

    @property
    def experiment(self) -> str:
        """The experiment's path in the workspace."""
        return self._setting("experiment") or f"/Users/{self.user}/{self._settings['experiment']}"

    def locate_source(self, source: SourceData) -> SourceData:
        """Local files are uploaded, under a name that is their content's."""
        path = on_this_machine(source.uri)
        if path is None:
            return source
        if source.sha256 is None:
            raise NotThereError(
                f"The Databricks target can't upload {path}: it is a folder.",
                remedy="Name a single file, an abfss:// URI or a folder of a volume as the source.",
            )
        uri = f"{self.shelf}/sources/{source.sha256}/{path.name}"
        # Spark takes volumes by their path; the workspace's own files only from the file system.
        scheme = "" if uri.startswith(VOLUMES) else "file:"
        return source.model_copy(update={"uri": scheme + uri, "copied_from": str(path)})

    def locate_table(self, uri: str) -> str:
        """A table of a lake or a volume, where it is."""
        require_elsewhere(uri, "Databricks", "an abfss:// URI or a folder of a volume")
        return uri

    def checks(self) -> Iterator[Check]:
        """What the workspace must have and permit."""
        from harness.targets.databricks.workspace_checks import checks

        return checks(self._settings, self)

    def require_ready(self) -> None:
        """See that the workspace has all that it must, and this checkout a wheel to send; asked once.

        Raises:
            NotThereError: Something is lacking.
        """
        if not self._ready:
            require_checkout()
            require(self.checks())
            self._ready = True

    def prepare(self, plan: Plan) -> None:
        """Check the workspace, and upload wheel, rows and plan."""
        self.require_ready()
        files = open_files(self.workspace, self.root)
        put(files, self._wheel_path, self._wheel)
        for source in plan.sources.values():
            if source.copied_from is not None:
                put(files, source.uri.removeprefix("file:"), Path(source.copied_from))
        folder = self._run_folder(plan.run_id)
        with self._removed_after_fault(folder):
            files.make_folder(folder)
            files.upload(f"{folder}/{PLAN}", text(plan.model_dump_json(by_alias=True)))

    def run(self, folder: Path, listener: Listener) -> Result:
        """Submit the job, and follow it to its end."""
        remote = self._run_folder(folder.name)
        with self._removed_after_fault(remote, *_scratch_of(folder)):
            submission = self._submit(self._job(folder.name, remote), remote)
            return self._follow(submission, folder, listener)

    def attach(self, folder: Path, listener: Listener) -> Result:
        """Take a run up again that was submitted before; one that has come to its end is only read.

        Raises:
            NotThereError: The run's folder names none.
        """
        if (folder / RESULT).is_file():
            return RunFolder(folder).read_result()
        file = folder / SUBMISSION
        if not file.is_file():
            raise NotThereError(
                f"The run {folder.name} was never submitted to a workspace: there is no {file}."
            )
        submission = job_runs.Submission.model_validate_json(file.read_text(encoding="utf-8"))
        if submission.host != self.workspace.config.host:
            raise UsageError(
                f"The run {folder.name} is on {submission.host}, not on {self.workspace.config.host}.",
                remedy="Name that workspace's profile: HARNESS_TARGETS_DATABRICKS_PROFILE.",
            )
        with self._removed_after_fault(submission.folder, *_scratch_of(folder)):
            return self._follow(submission, folder, listener)

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables, from the lake that it was planned for."""
        lake = RunFolder(self._settings.runs / run_id).lake or self._place("lake")
        if lake.startswith(VOLUMES):
            open_files(self.workspace, lake).remove_folder(f"{lake}/runs/{run_id}")
            return
        root = StorageUri.parse(lake)
        accounts = {account.name: account for account in local_accounts(self._settings)}
        if root.account in accounts:
            Blobs(root, accounts[root.account]).remove_all(f"runs/{run_id}")
        else:
            self._report(f"The table stays at {lake}/runs/{run_id}: this machine has no credential for it.")

    def write_schedule(self, plan: Plan, folder: Path) -> Path:
        """Write a Databricks Asset Bundle that runs a scenario on a schedule, and return its main file."""
        from harness.targets.databricks.asset_bundle import write

        return write(self._settings, plan, self, folder)

    def sweep(self) -> int:
        """Remove what has expired, and give how many folders there were."""
        return sweep(open_files(self.workspace, self.root), self.root, datetime.now(UTC).date(), self._report)

    @cached_property
    def shelf(self) -> str:
        """The folder for what is uploaded now."""
        longest = timedelta(minutes=int(self._setting("time_limit_min"))).days + 1
        days = max(int(self._setting("expire_days")), longest)
        return f"{self.root}/{shelf(datetime.now(UTC).date(), days)}"

    @cached_property
    def _wheel(self) -> Path:
        return build_wheel(self._settings.home / "wheels")

    @property
    def _wheel_path(self) -> str:
        return f"{self.shelf}/wheels/{self._wheel.name}"

    def _run_folder(self, run_id: str) -> str:
        return f"{self.shelf}/{_RUNS}/{run_id}"

    def _job(self, run_id: str, remote: str) -> job_runs.Job:
        cluster_id = self._setting("cluster_id")
        return job_runs.Job(
            run_id=run_id,
            cluster=cluster_id or cluster_spec(self._settings, self.user, run_id),
            libraries=libraries(self._wheel_path),
            parameters=[f"{remote}/{name}" for name in (PLAN, RESULT, EVENTS)],
            timeout=timedelta(minutes=int(self._setting("time_limit_min"))),
        )

    def _submit(self, job: job_runs.Job, remote: str) -> job_runs.Submission:
        try:
            run_id = job_runs.submit(self.workspace, job)
        except KeyboardInterrupt:
            # Whether it got there or not: the same token leads to the same run.
            with job_runs.undisturbed():
                run_id = job_runs.submit(self.workspace, job)
                job_runs.ask_to_cancel(self.workspace, run_id)
            self._await_cancelled(run_id)
            raise
        except UnreachableError as error:
            raise LostRunError(
                f"{error.message}\n  {error.remedy}",
                remedy=f"It may have got there: look for 'harness {job.run_id}' among the job runs.",
            ) from error
        return job_runs.Submission(host=self.workspace.config.host or "", run_id=run_id, folder=remote)

    def _follow(self, submission: job_runs.Submission, folder: Path, listener: Listener) -> Result:
        files = open_files(self.workspace, submission.folder)
        follower = Follower(files, f"{submission.folder}/{EVENTS}", listener, self._report)
        try:
            ended = self._watch(submission, folder, follower)
            return self._result(ended, files, submission, folder)
        except UnreachableError as error:
            raise LostRunError(
                f"{error.message}\n  {error.remedy}",
                remedy=f"The run goes on there. 'harness attach {folder.name}' takes it up again.",
            ) from error

    def _watch(self, submission: job_runs.Submission, folder: Path, follower: Follower) -> Run:
        """Follow a run to its end; Ctrl-C is one, and whatever can't be followed is not to go on unseen."""
        try:
            write_text(folder / SUBMISSION, submission.model_dump_json(indent=2) + "\n")
            return job_runs.follow(self.workspace, submission.run_id, follower.look)
        except KeyboardInterrupt as error:
            job_runs.ask_to_cancel(self.workspace, submission.run_id)
            ended = self._await_cancelled(submission.run_id)
            raise InterruptedRunError(
                "Interrupted. The run was cancelled.", remedy=f"The run's page: {ended.run_page_url}"
            ) from error
        except UnreachableError:
            raise
        except NotThereError as error:
            with suppress(HarnessError):
                job_runs.cancel(self.workspace, submission.run_id)
            raise JobError(f"{error.message} The run was cancelled.", remedy=error.remedy) from error

    def _await_cancelled(self, run_id: int) -> Run:
        self._report("The run is being cancelled. Ctrl-C once more, and its end is not waited for.")
        return job_runs.await_cancelled(self.workspace, run_id)

    def _result(
        self, ended: Run, files: RemoteFiles, submission: job_runs.Submission, folder: Path
    ) -> Result:
        """The job's result; without one, the reason why there is none."""
        content = files.read(f"{submission.folder}/{RESULT}")
        said = self._output(ended, folder)
        if content is None:
            raise job_runs.fault(ended, said)
        result = _result_of(content, RunFolder(folder).read_plan().harness_version)
        # Kept here before it goes there.
        write_text(folder / RESULT, content.decode())
        if result.failure is None or not self._keep:
            self._remove_all(submission.folder, *_scratch_of(folder))
        return result

    def _output(self, ended: Run, folder: Path) -> RunOutput | None:
        """What the task said, kept as the run's log; a result is of use without it."""
        try:
            said = job_runs.output(self.workspace, ended)
        except NotThereError as error:
            self._report(f"The run's log can't be had: {error.message}")
            return None
        if said is not None and said.logs:
            cut = "[The workspace keeps the end of the log alone.]\n" if said.logs_truncated else ""
            write_text(folder / LOG, cut + said.logs)
        return said

    @contextmanager
    def _removed_after_fault(self, *folders: str) -> Iterator[None]:
        """What a run has for itself there goes with it; a run that goes on out of sight still needs it."""
        try:
            yield
        except LostRunError:
            raise
        except (HarnessError, KeyboardInterrupt):
            if not self._keep:
                self._remove_all(*folders)
            raise

    def _remove_all(self, *folders: str) -> None:
        """Remove what a run has for itself, the last that was made first."""
        for folder in dict.fromkeys(reversed(folders)):
            self._remove(open_files(self.workspace, folder), folder)

    def _remove(self, files: RemoteFiles, folder: str) -> None:
        """Remove what is not needed any more; a fault of it is told, and hides no other."""
        try:
            files.remove_folder(folder)
        except HarnessError as error:
            swept = ", until 'harness sweep'" if "/until-" in folder else ""
            self._report(f"{folder} is still there{swept}: {error.message}")

    def _place(self, name: str) -> str:
        chosen = self._setting(name).rstrip("/")
        if not chosen and not self.root.startswith(VOLUMES):
            raise UsageError(
                f"The Databricks target needs a place for the {name}, and none is set.",
                remedy=f"Set {name} under [targets.databricks] to an abfss:// URI or a folder of a volume.",
            )
        if chosen and not chosen.startswith((SCHEME, VOLUMES)):
            raise UsageError(
                f"A cluster can't reach the {name} {chosen}.",
                remedy="Name an abfss:// URI or a folder of a volume: /Volumes/CATALOG/SCHEMA/VOLUME/FOLDER.",
            )
        return chosen or f"{self.root}/{name}"

    def _setting(self, name: str) -> str:
        return self._settings[DATABRICKS_SETTINGS + name]


def _scratch_of(folder: Path) -> list[str]:
    """The folder in a volume that a run's models go through; one in the lake goes with the run's table."""
    plan = RunFolder(folder).read_plan()
    return [] if plan.environment.scratch is None else [plan.scratch_uri]


def _result_of(content: bytes, version: str) -> Result:
    """The result, of the wheel that was sent: a warm cluster may have another one."""
    try:
        result = Result.from_json(content)
        ran = result.libraries.get("harness")
    except ValueError:
        result, ran = None, "of another version"
    if result is None or ran != version:
        raise JobError(
            f"The cluster ran the harness {ran}, not {version}, which was sent.",
            remedy="Restart the cluster: it has another one installed.",
        )
    return result
