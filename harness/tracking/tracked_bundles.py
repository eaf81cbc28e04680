"""Published bundles, read with this machine's storage clients and MLflow's own client."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from harness.plan import Environment
from harness.retention.pins import search_models
from harness.storage.model_store import BundleStore, open_store
from harness.storage.tracking_store import find_missing_store
from harness.tracked_names import BUNDLE_TAG
from harness.tracking.lineage import iterate_runs, open_client, require_store
from harness.used_models import UsedModels


class TrackedBundles:
    """The bundles of an environment, as this machine reaches it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @cached_property
    def store(self) -> BundleStore:
        """The environment's model store."""
        return open_store(self._environment.model_store, self._environment.accounts, create=False)

    def read_used(self) -> UsedModels:
        """Return what MLflow knows about models in use; nothing if its store doesn't exist."""
        uri = self._environment.tracking_uri
        if find_missing_store(uri) is not None:
            return UsedModels({}, frozenset())
        require_store(uri)
        with open_client(uri) as client:
            found = client.get_experiment_by_name(self._environment.experiment)
            runs = [] if found is None else list(iterate_runs(client, found.experiment_id, ""))
            ids = [str(run.info.run_id) for run in runs]
            registered = frozenset(model.run_id for model in search_models(client, ids))
            return UsedModels(
                {run_id: run.data.tags for run_id, run in zip(ids, runs, strict=True)}, registered
            )

    def forget(self, bundles: Mapping[str, str]) -> None:
        """Remove the tags that name bundles which no longer exist."""
        with open_client(self._environment.tracking_uri) as client:
            for bundle, training in bundles.items():
                if client.get_run(training).data.tags.get(BUNDLE_TAG) == bundle:
                    client.delete_tag(training, BUNDLE_TAG)
