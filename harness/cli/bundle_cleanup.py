"""Deletion of the bundles of removed runs: only of those that nobody uses, as far as that can be known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.plan import Plan
from harness.results import VersionResult
from harness.retention.pins import Manifest
from harness.runs import RESULT, STEPS, UNSETTLED, RunFolder
from harness.settings import Settings
from harness.storage.model_store import MANIFEST, BundleStore, find_bundle_path, name_bundle
from harness.stored_json import parse_json
from harness.targets.base import open_bundle_keeper, open_settleable
from harness.used_models import BundleRecords, UsedModels

_MOST_TIME_BETWEEN_FILES = timedelta(hours=1)
"""A copy in which nothing has changed for longer is not being made any more."""


@dataclass(frozen=True)
class RemovableBundles:
    """The bundles of a run that nobody else uses."""

    bundles: dict[str, str] = field(default_factory=dict)
    """URI of each, also of broken copies, to the MLflow run that trained its models."""
    records: BundleRecords | None = None
    """The run's model store and MLflow; ``None`` if there are no bundles."""

    def remove(self) -> None:
        """Remove them, and the tags in MLflow that name them.

        Raises:
            PrerequisiteError: One can't be removed, or MLflow doesn't answer.
        """
        if self.records is None or not self.bundles:
            return
        store = self.records.store
        for uri in self.bundles:
            store.remove_all(store.find_path(uri))
        self.records.forget(self.bundles)


class BundleCleanup:
    """The search for the bundles that can be removed with runs.

    A bundle stays if a kept run uses it, if it doesn't belong to a run of this machine, if a run of another
    machine uses its models, if 'harness publish' has published it, or if its model is registered. A broken
    copy, which has no manifest, also stays if somebody may still be making it.

    Args:
        settings: Settings of the command.
        kept: The runs that stay.
        removed: Ids of all runs of this machine that are, or were, removed.
    """

    def __init__(self, settings: Settings, kept: Sequence[RunFolder], removed: Collection[str]) -> None:
        self.stays: dict[str, None] = {}
        """Sentences about the bundles that stay, in the order in which they were found."""
        self._settings = settings
        self._kept = kept
        running = [run.started for run in kept if run.is_running]
        self._unchanged_since = min([datetime.now(UTC) - _MOST_TIME_BETWEEN_FILES, *running])
        self._removed = removed
        self._used: dict[tuple[str, ...], UsedModels] = {}

    def find(self, run: RunFolder) -> RemovableBundles:
        """Return the bundles that can be removed with a run.

        Raises:
            PrerequisiteError: The model store or MLflow doesn't answer.
        """
        try:
            plan, versions = run.read_plan(), run.read_result().versions
        except PrerequisiteError:  # It has none, or another version of the harness has written it.
            return RemovableBundles()
        trained = [each for each in versions if each.run_id and not self._is_kept(each.run_id)]
        if not trained or (records := self._open_records(run, plan)) is None:
            return RemovableBundles()
        found = dict(self._list_bundles(records.store, trained, plan.scenario.table.name))
        used_by = (plan.environment.target, plan.environment.tracking_uri, plan.environment.experiment)
        return RemovableBundles(dict(self._select_unused(found, records, used_by)), records)

    def _open_records(self, run: RunFolder, plan: Plan) -> BundleRecords | None:
        if (target := open_settleable(self._settings, run)) is not None:
            # Imported here, as it is rarely needed: MLflow takes seconds.
            from harness.tracking.tracked_bundles import TrackedBundles

            return TrackedBundles(target.reach(plan.environment))
        if (keeper := open_bundle_keeper(self._settings, run)) is None:
            return None
        if (records := keeper.open_bundles(plan.environment)) is None:
            store = plan.environment.model_store
            self.stays[f"The bundles in {store} stay: this machine has no credential for it."] = None
        return records

    def _list_bundles(
        self, store: BundleStore, versions: Sequence[VersionResult], table: str
    ) -> Iterator[tuple[str, str]]:
        """Yield the URI of each bundle and broken copy of some versions, with their MLflow run."""
        for version in versions:
            run_id = version.run_id or ""
            uri = version.bundle or store.uri(name_bundle(table, version.version, run_id))
            path = find_bundle_path(store, uri)
            if path is None or self._is_kept(uri):
                continue
            manifest = store.read(f"{path}/{MANIFEST}")
            if manifest is None:
                if store.is_unfinished(path, self._unchanged_since):
                    yield uri, run_id
            elif version.bundle is not None and self._is_own(uri, manifest, run_id):
                yield uri, run_id

    def _is_own(self, uri: str, manifest: str, run_id: str) -> bool:
        """Return whether a removed run has published a bundle from an MLflow run."""
        try:
            read = Manifest.model_validate(parse_json(manifest))
        except ValueError:
            self._keep(uri, "its manifest can't be read")
            return False
        if read.run_id not in self._removed or read.mlflow_run_id != run_id:
            self._keep(uri, f"it belongs to the run {read.run_id}")
            return False
        return True

    def _select_unused(
        self, bundles: dict[str, str], records: BundleRecords, experiment: tuple[str, ...]
    ) -> Iterator[tuple[str, str]]:
        """Yield those bundles that nobody uses, as far as MLflow knows; it is only asked if there are any."""
        for uri, training in bundles.items():
            if experiment not in self._used:
                self._used[experiment] = records.read_used()
            used = self._used[experiment]
            if reason := used.explain_use(uri, training, self._removed):
                self._keep(uri, reason)
            else:
                yield uri, training

    def _keep(self, uri: str, reason: str) -> None:
        self.stays[f"The bundle {uri} stays: {reason}."] = None

    def _is_kept(self, name: str) -> bool:
        """Return whether a kept run names a bundle, by its URI, or an MLflow run."""
        return any(name in text for text in self._texts)

    @cached_property
    def _texts(self) -> list[str]:
        """What the kept runs have recorded, as text: a damaged result may name a bundle, too."""
        files = (run.path / name for run in self._kept for name in (RESULT, STEPS, UNSETTLED))
        return [text for file in files if (text := _read_text(file))]


def _read_text(file: Path) -> str:
    """Return the text of a file; empty if it doesn't exist.

    Raises:
        PrerequisiteError: It can't be read.
    """
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PrerequisiteError(f"Can't read {file}: {error.strerror}.") from error
