"""Names in MLflow that more than one part of the harness reads: tags of runs, and folders of artifacts."""

from __future__ import annotations

RUN_TAG = "harness.run_id"
"""Tag of every run: the harness's own id of the run."""
KEY_TAG = "harness.key"
"""Tag of a version's run: what determines its model. It is set last: the run has a whole record."""
BUNDLE_TAG = "harness.bundle"
"""Tag of a version's run: the URI of the bundle that it was published in."""
MODELS = "models"
"""Folder of the models among the artifacts of a version's run."""
TRAINING = "training"
"""Folder of the record that lets a later run use a training."""
TRAINING_RECORD = "record.json"
"""File of the record in that folder."""
