"""The synthetic loans: reproducible, similar to the real ones, with known coefficients."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from pyspark.sql import DataFrame, SparkSession, functions as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from harness.job import synthetic_loans
from harness.job.fingerprint import compute_fingerprint
from harness.job.synthetic_loans import BAD, CREDIT_LENGTH, GOOD, TRUTH, YEARS, generate_loans
from harness.loading.loader import load_scenario
from harness.scenario.model import Scenario
from harness.scenario.row_source import LOANS, Loans

pytestmark = pytest.mark.spark

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FEATURES = list(TRUTH.coefficients)
FEW = Loans(rows=1000, seed=3)
STANDARD_ERRORS = 4.0


@pytest.fixture(scope="module")
def yearly() -> Scenario:
    return load_scenario(str(SCENARIOS / "yearly.yaml")).scenario


@pytest.fixture(scope="module")
def yearly_loans(spark: SparkSession, yearly: Scenario) -> pd.DataFrame:
    """Return the loans of the shipped scenario with its derived feature."""
    source = yearly.table.source
    assert source is not None
    assert source.generate is not None
    return collect_loans(generate_loans(spark, source.generate))


@pytest.fixture(scope="module")
def loans_of_2018(spark: SparkSession) -> pd.DataFrame:
    return collect_loans(generate_loans(spark, Loans(rows=20_000, seed=5, first_year=2018)))


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    rows = pd.read_csv(SCENARIOS / "data" / "lc_loan_2018q1.csv", parse_dates=["issue_d", "earliest_cr_line"])
    return rows.assign(credit_length=rows.issue_d.dt.year - rows.earliest_cr_line.dt.year)


def collect_loans(frame: DataFrame) -> pd.DataFrame:
    """Return rows as a pandas frame, with dates as years."""
    years = {name: F.year(name) for name in ("issue_d", "earliest_cr_line")}
    rows = frame.withColumn("credit_length", F.expr(CREDIT_LENGTH)).withColumns(years).collect()
    return pd.DataFrame([row.asDict() for row in rows])


def compute_log_odds(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the true log odds of each row."""
    weights = np.array(list(TRUTH.coefficients.values()))
    return np.asarray(TRUTH.intercept + rows[FEATURES].to_numpy(float) @ weights)


def fit_regression(rows: pd.DataFrame) -> tuple[dict[str, float], dict[str, float]]:
    """Return the coefficients of a fit without a penalty, and their standard errors, by feature."""
    values = rows[FEATURES].to_numpy(float)
    middle, spread = values.mean(axis=0), values.std(axis=0)
    scaled = (values - middle) / spread
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=200).fit(scaled, rows.loan_status == BAD)
    chance = model.predict_proba(scaled)[:, 1]
    design = np.column_stack([np.ones(len(scaled)), scaled])
    information = (design * (chance * (1 - chance))[:, None]).T @ design
    errors = np.sqrt(np.diag(np.linalg.inv(information)))[1:] / spread
    return (
        dict(zip(FEATURES, model.coef_[0] / spread, strict=True)),
        dict(zip(FEATURES, errors, strict=True)),
    )


@pytest.mark.parametrize("rows_per_partition", [1000, 300, 7])
def test_the_rows_are_the_same_on_any_number_of_partitions(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, rows_per_partition: int
) -> None:
    """The rows do not depend on the partitions, and their fingerprint stays the recorded one."""
    monkeypatch.setattr(synthetic_loans, "_ROWS_PER_PARTITION", rows_per_partition)
    frame = generate_loans(spark, FEW)
    assert frame.rdd.getNumPartitions() == 1 + FEW.rows // rows_per_partition
    assert compute_fingerprint(frame) == "fa818f49342559055288761c826890d4"


def test_the_rows_are_the_same_after_a_shuffle_and_without_compiled_code(spark: SparkSession) -> None:
    """The rows do not depend on shuffle partitions and code generation."""
    expected = compute_fingerprint(generate_loans(spark, FEW))
    settings = {"spark.sql.shuffle.partitions": "5", "spark.sql.codegen.wholeStage": "false"}
    before = {name: spark.conf.get(name) for name in settings}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        assert compute_fingerprint(generate_loans(spark, FEW).repartition(F.col("grade"))) == expected
    finally:
        for name, old in before.items():
            assert old is not None
            spark.conf.set(name, old)


