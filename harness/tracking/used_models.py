"""Which trained models are still in use, as far as MLflow knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from harness.retention.pins import search_models
from harness.storage.tracking_store import find_missing_store
from harness.tracked_names import BUNDLE_TAG, REUSED_TAG, RUN_TAG
from harness.tracking.lineage import iterate_runs, open_client, require_store


@dataclass(frozen=True)
class UsedModels:
    """The runs of an experiment, and which of them trained a registered model."""

    tags: Mapping[str, Mapping[str, str]]
    """MLflow's id of each run to its tags."""
    registered: frozenset[str]
    """Ids of the MLflow runs that trained a registered model."""

    @classmethod
    def read(cls, uri: str, experiment: str) -> UsedModels:
        """Read what MLflow knows.

        Args:
            uri: MLflow's tracking URI.
            experiment: Name of the experiment.

        Raises:
            PrerequisiteError: MLflow doesn't answer, or its store can't be read.
        """
        if find_missing_store(uri) is not None:
            return cls({}, frozenset())
        require_store(uri)
        with open_client(uri) as client:
            found = client.get_experiment_by_name(experiment)
            runs = [] if found is None else list(iterate_runs(client, found.experiment_id, ""))
            ids = [str(run.info.run_id) for run in runs]
            registered = frozenset(model.run_id for model in search_models(client, ids))
            return cls({run_id: run.data.tags for run_id, run in zip(ids, runs, strict=True)}, registered)

    def explain_use(self, bundle: str, training: str, removed: Collection[str]) -> str:
        """Return why a bundle must stay, as the end of a sentence; empty if nobody uses it.

        Args:
            bundle: URI of the bundle.
            training: Id of the MLflow run that trained its models.
            removed: Ids of the harness's runs that are removed.
        """
        tags = self.tags.get(training)
        if tags is None:
            return "MLflow no longer has the run that trained its models"
        if tags.get(RUN_TAG) not in removed:
            return f"another run trained its models: {tags.get(RUN_TAG, training)}"
        # 'harness publish' adds the name of the store to the tag.
        if bundle in [uri for tag, uri in tags.items() if tag.startswith(f"{BUNDLE_TAG}.")]:
            return "'harness publish' has published it"
        if training in self.registered:
            return "its model is registered in MLflow"
        for other in self.tags.values():
            used = [run for tag, run in other.items() if tag.startswith(REUSED_TAG)]
            if training in used and other.get(RUN_TAG) not in removed:
                return f"another run uses its models: {other.get(RUN_TAG, 'unknown')}"
        return ""


def forget_bundles(uri: str, bundles: Mapping[str, str]) -> None:
    """Remove the tags that name bundles which no longer exist.

    Args:
        uri: MLflow's tracking URI.
        bundles: URI of each bundle to the MLflow run that trained its models.
    """
    with open_client(uri) as client:
        for bundle, training in bundles.items():
            if client.get_run(training).data.tags.get(BUNDLE_TAG) == bundle:
                client.delete_tag(training, BUNDLE_TAG)
