"""Names in MLflow that more than one part of the harness reads: tags of runs, and folders of artifacts."""

from __future__ import annotations

import hashlib
import string

RUN_TAG = "harness.run_id"
"""Tag of every run: the harness's own id of the run."""
KEY_TAG = "harness.key"
"""Tag of a version's run: what determines its model. It is set last: the run has a whole record."""
BUNDLE_TAG = "harness.bundle"
"""Tag of a version's run: the URI of the bundle that it was published in."""
REUSED_TAG = "harness.reused."
"""Start of the tags of a parent run that name the earlier runs whose models it uses, one for each version."""
MODEL_TAG = "harness.model"
"""Tag of a version's run: the URI of its deployable pipeline."""
ROLE_TAG = "harness.role"
"""Tag of a model that MLflow lists: whether it is a deployable pipeline or an explainer."""
PIPELINE = "pipeline"
"""Role of a deployable pipeline, and its folder among a run's artifacts before MLflow 3."""
MODELS = "models"
"""Folder of the models among the artifacts of a version's run."""
TRAINING = "training"
"""Folder of the record that lets a later run use a training."""
TRAINING_RECORD = "record.json"
"""File of the record in that folder."""
TRAINING_PREDICTIONS = "predictions.parquet"
"""File of the predictions in that folder."""
SCENARIO = "scenario.json"
"""File of the scenario among the artifacts of a parent run."""
CODE = "pipeline"
"""Folder of the scenario's custom pipeline among the parent run's artifacts."""
HARNESS_TAG, LIBRARIES_TAG = "harness.code", "harness.libraries"
"""Tags of every run: what identifies the harness's code, and the libraries with which it ran."""
BEFORE_TAG = "harness.data_version_before"
"""Tag of a version's run: the Delta version of the one before it in the scenario, if there is one."""
APPROVAL_TAG = "harness.approval"
"""Tag of a parent run: which version was approved, or why none was, for people."""
APPROVED_TABLE_TAG, APPROVED_FROM_TAG = "harness.approved_table", "harness.approved_from"
"""Tags of a parent run that approved a version: the approved table, and the judged one."""
APPROVED_VERSION_TAG = "harness.approved_version"
"""Tag of a parent run that approved a version: its Delta version."""
TARGET_TAG, TABLE_TAG = "harness.target", "harness.table"
"""Tags of every run: its target, and the name of its table."""
PATH_TAG, VERSION_TAG, FINGERPRINT_TAG = (
    "harness.data_path",
    "harness.data_version",
    "harness.data_fingerprint",
)
"""Tags of a version's run: the URI of its table, its Delta version, and the fingerprint of its rows."""
UNITY_CATALOG = "databricks-uc"
"""URI of the registry of models in Unity Catalog, whose names have three levels."""
DEFAULT_ALIAS = "champion"
"""Alias of a registered model that is rolled back if no other one is named."""
_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}_.")
_LONGEST_NAME, _LONGEST_SLOT, _DIGITS = 250, 200, 16


def name_explanation_metric(slot: str, statistic: str) -> str:
    """Return the name of a statistic of the explanations of a slot, such as ``explanation.age.mean``.

    MLflow allows few characters. Others in the slot's name become a hyphen and two hexadecimal digits for
    each of their bytes; so does the hyphen itself. A digest replaces the end of a very long name.
    """
    plain = "".join(
        character
        if character in _PLAIN
        else "".join(f"-{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        for character in slot
    )
    name = f"explanation.{plain}.{statistic}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(slot.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"explanation.{plain[:_LONGEST_SLOT]}-{digest}.{statistic}"
