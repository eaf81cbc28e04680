"""The local explanations of the probe rows, and their summary."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame, SparkSession, functions as F

from harness.job.explain import (
    ProbeExplanations,
    adjust_r2,
    choose_background_rows,
    choose_probe_keys,
    choose_probe_rows,
    explain,
    summarize,
)
from harness.job.models.cross_validation import TrainingOutcome
from harness.job.prepare import PROBE, PreparedRows
from harness.pipelines import FEATURES, KEY, Explainer, make_lime_explainer
from harness.results import FeatureExplanation
from harness.scenario.model_kinds import LogisticRegression
from tests.conftest import Loans
from tests.embedded.tables import add_columns, make_readings, make_small_samples, scenario, train

pytestmark = pytest.mark.spark

ROWS = 30


@dataclass(frozen=True)
class March:
    """The model of all loans, without a penalty, and its explanations."""

    samples: PreparedRows
    trained: TrainingOutcome
    probe: DataFrame
    explainer: Explainer
    explained: ProbeExplanations


@pytest.fixture(scope="module")
def march(loans: Loans) -> March:
    pipeline = loans.scenario.pipeline.model_copy(update={"model": LogisticRegression(max_iter=50, folds=2)})
    small = loans.scenario.model_copy(update={"pipeline": pipeline})
    samples = make_small_samples(add_columns(loans.march(), small), small, rows=10_000)
    trained = train(samples.train, small.pipeline.model)
    explainer = make_explainer(trained.model, samples.train)
    probe = choose_probe_rows(samples.test, choose_probe_keys(samples.test, ROWS), ROWS).persist()
    return March(samples, trained, probe, explainer, explain(explainer, probe))


def make_explainer(
    model: LogisticRegressionModel, train_rows: DataFrame, background: int = 1000
) -> Explainer:
    """Return a LIME explainer that keeps a number of training rows."""
    return make_lime_explainer(model, choose_background_rows(train_rows, background), samples=1000)


def assert_close(actual: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    """Assert that the same rows have the same weights, to a relative 1e-9."""
    assert actual.keys() == expected.keys()
    for key, weights in actual.items():
        assert weights == pytest.approx(expected[key], rel=1e-9, abs=0)


def test_every_probe_row_is_explained(march: March) -> None:
    """Every probe row has one finite weight per feature, and the fits have a mean R2."""
    assert len(march.explained.weights) == ROWS
    assert {len(weights) for weights in march.explained.weights.values()} == {len(march.samples.names)}
    assert all(math.isfinite(weight) for weights in march.explained.weights.values() for weight in weights)
    assert march.explained.r2_mean is not None
    assert 0.5 < march.explained.r2_mean <= 1


def test_mean_weights_have_the_signs_of_the_coefficients(march: March) -> None:
    """The mean weight of a feature has the sign of its coefficient if that is clearly not zero."""
    [spread] = march.samples.train.agg(Summarizer.std(F.col(FEATURES))).collect()
    deviations = [float(value) for value in spread[0].toArray()]
    summary = summarize(march.explained, march.samples.names, deviations)
    per_sd = {
        name: float(coefficient) * deviation
        for name, coefficient, deviation in zip(
            march.samples.names, march.trained.model.coefficients.toArray(), deviations, strict=True
        )
    }
    clear = [name for name, coefficient in per_sd.items() if abs(coefficient) > 0.05]
    assert len(clear) >= 7
    assert {name: summary[name].mean > 0 for name in clear} == {name: per_sd[name] > 0 for name in clear}


def test_weights_do_not_depend_on_the_partitions(march: March) -> None:
    """The weights of a row do not depend on the partitions or the order of rows."""
    assert_close(
        explain(march.explainer, march.probe.repartition(5, "label")).weights, march.explained.weights
    )


def test_a_row_is_explained_independently_of_others(march: March) -> None:
    """A few probe rows alone get the same weights as among all of them."""
    some = sorted(march.explained.weights)[:4]
    actual = explain(march.explainer, march.probe.where(F.col(KEY).isin(some))).weights
    assert_close(actual, {key: march.explained.weights[key] for key in some})


def test_the_background_does_not_depend_on_the_partitions(march: March) -> None:
    """The background of the explainer does not depend on the partitions of the training rows."""
    other = make_explainer(march.trained.model, march.samples.train.repartition(3, "label"))
    some = sorted(march.explained.weights)[:4]
    actual = explain(other, march.probe.where(F.col(KEY).isin(some))).weights
    assert_close(actual, {key: march.explained.weights[key] for key in some})


def test_the_background_is_the_first_rows_of_the_probe_order(march: March) -> None:
    """The background is the training rows that come first in the probe order."""
    train_rows, model = march.samples.train, march.trained.model
    first = train_rows.orderBy(PROBE).limit(7)
    row = march.probe.limit(1)
    assert_close(
        explain(make_explainer(model, train_rows, background=7), row).weights,
        explain(make_explainer(model, first), row).weights,
    )


def hold_out(spark: SparkSession, rows: int) -> DataFrame:
    """Return the held-out rows of a small table."""
    return make_small_samples(add_columns(make_readings(spark, rows), scenario()), scenario(), rows).test


def test_probe_rows_stay_the_same_when_rows_are_added(spark: SparkSession) -> None:
    """Probe rows stay the same when rows are added, even if those precede them in the probe order."""
    keys = choose_probe_keys(hold_out(spark, 60), 10)
    more = hold_out(spark, 300)
    assert set(keys) != set(choose_probe_keys(more, 10))
    assert {row[KEY] for row in choose_probe_rows(more, keys, 10).collect()} == set(keys)


def test_removed_probe_rows_are_replaced(spark: SparkSession) -> None:
    """Removed probe rows are replaced by the next ones in the probe order."""
    test = hold_out(spark, 300)
    keys = choose_probe_keys(test, 12)
    removed = keys[3:5]
    left = test.where(~F.col(KEY).isin(removed))
    actual = {row[KEY] for row in choose_probe_rows(left, keys[:10], 10).collect()}
    assert actual == (set(keys) - set(removed))


def test_few_held_out_rows_are_all_probe_rows(spark: SparkSession) -> None:
    """If fewer rows are held out than requested, all of them are probe rows."""
    test = hold_out(spark, 60)
    keys = choose_probe_keys(test, 1000)
    assert (len(keys), len(set(keys))) == (test.count(), test.count())


def test_without_probe_rows_there_are_no_explanations(march: March) -> None:
    """Without probe rows there are neither weights nor a mean R2."""
    actual = explain(march.explainer, march.probe.where("false"))
    assert (actual.weights, actual.r2_mean) == ({}, None)


@pytest.mark.parametrize(
    ("r2", "samples", "slots", "expected"),
    [
        (0.9, None, 50, 0.9),
        (0.9, 101, 50, 0.8),
        (1.0, 101, 50, 1.0),
        (0.5, 52, 50, -24.5),
        (0.9, 100001, 5, 0.9),
    ],
)
def test_the_fit_is_adjusted_for_the_features(
    r2: float, samples: int | None, slots: int, expected: float
) -> None:
    """With nearly as many features as samples, a fit is worth less than its R2 says."""
    assert expected == pytest.approx(adjust_r2(r2, samples, slots), abs=1e-4)


def test_too_few_samples_prove_nothing(march: March) -> None:
    """With no more samples than features, R2 is not measured, and the reason is given."""
    slots = len(march.samples.names)
    few = replace(march.explainer, samples=slots + 1)
    explained = explain(few, march.probe.limit(2))
    assert explained.r2_mean is None
    assert f"{slots + 1} samples per row fit {slots} features perfectly" in explained.reason
    assert "" == march.explained.reason


def test_weights_are_summarized_per_standard_deviation() -> None:
    """The summary has means of the raw weights and of the weights per standard deviation."""
    weights = {"b": [-1.0, 0.5], "a": [3.0, 0.5]}
    assert summarize(ProbeExplanations(weights, None), ("x", "y"), [10.0, 0.0]) == {
        "x": FeatureExplanation(mean=1.0, mean_abs=2.0, mean_per_sd=10.0, mean_abs_per_sd=20.0),
        "y": FeatureExplanation(mean=0.5, mean_abs=0.5, mean_per_sd=0.0, mean_abs_per_sd=0.0),
    }


def test_summaries_do_not_depend_on_the_order_of_rows() -> None:
    """The summary doesn't depend on the order of rows, to the last bit."""
    weights = {str(number): [0.1 * number**3] for number in range(50)}
    backwards = dict(reversed(weights.items()))
    assert summarize(ProbeExplanations(weights, None), ("x",), [1.0]) == summarize(
        ProbeExplanations(backwards, None), ("x",), [1.0]
    )


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_feature_with_an_infinite_weight_is_left_out(odd: float) -> None:
    """A feature with a weight that is not finite is left out of the summary."""
    actual = summarize(ProbeExplanations({"a": [1.0, odd], "b": [1.0, 2.0]}, None), ("x", "y"), [1.0, 1.0])
    assert set(actual) == {"x"}


def test_without_weights_there_is_no_summary() -> None:
    """Without weights there is no summary."""
    assert summarize(ProbeExplanations({}, None), ("x",), [1.0]) == {}


def test_the_weight_of_contributions_is_their_slope() -> None:
    """The weight of contributions is their slope over the values of the feature."""
    contributions = {"a": [-0.2], "b": [0.0], "c": [0.2]}
    explained = ProbeExplanations(contributions, None, values={"a": [4.0], "b": [5.0], "c": [6.0]})
    [actual] = summarize(explained, ("x",), [2.0]).values()
    assert (0.2, 0.4) == pytest.approx((actual.mean, actual.mean_per_sd))
    assert 0.4 / 3 == pytest.approx(actual.mean_abs_per_sd)
    assert actual.mean_abs == pytest.approx(actual.mean_abs_per_sd / 2)


def test_contributions_of_one_value_have_no_slope() -> None:
    """The weight of contributions is 0 if the feature has a single value."""
    explained = ProbeExplanations({"a": [0.1], "b": [0.1]}, None, values={"a": [1.0], "b": [1.0]})
    [actual] = summarize(explained, ("x",), [0.0]).values()
    assert (0.0, 0.0) == (actual.mean, actual.mean_abs)
