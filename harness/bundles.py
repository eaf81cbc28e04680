"""A bundle: the featurizer, classifier and explainer of one version, which depend on each other.

It is saved once, logged to MLflow, and copied unchanged to the model store. The manifest is written last, and
only if the copy is verified: a copy without a manifest is not a bundle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.errors import JobError
from harness.files import digest_files
from harness.plan import Plan
from harness.results import VersionResult
from harness.storage.model_store import MANIFEST, ModelStore, name_bundle
from harness.stored_json import parse_json

FEATURIZER, CLASSIFIER, EXPLAINER = "featurizer", "classifier", "explainer"
DEPENDS_ON = {FEATURIZER: (), CLASSIFIER: (FEATURIZER,), EXPLAINER: (FEATURIZER, CLASSIFIER)}
"""Model to the models that it needs."""
MANIFEST_FORMAT = 2
"""Format of the manifests that this version writes. Manifests without a format version have format 1."""
_COPIES_AT_ONCE = 4


def locate(store: ModelStore, version: VersionResult, plan: Plan) -> str:
    """Return the URI of a version's bundle, whether it exists or not."""
    return store.uri(name_bundle(plan.scenario.table.name, version.version, version.run_id or ""))


def publish(
    store: ModelStore, folder: Path, version: VersionResult, plan: Plan, check: Callable[[str], None]
) -> str:
    """Copy the models of a version to the model store, and return the URI of the bundle.

    An intact bundle is left as it is: publishing the same run twice changes nothing.

    Args:
        store: The model store.
        folder: Local folder of the models.
        version: The version's result.
        plan: The run's plan.
        check: Verifies the copy at a URI; only then is it a bundle.
    """
    uri = locate(store, version, plan)
    bundle = store.find_path(uri)
    digests = digest_files(folder)
    if _has_files(store.read(f"{bundle}/{MANIFEST}"), digests):
        try:
            check(uri)
        except JobError:  # Somebody has changed a file: all are copied again.
            store.remove_all(bundle)
        else:
            return uri
    with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
        list(pool.map(lambda name: store.put(f"{bundle}/{name}", folder / name), digests))
    check(uri)
    store.write(f"{bundle}/{MANIFEST}", _make_manifest(digests, version, plan))
    return uri


def _has_files(manifest: str | None, digests: Mapping[str, str]) -> bool:
    """Return whether a manifest lists exactly these files: a later run may publish the same models."""
    try:
        return manifest is not None and parse_json(manifest)["files"] == digests
    except (ValueError, KeyError, TypeError):
        return False


def _make_manifest(digests: Mapping[str, str], version: VersionResult, plan: Plan) -> str:
    """Describe the bundle: its origin, its files, and which model depends on which, by digest."""
    of_model = {name: _digest_model(name, digests) for name in DEPENDS_ON}
    manifest = {
        "format_version": MANIFEST_FORMAT,
        "scenario": plan.scenario.name,
        "table": plan.table_uri,
        "version": version.version,
        "version_name": version.name,
        "fingerprint": version.fingerprint,
        "mlflow_run_id": version.run_id,
        "run_id": plan.run_id,
        **_describe_pipeline(plan),
        "models": {
            name: {
                "sha256": of_model[name],
                "depends_on": {other: of_model[other] for other in DEPENDS_ON[name]},
            }
            for name in DEPENDS_ON
        },
        "files": dict(digests),
    }
    return json.dumps(manifest, indent=2) + "\n"


def _describe_pipeline(plan: Plan) -> dict[str, object]:
    """Describe the custom pipeline for the manifest; empty if the scenario uses none."""
    if plan.code_sha256 is None:
        return {}
    return {"pipeline": {"use": plan.scenario.pipeline.use, "sha256": plan.code_sha256}}


def _digest_model(model: str, digests: Mapping[str, str]) -> str:
    lines = [
        f"{digest}  {name}\n" for name, digest in sorted(digests.items()) if name.startswith(f"{model}/")
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
