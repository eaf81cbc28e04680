from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame, SparkSession, functions as F

from harness.job.explain import (
    Explained,
    background_rows,
    explain,
    probe_keys,
    probe_rows,
    summarize,
)
from harness.job.models.cross_validation import Trained
from harness.job.prepare import PROBE, Samples
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

    samples: Samples
    trained: Trained
    probe: DataFrame
    explainer: Explainer
    explained: Explained


@pytest.fixture(scope="module")
def march(loans: Loans) -> March:
    pipeline = loans.scenario.pipeline.model_copy(update={"model": LogisticRegression(max_iter=50, folds=2)})
    small = loans.scenario.model_copy(update={"pipeline": pipeline})
    samples = make_small_samples(add_columns(loans.march(), small), small, rows=10_000)
    trained = train(samples.train, small.pipeline.model)
    explainer = lime_of(trained.model, samples.train)
    probe = probe_rows(samples.test, probe_keys(samples.test, ROWS), ROWS).persist()
    return March(samples, trained, probe, explainer, explain(explainer, probe))


def lime_of(model: LogisticRegressionModel, train_rows: DataFrame, background: int = 1000) -> Explainer:
    """Return the explainer that keeps a number of training rows."""
    return make_lime_explainer(model, background_rows(train_rows, background), samples=1000)


def assert_close(found: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    """Assert that the same rows have the same weights, to a relative 1e-9."""
    assert found.keys() == expected.keys()
    for key, weights in found.items():
        assert weights == pytest.approx(expected[key], rel=1e-9, abs=0)


def test_explains_every_probe_row(march: March) -> None:
    """Every probe row has one finite weight per feature and a local fit."""
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


def test_a_row_alone_is_explained_as_among_others(march: March) -> None:
    """A few probe rows alone get the same weights as among all of them."""
    some = sorted(march.explained.weights)[:4]
    found = explain(march.explainer, march.probe.where(F.col(KEY).isin(some))).weights
    assert_close(found, {key: march.explained.weights[key] for key in some})


def test_the_background_does_not_depend_on_the_partitions(march: March) -> None:
    """The background of the explainer does not depend on the partitions of the training rows."""
    other = lime_of(march.trained.model, march.samples.train.repartition(3, "label"))
    some = sorted(march.explained.weights)[:4]
    found = explain(other, march.probe.where(F.col(KEY).isin(some))).weights
    assert_close(found, {key: march.explained.weights[key] for key in some})


def test_the_background_is_the_first_rows_of_the_probe_order(march: March) -> None:
    """The background consists of the rows with the lowest hashes only."""
    train_rows, model = march.samples.train, march.trained.model
    first = train_rows.orderBy(PROBE).limit(7)
    row = march.probe.limit(1)
    assert_close(
        explain(lime_of(model, train_rows, background=7), row).weights,
        explain(lime_of(model, first), row).weights,
    )


def held_out(spark: SparkSession, rows: int) -> DataFrame:
    """Return the held-out rows of a small table."""
    return make_small_samples(add_columns(make_readings(spark, rows), scenario()), scenario(), rows).test


def test_probes_stay_when_rows_are_added(spark: SparkSession) -> None:
    """Probe rows stay the same when rows are added, even ones that precede them in the order."""
    keys = probe_keys(held_out(spark, 60), 10)
    more = held_out(spark, 300)
    assert set(keys) != set(probe_keys(more, 10))
    assert {row[KEY] for row in probe_rows(more, keys, 10).collect()} == set(keys)


def test_probes_are_filled_up_when_rows_are_gone(spark: SparkSession) -> None:
    """Removed probe rows are replaced by the next ones in the order of the hash."""
    test = held_out(spark, 300)
    keys = probe_keys(test, 12)
    gone = keys[3:5]
    left = test.where(~F.col(KEY).isin(gone))
    found = {row[KEY] for row in probe_rows(left, keys[:10], 10).collect()}
    assert found == (set(keys) - set(gone))


def test_probes_are_all_rows_where_there_are_few(spark: SparkSession) -> None:
    """If fewer rows are held out than requested, all of them are probe rows."""
    test = held_out(spark, 60)
    keys = probe_keys(test, 1000)
    assert (len(keys), len(set(keys))) == (test.count(), test.count())


def test_no_probe_is_no_explanation(march: March) -> None:
    """Without probe rows there are no weights and no mean."""
    found = explain(march.explainer, march.probe.where("false"))
    assert (found.weights, found.r2_mean) == ({}, None)


def test_sums_up_per_standard_deviation() -> None:
    """Weights are summarized as raw means and as means per standard deviation."""
    weights = {"b": [-1.0, 0.5], "a": [3.0, 0.5]}
    assert summarize(Explained(weights, None), ("x", "y"), [10.0, 0.0]) == {
        "x": FeatureExplanation(mean=1.0, mean_abs=2.0, mean_per_sd=10.0, mean_abs_per_sd=20.0),
        "y": FeatureExplanation(mean=0.5, mean_abs=0.5, mean_per_sd=0.0, mean_abs_per_sd=0.0),
    }


def test_sums_do_not_depend_on_the_order_of_rows() -> None:
    """Sums of weights do not depend on the order of rows, to the last bit."""
    weights = {str(number): [0.1 * number**3] for number in range(50)}
    backwards = dict(reversed(weights.items()))
    assert summarize(Explained(weights, None), ("x",), [1.0]) == summarize(
        Explained(backwards, None), ("x",), [1.0]
    )


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_feature_with_a_weight_that_is_no_number_is_left_out(odd: float) -> None:
    """A feature with a weight that is not finite is left out; the others stay."""
    found = summarize(Explained({"a": [1.0, odd], "b": [1.0, 2.0]}, None), ("x", "y"), [1.0, 1.0])
    assert set(found) == {"x"}


def test_no_row_sums_up_to_nothing() -> None:
    """Without weights there is no summary."""
    assert summarize(Explained({}, None), ("x",), [1.0]) == {}


def test_of_contributions_the_weight_is_their_slope() -> None:
    """The weight of contributions is their slope over the feature."""
    contributions = {"a": [-0.2], "b": [0.0], "c": [0.2]}
    explained = Explained(contributions, None, values={"a": [4.0], "b": [5.0], "c": [6.0]})
    [found] = summarize(explained, ("x",), [2.0]).values()
    assert (0.2, 0.4) == pytest.approx((found.mean, found.mean_per_sd))
    assert 0.4 / 3 == pytest.approx(found.mean_abs_per_sd)
    assert found.mean_abs == pytest.approx(found.mean_abs_per_sd / 2)


def test_contributions_of_one_value_have_no_slope() -> None:
    """The weight of contributions at a single feature value is 0."""
    explained = Explained({"a": [0.1], "b": [0.1]}, None, values={"a": [1.0], "b": [1.0]})
    [found] = summarize(explained, ("x",), [0.0]).values()
    assert (0.0, 0.0) == (found.mean, found.mean_abs)
