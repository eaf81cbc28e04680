"""The metrics that a version is measured by: their names, what they mean, what they rest on.

The names are scikit-learn's and MLflow's, and the values are defined as scikit-learn defines them.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_POSITIVES = 10
"""A ROC AUC on fewer positives than this is not proven, whatever its value."""
ADDED = "added_"
"""Before the name of a metric on held-out rows: the same of those alone that the version added."""


@dataclass(frozen=True)
class Metric:
    """One number that a version is measured by."""

    name: str
    meaning: str
    positives: str | None = None
    """Name of the metric that counts the positives it rests on, where that limits what it proves."""
    standard_error: str | None = None
    """Name of the metric that holds its standard error."""
    unit_interval: bool = True
    """Whether every possible value lies between 0 and 1."""


_ALL = (
    Metric(
        "cv_roc_auc",
        "ROC AUC by cross-validation on the training rows, mean over the folds of the chosen grid point",
        positives="train_positives",
        standard_error="cv_roc_auc_se",
    ),
    Metric("cv_roc_auc_se", "standard error of cv_roc_auc (Hanley and McNeil, over the folds)"),
    Metric(
        "test_roc_auc",
        "ROC AUC on the held-out rows",
        positives="test_positives",
        standard_error="test_roc_auc_se",
    ),
    Metric("test_roc_auc_se", "standard error of test_roc_auc (Hanley and McNeil)"),
    Metric("test_pr_auc", "average precision on the held-out rows"),
    Metric("test_log_loss", "mean log loss on the held-out rows, in nats", unit_interval=False),
    Metric("test_accuracy", "share of held-out rows that are predicted right at 0.5"),
    Metric("test_f1", "F1 of the positive class on the held-out rows at 0.5"),
    Metric(
        "added_test_roc_auc",
        "ROC AUC on the held-out rows that this version added",
        positives="added_test_positives",
        standard_error="added_test_roc_auc_se",
    ),
    Metric("added_test_roc_auc_se", "standard error of added_test_roc_auc (Hanley and McNeil)"),
    Metric("added_test_pr_auc", "average precision on the held-out rows that this version added"),
    Metric(
        "added_test_log_loss",
        "mean log loss on the held-out rows that this version added, in nats",
        unit_interval=False,
    ),
    Metric(
        "added_test_accuracy", "share of held-out rows added by this version that are predicted right at 0.5"
    ),
    Metric("added_test_f1", "F1 of the positive class on the held-out rows that this version added, at 0.5"),
    Metric(
        "explanation_r2_mean",
        "mean R2 of the local explanations by a pipeline in Python, over the explained rows",
        unit_interval=False,
    ),
    Metric("lime_r2_mean", "mean R2 of the local explanations over the explained rows", unit_interval=False),
    Metric("train_rows", "rows that the model was trained on", unit_interval=False),
    Metric("train_positives", "positive rows that the model was trained on", unit_interval=False),
    Metric("test_rows", "held-out rows", unit_interval=False),
    Metric("test_positives", "positive held-out rows", unit_interval=False),
    Metric("added_test_rows", "held-out rows that this version added", unit_interval=False),
    Metric("added_test_positives", "positive held-out rows that this version added", unit_interval=False),
    Metric("filtered_rows", "rows that the scenario's filter left out", unit_interval=False),
    Metric(
        "unlabelled_rows",
        "rows dropped because their label is in neither list",
        unit_interval=False,
    ),
    Metric("explained_rows", "rows that were explained", unit_interval=False),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by name, in the order in which reports show them."""

OF_BUILT_IN = ("cv_roc_auc", "cv_roc_auc_se", "lime_r2_mean")
"""What is measured of the built-in pipeline alone."""
R2_OF_OWN = "explanation_r2_mean"
OF_OWN = (R2_OF_OWN,)
"""What is measured of pipelines in Python alone, beside what they measure themselves."""
