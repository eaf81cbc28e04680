"""Which trained models and published bundles are still in use, as far as MLflow knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.storage.model_store import BundleStore
from harness.tracked_names import BUNDLE_TAG, REUSED_TAG, RUN_TAG


@dataclass(frozen=True)
class UsedModels:
    """The runs of an experiment, and which of them trained a registered model."""

    tags: Mapping[str, Mapping[str, str]]
    """MLflow's id of each run to its tags."""
    registered: frozenset[str]
    """Ids of the MLflow runs that trained a registered model."""

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


class BundleRecords(Protocol):
    """Published bundles: the store that has their files, and MLflow's records of them."""

    @property
    def store(self) -> BundleStore:
        """The store with the bundles' files.

        Raises:
            PrerequisiteError: It doesn't answer, or this machine has no credential for it.
        """

    def read_used(self) -> UsedModels:
        """Return what MLflow knows about models in use.

        Raises:
            PrerequisiteError: MLflow doesn't answer, or refuses the request.
        """

    def forget(self, bundles: Mapping[str, str]) -> None:
        """Remove the tags that name bundles which no longer exist.

        Args:
            bundles: URI of each bundle to the MLflow run that trained its models.
        """
