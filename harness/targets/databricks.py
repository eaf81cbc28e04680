"""The Databricks target: the same wheel, entry point and plan as a one-time run on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.checks import Check, require
from harness.errors import HarnessError, JobError, LostRunError, NotThereError, UsageError
from harness.events import Event, Listener
from harness.files import write_text
from harness.results import Result
from harness.runs import PLAN, RESULT
from harness.scenario.plan import Environment, Plan, SourceData
from harness.settings import Settings
from harness.storage.blobs import Blobs, account_of
from harness.storage.uri import SCHEME, VOLUMES, StorageUri
from harness.targets.process import LOG
from harness.targets.spark import is_small, session_settings
from harness.wheel import build_wheel
from harness.workspace import runs
from harness.workspace.client import UnreachableError, open_workspace, told
from harness.workspace.cluster import PREFIX, cluster_spec, libraries, scope_accounts
from harness.workspace.files import RemoteFiles, open_files, put, shelf, sweep, text

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.iam import User
    from databricks.sdk.service.jobs import Run

EVENTS = "events.jsonl"
SUBMISSION = "submission.json"
"""In the run's local folder: what leads to the run on the workspace."""


class Databricks:
    """Runs the job on a cluster of a workspace."""

    def __init__(self, settings: Settings, report: Callable[[str], None], *, keep: bool = False) -> None:
        self._settings = settings
        self._report = report
        self._keep = keep

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
            target="databricks",
            lake=self._place("lake"),
            model_store=self._place("models"),
            tracking_uri="databricks",
            experiment=self.experiment,
            spark=session_settings(small=is_small(source_bytes)),
            scratch=self._setting("model_volume") or None,
            accounts=scope_accounts(self._settings),
        )

    @property
    def experiment(self) -> str:
        """The experiment's path in the workspace."""
        return self._setting("experiment") or f"/Users/{self.user}/{self._settings['experiment']}"

    def place(self, source: SourceData) -> SourceData:
        """Local files are uploaded, under a name that is their content's."""
        if "://" in source.uri or source.uri.startswith(VOLUMES):
            return source
        path = Path(source.uri)
        if source.sha256 is None:
            raise NotThereError(
                f"The Databricks target can't upload {path}: it is a folder.",
                remedy="Name a single file, an abfss:// URI or a folder of a volume as the source.",
            )
        uri = f"{self.shelf}/sources/{source.sha256}/{path.name}"
        # Spark takes volumes by their path; the workspace's own files only from the file system.
        scheme = "" if uri.startswith(VOLUMES) else "file:"
        return source.model_copy(update={"uri": scheme + uri, "copied_from": str(path)})

    def checks(self) -> Iterator[Check]:
        """What the workspace must have and permit."""
        from harness.workspace.doctor import checks

        return checks(self._settings, self)

    def prepare(self, plan: Plan) -> None:
        """Check the workspace, and upload wheel, rows and plan."""
        require(self.checks())
        files = open_files(self.workspace, self.root)
        put(files, self._wheel_path, self._wheel)
        if plan.source.copied_from is not None:
            put(files, plan.source.uri.removeprefix("file:"), Path(plan.source.copied_from))
        folder = self._run_folder(plan.run_id)
        with self._removed_after_fault(files, folder):
            files.make_folder(folder)
            files.upload(f"{folder}/{PLAN}", text(plan.model_dump_json(by_alias=True)))

    def run(self, folder: Path, listener: Listener) -> Result:
        """Submit the job, and follow it to its end."""
        remote = self._run_folder(folder.name)
        with self._removed_after_fault(open_files(self.workspace, self.root), remote):
            run_id = runs.submit(self.workspace, self._job(folder.name, remote))
            host = self.workspace.config.host or ""
            submission = runs.Submission(host=host, run_id=run_id, folder=remote)
            write_text(folder / SUBMISSION, submission.model_dump_json(indent=2) + "\n")
            return self._follow(submission, folder, listener)

    def attach(self, folder: Path, listener: Listener) -> Result:
        """Take a run up again that was submitted before.

        Raises:
            NotThereError: The run's folder names none.
        """
        file = folder / SUBMISSION
        if not file.is_file():
            raise NotThereError(
                f"The run {folder.name} was never submitted to a workspace: there is no {file}."
            )
        submission = runs.Submission.model_validate_json(file.read_text(encoding="utf-8"))
        if submission.host != self.workspace.config.host:
            raise UsageError(
                f"The run {folder.name} is on {submission.host}, not on {self.workspace.config.host}.",
                remedy="Name that workspace's profile: HARNESS_TARGETS_DATABRICKS_PROFILE.",
            )
        with self._removed_after_fault(open_files(self.workspace, self.root), submission.folder):
            return self._follow(submission, folder, listener)

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables."""
        lake = self._place("lake")
        if lake.startswith(VOLUMES):
            open_files(self.workspace, lake).remove_folder(f"{lake}/runs/{run_id}")
        elif lake.startswith(SCHEME):
            root = StorageUri.parse(lake)
            Blobs(root, account_of(root, scope_accounts(self._settings))).remove_all(f"runs/{run_id}")

    def sweep(self) -> int:
        """Remove what has expired, and give how many folders there were."""
        return sweep(open_files(self.workspace, self.root), self.root, datetime.now(UTC).date(), self._report)

    @cached_property
    def shelf(self) -> str:
        """The folder for what is uploaded now."""
        days = int(self._setting("expire_days"))
        return f"{self.root}/{shelf(datetime.now(UTC).date(), days)}"

    @cached_property
    def _wheel(self) -> Path:
        return build_wheel(self._settings.home / "wheels")

    @property
    def _wheel_path(self) -> str:
        return f"{self.shelf}/wheels/{self._wheel.name}"

    def _run_folder(self, run_id: str) -> str:
        return f"{self.shelf}/runs/{run_id}"

    def _job(self, run_id: str, remote: str) -> runs.Job:
        cluster_id = self._setting("cluster_id")
        return runs.Job(
            run_id=run_id,
            cluster=cluster_id or cluster_spec(self._settings, self.user, run_id),
            libraries=libraries(self._wheel_path),
            parameters=[f"{remote}/{name}" for name in (PLAN, RESULT, EVENTS)],
            timeout=timedelta(minutes=int(self._setting("time_limit_min"))),
        )

    def _follow(self, submission: runs.Submission, folder: Path, listener: Listener) -> Result:
        files = open_files(self.workspace, submission.folder)
        follower = _Follower(files, f"{submission.folder}/{EVENTS}", listener, self._report)
        try:
            try:
                ended = runs.follow(self.workspace, submission.run_id, follower.look)
            except KeyboardInterrupt:
                runs.cancel(self.workspace, submission.run_id)
                ended = runs.follow(self.workspace, submission.run_id, follower.look)
            return self._result(ended, files, submission, folder)
        except UnreachableError as error:
            raise LostRunError(
                f"{error.message}\n  {error.remedy}",
                remedy=f"The run goes on there. 'harness attach {folder.name}' takes it up again.",
            ) from error

    def _result(self, ended: Run, files: RemoteFiles, submission: runs.Submission, folder: Path) -> Result:
        """The job's result; without one, the reason why there is none."""
        said = runs.output(self.workspace, ended)
        if said is not None and said.logs:
            cut = "[The workspace keeps the end of the log alone.]\n" if said.logs_truncated else ""
            write_text(folder / LOG, cut + said.logs)
        content = files.read(f"{submission.folder}/{RESULT}")
        if content is None:
            raise runs.fault(ended, said)
        result = Result.model_validate_json(content)
        plan = Plan.model_validate_json((folder / PLAN).read_text(encoding="utf-8"))
        if (ran := result.libraries.get("harness")) != plan.harness_version:
            raise JobError(
                f"The cluster ran the harness {ran}, not {plan.harness_version}, which was sent.",
                remedy="Restart the cluster: it has another one installed.",
            )
        if result.failure is None or not self._keep:
            self._remove(files, submission.folder)
        return result

    @contextmanager
    def _removed_after_fault(self, files: RemoteFiles, folder: str) -> Iterator[None]:
        """What a run uploaded for itself goes with it; a run that goes on out of sight still needs it."""
        try:
            yield
        except LostRunError:
            raise
        except (HarnessError, KeyboardInterrupt):
            if not self._keep:
                self._remove(files, folder)
            raise

    def _remove(self, files: RemoteFiles, folder: str) -> None:
        """Remove what is not needed any more; a fault of it is told, and hides no other."""
        try:
            files.remove_folder(folder)
        except HarnessError as error:
            self._report(f"{folder} is still there, until 'harness sweep': {error.message}")

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
        return self._settings[PREFIX + name]


class _Follower:
    """Hands on what a run says of itself, as far as it was not heard before."""

    def __init__(
        self, files: RemoteFiles, events: str, listener: Listener, report: Callable[[str], None]
    ) -> None:
        self._files = files
        self._events = events
        self._listener = listener
        self._report = report
        self._heard = 0
        self._began: datetime | None = None
        self._started = False

    def look(self, run: Run) -> None:
        """Tell what is new."""
        now = datetime.now(UTC)
        if self._began is None:
            self._began = now
            self._report(f"Run: {run.run_page_url}")
            self._listener(Event("cluster", "started"))
        if not runs.has_started(run):
            self._listener(Event("cluster", "running", detail=runs.message(run)))
            return
        if not self._started:
            self._started = True
            took_s = (now - self._began).total_seconds()
            self._listener(Event("cluster", "done", elapsed_s=took_s))
        self._hand_on()

    def _hand_on(self) -> None:
        content = self._files.read(self._events)
        lines = (content or b"").decode(errors="replace").splitlines()
        for line in lines[self._heard :]:
            if (event := Event.from_line(line)) is not None:
                self._listener(event)
        self._heard = max(self._heard, len(lines))
