"""The metrics of a version: their names, meanings and domains, and which direction is better.

The names are scikit-learn's and MLflow's, and the values are defined as scikit-learn defines them.
A new metric is an entry here and a formula in ``harness.job``; every other list is derived.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

UNLABELLED_ROWS = "unlabelled_rows"
ADDED = "added_"
"""Prefix of a metric that is computed only on the held-out rows that the version added."""
CHAMPION = "champion_"
"""Prefix of a metric of the champion."""


@dataclass(frozen=True)
class Domain:
    """The values that a number can have."""

    low: float = -math.inf
    high: float = math.inf
    is_whole: bool = False

    @property
    def change_domain(self) -> Domain:
        """Domain of the difference of two such numbers."""
        spread = self.high - self.low
        return Domain(-spread, spread, self.is_whole)

    @property
    def relative_change_domain(self) -> Domain:
        """Domain of the difference as a share of the earlier number."""
        return Domain(-1.0 if self.low >= 0 else -math.inf)


SHARES = Domain(0.0, 1.0)
COUNTS = Domain(0.0, is_whole=True)
CORRELATIONS = Domain(-1.0, 1.0)
LOG_LOSSES = Domain(0.0, 36.05)
"""Probabilities are clipped at the machine epsilon, whose logarithm is -36.04."""
AT_MOST_1 = Domain(high=1.0)
ANY_NUMBER = Domain()


@dataclass(frozen=True)
class Classes:
    """Names of the metrics that count the rows, and the positive ones among them."""

    rows: str
    positives: str


_TRAIN = Classes("train_rows", "train_positives")
_TEST = Classes("test_rows", "test_positives")


@dataclass(frozen=True)
class Metric:
    """A metric of a version: its meaning, its domain, and which values are better."""

    name: str
    meaning: str
    """What it measures; ``{rows}`` stands for the held-out rows, ``{added}`` for the prefix of added rows."""
    domain: Domain = SHARES
    better: Literal["higher", "lower"] | None = None
    """Which values are better; ``None`` if it doesn't measure quality."""
    classes: Classes | None = None
    """Counts of the rows that it is measured on; with too few of one class, it is not proven."""
    standard_error: str | None = None
    """Name of the metric that is its standard error."""
    pipeline: Literal["built-in", "custom"] | None = None
    """The only kind of pipeline that has it; ``None`` if both have it."""
    on_added: bool = False
    """Whether it is also computed separately on the held-out rows that the version added."""
    on_explained: bool = False
    """Whether it depends on which rows are explained."""
    of_champion: bool = False
    """Whether it measures the champion, not the model that is trained now."""


_DEFINITIONS = (
    Metric(
        "cv_roc_auc",
        "ROC AUC by cross-validation on the training rows, mean over the folds of the chosen grid point",
        better="higher",
        classes=_TRAIN,
        standard_error="cv_roc_auc_se",
        pipeline="built-in",
    ),
    Metric(
        "cv_roc_auc_se",
        "standard error of cv_roc_auc (Hanley and McNeil, over the folds)",
        pipeline="built-in",
    ),
    Metric(
        "test_roc_auc",
        "ROC AUC on {rows}",
        better="higher",
        classes=_TEST,
        standard_error="test_roc_auc_se",
        on_added=True,
    ),
    Metric("test_roc_auc_se", "standard error of {added}test_roc_auc (Hanley and McNeil)", on_added=True),
    Metric("test_pr_auc", "average precision on {rows}", better="higher", classes=_TEST, on_added=True),
    Metric(
        "test_log_loss",
        "mean log loss on {rows}, in nats",
        LOG_LOSSES,
        better="lower",
        classes=_TEST,
        standard_error="test_log_loss_se",
        on_added=True,
    ),
    Metric(
        "test_log_loss_se",
        "standard error of {added}test_log_loss (of a mean over rows)",
        LOG_LOSSES,
        on_added=True,
    ),
    Metric(
        "test_accuracy",
        "share of correct predictions on {rows}, at 0.5",
        better="higher",
        classes=_TEST,
        standard_error="test_accuracy_se",
        on_added=True,
    ),
    Metric("test_accuracy_se", "standard error of {added}test_accuracy (binomial)", on_added=True),
    Metric(
        "test_f1", "F1 of the positive class on {rows}, at 0.5", better="higher", classes=_TEST, on_added=True
    ),
    Metric(
        "explanation_r2_mean",
        "mean R2 of the local explanations by a custom pipeline, over the explained rows",
        AT_MOST_1,
        better="higher",
        pipeline="custom",
        on_explained=True,
    ),
    Metric(
        "lime_r2_mean",
        "mean adjusted R2 of the local explanations over the explained rows",
        AT_MOST_1,
        better="higher",
        pipeline="built-in",
        on_explained=True,
    ),
    Metric("train_rows", "rows that the model was trained on", COUNTS),
    Metric("train_positives", "positive rows that the model was trained on", COUNTS),
    Metric("test_rows", "number of {rows}", COUNTS, on_added=True),
    Metric("test_positives", "number of positives among {rows}", COUNTS, on_added=True),
    Metric("filtered_rows", "rows that the scenario's filter removed", COUNTS),
    Metric(UNLABELLED_ROWS, "rows dropped because their label is in none of the lists", COUNTS),
    Metric("ignored_rows", "rows dropped because their label is listed under 'ignore'", COUNTS),
    Metric(
        "dropped_rows",
        "rows that the stages of a custom pipeline dropped, of training and held-out rows",
        COUNTS,
        pipeline="custom",
    ),
    Metric("explained_rows", "rows that were explained", COUNTS),
)


