"""Published bundles of runs on a workspace, read and removed through Databricks' own client."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from harness.plan import Account, Environment
from harness.storage.model_store import MANIFEST, BundleStore, open_store
from harness.storage.uris import VOLUMES
from harness.targets.databricks.client import translate_errors
from harness.targets.databricks.experiment import search_runs
from harness.targets.databricks.workspace_files import VolumeFiles
from harness.tracked_names import BUNDLE_TAG
from harness.used_models import UsedModels

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_PAGE = 10_000


class WorkspaceBundles:
    """The bundles of runs on a workspace.

    Args:
        workspace: Client of the workspace.
        environment: Environment of the runs.
        accounts: Storage accounts for which this machine has a credential.
    """

    def __init__(
        self, workspace: WorkspaceClient, environment: Environment, accounts: tuple[Account, ...]
    ) -> None:
        self._workspace = workspace
        self._environment = environment
        self._accounts = accounts

    @cached_property
    def store(self) -> BundleStore:
        """The model store: a volume, or a container that this machine has a credential for."""
        uri = self._environment.model_store
        if uri.startswith(VOLUMES):
            return VolumeStore(VolumeFiles(self._workspace), uri)
        return open_store(uri, self._accounts, create=False)

    def read_used(self) -> UsedModels:
        """Return what MLflow knows about models in use.

        A model in Unity Catalog isn't found by its run, but has its own copy of the files.
        """
        runs = search_runs(self._workspace, self._environment.experiment, "")
        with translate_errors(self._workspace, "search the registered models"):
            models = list(self._workspace.model_registry.search_model_versions(max_results=_PAGE))
        registered = frozenset(model.run_id for model in models if model.run_id)
        return UsedModels({run.run_id: run.tags for run in runs}, registered)

    def forget(self, bundles: Mapping[str, str]) -> None:
        """Remove the tags that name bundles which no longer exist."""
        from databricks.sdk.errors import NotFound

        for training in bundles.values():
            with (
                translate_errors(self._workspace, f"remove a tag of the run {training}"),
                suppress(NotFound),
            ):
                self._workspace.experiments.delete_tag(training, BUNDLE_TAG)


class VolumeStore:
    """Bundles in a volume, through the workspace's API.

    Args:
        files: The workspace's volumes.
        root: Folder of the model store.
    """

    def __init__(self, files: VolumeFiles, root: str) -> None:
        self._files = files
        self._root = root

    def uri(self, path: str) -> str:
        """Return the path of a file, including the root."""
        return f"{self._root}/{path}"

    def find_path(self, uri: str) -> str:
        """Return the path of a URI in this store."""
        return uri.removeprefix(f"{self._root}/")

    def read(self, path: str) -> str | None:
        """Return the text of a file, or ``None`` if it doesn't exist."""
        content = self._files.read(self.uri(path))
        return None if content is None else content.decode(errors="replace")

    def is_unfinished(self, path: str, before: datetime) -> bool:
        """Return whether a path is a copy without a manifest in which nothing has changed since a time."""
        if self._files.exists(self.uri(f"{path}/{MANIFEST}")):
            return False
        changed = self._files.find_last_change(self.uri(path))
        return changed is not None and changed < before

    def remove_all(self, path: str) -> None:
        """Remove a folder with everything in it, if it exists."""
        self._files.remove_folder(self.uri(path))