def test_another_seed_has_other_rows(spark: SparkSession) -> None:
    """Different seeds give entirely different loans."""
    others = generate_loans(spark, FEW.model_copy(update={"seed": 4}))
    assert generate_loans(spark, FEW).intersect(others).count() == 0


def test_a_smaller_table_has_the_first_rows_of_a_larger_one(spark: SparkSession) -> None:
    """A loan depends on its id, not on the number of rows."""
    smaller = generate_loans(spark, FEW.model_copy(update={"rows": 200}))
    assert compute_fingerprint(smaller) == compute_fingerprint(generate_loans(spark, FEW).where("id <= 200"))


def test_the_columns_are_the_declared_ones(spark: SparkSession) -> None:
    """Names, order and types of the columns are the declared ones."""
    assert dict(generate_loans(spark, FEW).dtypes) == LOANS
    assert generate_loans(spark, FEW).columns == list(LOANS)


def test_ids_are_unique_and_begin_at_one(yearly_loans: pd.DataFrame) -> None:
    """The ids are the numbers from 1."""
    assert sorted(yearly_loans.id) == list(range(1, len(yearly_loans) + 1))


def test_the_years_have_their_shares(yearly_loans: pd.DataFrame) -> None:
    """Each year's share of loans is the declared one, within four standard errors."""
    for year, share in YEARS.items():
        error = math.sqrt(share * (1 - share) / len(yearly_loans))
        assert (yearly_loans.issue_d == year).mean() == pytest.approx(share, abs=STANDARD_ERRORS * error)
    assert sum(YEARS.values()) == pytest.approx(1)


def test_only_the_requested_years_are_generated(spark: SparkSession) -> None:
    """Loans are issued in the requested years, on the first of a month, after the first credit line."""
    rows = generate_loans(spark, Loans(rows=1000, first_year=2009, last_year=2011))
    assert {row[0] for row in rows.select(F.year("issue_d")).distinct().collect()} == {2009, 2010, 2011}
    assert rows.where(
        (F.dayofmonth("issue_d") != 1) | (F.col("earliest_cr_line") >= F.col("issue_d"))
    ).isEmpty()
    assert rows.select(F.month("issue_d")).distinct().count() == 12


def test_years_in_the_wrong_order_are_refused() -> None:
    """A first year after the last one is refused."""
    with pytest.raises(ValidationError, match=r"'first_year' \(2012\) is after 'last_year' \(2011\)"):
        Loans(rows=10, first_year=2012, last_year=2011)


@pytest.mark.parametrize(
    "name",
    ["loan_amnt", "term", "int_rate", "annual_inc", "dti", "inq_last_12m", "total_acc", "credit_length"],
)
def test_numbers_are_like_the_real_ones(loans_of_2018: pd.DataFrame, real: pd.DataFrame, name: str) -> None:
    """Means and quartiles of 2018 are within a tenth of the standard deviation of those of the real loans."""
    # Without the largest real values: some incomes and debts are implausible.
    usual = real[name][real[name] <= real[name].quantile(0.999)]
    expected = [usual.mean(), *usual.quantile([0.25, 0.5, 0.75])]
    actual = [loans_of_2018[name].mean(), *loans_of_2018[name].quantile([0.25, 0.5, 0.75])]
    near = max(0.1 * usual.std(), 1.0 if (usual % 1 == 0).all() and usual.max() < 100 else 0)
    assert actual == pytest.approx(expected, abs=near)