def _add_metrics_on_added_rows(definitions: tuple[Metric, ...]) -> Iterator[Metric]:
    """Yield each metric; those of added rows follow their group."""
    for on_added, group in itertools.groupby(definitions, key=lambda metric: metric.on_added):
        metrics = list(group)
        for each in metrics:
            yield replace(each, meaning=each.meaning.format(rows="the held-out rows", added=""))
        if on_added:
            yield from map(_make_added, metrics)


def _make_added(metric: Metric) -> Metric:
    meaning = metric.meaning.format(rows="the held-out rows that this version added", added=ADDED)
    return replace(_add_prefix(metric, ADDED), meaning=meaning, on_added=False)


def _make_champion(metric: Metric) -> Metric:
    meaning = f"the same of the champion: {metric.meaning}"
    return replace(_add_prefix(metric, CHAMPION), meaning=meaning, on_added=False, of_champion=True)


def _add_prefix(metric: Metric, prefix: str) -> Metric:
    """Return a metric whose name, and those that it refers to, have a prefix."""
    classes = metric.classes
    return replace(
        metric,
        name=f"{prefix}{metric.name}",
        classes=classes and Classes(f"{prefix}{classes.rows}", f"{prefix}{classes.positives}"),
        standard_error=metric.standard_error and f"{prefix}{metric.standard_error}",
    )


def name_on_added(metric: str) -> str:
    """Return the name of a metric on held-out rows if it is only computed on added ones."""
    if metric.startswith(CHAMPION):
        return f"{CHAMPION}{ADDED}{metric.removeprefix(CHAMPION)}"
    return f"{ADDED}{metric}"


_OF_MODEL = tuple(_add_metrics_on_added_rows(_DEFINITIONS))
_ON_HELD_OUT = {each.name for each in _DEFINITIONS if each.on_added}
_OF_CHAMPION = tuple(
    _make_champion(each) for each in _OF_MODEL if each.name.removeprefix(ADDED) in _ON_HELD_OUT
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_OF_MODEL, *_OF_CHAMPION)}
"""Every metric by name, in the order in which reports show them."""
HELD_OUT_METRICS = tuple(name for name, metric in METRICS.items() if metric.on_added)
"""Metrics on held-out rows, each of which also exists for added rows."""
CHAMPION_METRICS = tuple(name for name, metric in METRICS.items() if metric.of_champion)
"""Metrics of the champion on held-out rows, and on added ones."""
QUALITY_METRICS = tuple(name for name, metric in METRICS.items() if metric.better)
"""Metrics of which some values are better than others."""
EXPLANATION_METRICS = tuple(name for name, metric in METRICS.items() if metric.on_explained)
"""Metrics that depend on which rows are explained."""
BUILT_IN_METRICS = tuple(name for name, metric in METRICS.items() if metric.pipeline == "built-in")
"""Metrics that only the built-in pipeline has."""
CUSTOM_METRICS = tuple(name for name, metric in METRICS.items() if metric.pipeline == "custom")
"""Metrics that only custom pipelines have, besides those that they compute themselves."""
DATA_METRICS = ("filtered_rows", UNLABELLED_ROWS, "ignored_rows")
"""Metrics that are counted without a model."""
R2_OF_CUSTOM = "explanation_r2_mean"
EXPLAINER_METRICS = ("lime_r2_mean", R2_OF_CUSTOM, "explained_rows")
"""The metrics that measure the explainer; all others measure the model that it explains."""