@pytest.mark.parametrize("name", ["term", "grade", "home_ownership", "purpose", "delinq_2yrs"])
def test_shares_are_like_the_real_ones(loans_of_2018: pd.DataFrame, real: pd.DataFrame, name: str) -> None:
    """The shares of values in 2018 are within two percentage points of those of the real loans."""
    actual, expected = (each[name].value_counts(normalize=True) for each in (loans_of_2018, real))
    assert actual.sub(expected, fill_value=0).abs().max() < 0.02


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("loan_amnt", "annual_inc", 0.34), ("int_rate", "term", 0.36), ("total_acc", "credit_length", 0.29)],
)
def test_columns_are_correlated_like_the_real_ones(
    loans_of_2018: pd.DataFrame, one: str, other: str, expected: float
) -> None:
    """Columns have the same correlation as in the real loans."""
    assert loans_of_2018[one].corr(loans_of_2018[other]) == pytest.approx(expected, abs=0.06)


def test_a_worse_grade_has_a_higher_rate(loans_of_2018: pd.DataFrame) -> None:
    """The interest rates of two grades never overlap."""
    rates = loans_of_2018.groupby("grade").int_rate.agg(["min", "max"])
    assert (rates["min"].iloc[1:].to_numpy() > rates["max"].iloc[:-1].to_numpy()).all()


def test_the_same_values_are_missing_as_in_the_real_loans(yearly_loans: pd.DataFrame) -> None:
    """Values are missing in the same columns and years as in the real loans."""
    nulls = yearly_loans.isna().mean()
    assert set(nulls[nulls > 0].index) == {"dti", "inq_last_12m"}
    assert nulls["dti"] == pytest.approx(0.0024, abs=0.001)
    assert yearly_loans.inq_last_12m.isna()[yearly_loans.issue_d < 2016].mean() == pytest.approx(
        0.05, abs=0.01
    )
    assert not yearly_loans.inq_last_12m.isna()[yearly_loans.issue_d >= 2016].any()


def test_about_fifteen_in_a_hundred_are_bad(yearly_loans: pd.DataFrame) -> None:
    """About 15 % of the loans are bad, and the true log odds separate them as declared."""
    bad = yearly_loans.loan_status == BAD
    assert set(yearly_loans.loan_status) == {BAD, GOOD}
    assert bad.mean() == pytest.approx(0.15, abs=0.01)
    whole = yearly_loans[FEATURES].notna().all(axis=1)
    assert roc_auc_score(bad[whole], compute_log_odds(yearly_loans[whole])) == pytest.approx(0.714, abs=0.015)


def test_a_plain_regression_recovers_the_truth(yearly_loans: pd.DataFrame) -> None:
    """A regression recovers each true coefficient within four standard errors, and none is close to 0."""
    actual, errors = fit_regression(yearly_loans.dropna())
    for name, truth in TRUTH.coefficients.items():
        assert actual[name] == pytest.approx(truth, abs=STANDARD_ERRORS * errors[name]), name
        assert truth == 0 or abs(actual[name]) > STANDARD_ERRORS * errors[name], name


def test_shuffled_outcomes_do_not_recover_the_truth(yearly_loans: pd.DataFrame) -> None:
    """With shuffled outcomes, the coefficients are far from the true ones."""
    rows = yearly_loans.dropna()
    shuffled = rows.assign(loan_status=rows.loan_status.sample(frac=1, random_state=0).to_numpy())
    actual, errors = fit_regression(shuffled)
    far = {
        name: abs(actual[name] - value) > STANDARD_ERRORS * errors[name]
        for name, value in TRUTH.coefficients.items()
    }
    assert far == {name: value != 0 for name, value in TRUTH.coefficients.items()}


def test_the_scenario_expects_the_truth(yearly_loans: pd.DataFrame, yearly: Scenario) -> None:
    """The bounds of the shipped scenario are the true coefficients plus or minus four standard errors."""
    bounds = yearly.expected_of("y2018").coefficients
    trained = yearly_loans.dropna().sample(frac=1 - yearly.pipeline.split.test, random_state=0)
    _, errors = fit_regression(trained)
    assert {name: bound.equals for name, (bound,) in bounds.items()} == dict(TRUTH.coefficients)
    for name, (bound,) in bounds.items():
        assert bound.tolerance == pytest.approx(STANDARD_ERRORS * errors[name], rel=0.1), name
