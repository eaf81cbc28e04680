"""Synthetic loans: rows like Lending Club's from 2007 to 2018, in any number, with known coefficients.

Every value depends only on the seed and the row's id, so that the rows of a seed are the same on any
number of partitions, and those of a smaller table are the first ones of a larger table. Spark generates
them with SQL functions, in parallel.

The shares and ranges below are those of the 10,000 real loans of 2018 that ship in ``scenarios/data``.
Earlier years have smaller loans and incomes, and no terms of 60 months before 2010. Grade and rate follow a
latent risk, which rises with debts and falls with income and a long credit history. How a loan ends depends
on its columns only, through ``TRUTH``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.scenario.row_source import LOANS, Loans


@dataclass(frozen=True)
class Truth:
    """The model that loans go bad by, on the table's unscaled features.

    P(bad) = 1 / (1 + exp(-(intercept + Σ coefficient · feature))).
    """

    intercept: float
    coefficients: Mapping[str, float]
    """Name of a feature to its log odds per unit."""


CREDIT_LENGTH = "year(issue_d) - year(earliest_cr_line)"
"""The one feature of the truth that isn't a column: years since the first credit line, as SQL."""

TRUTH = Truth(
    intercept=-3.9,
    coefficients={
        "int_rate": 0.1,
        "term": 0.015,
        "loan_amnt": 1.5e-5,
        "annual_inc": -4e-6,
        "dti": 0.015,
        "delinq_2yrs": 0.25,
        "inq_last_12m": 0.08,
        "credit_length": -0.02,
        "total_acc": 0.0,
    },
)
"""About 15 loans in 100 are bad; a model that knows the truth has a ROC AUC of 0.71. Values that are missing
from the table (``dti``, ``inq_last_12m``) still influenced the outcome."""

BAD, GOOD = "Charged Off", "Fully Paid"

YEARS = {
    2007: 0.006,
    2008: 0.008,
    2009: 0.010,
    2010: 0.012,
    2011: 0.014,
    2012: 0.025,
    2013: 0.060,
    2014: 0.105,
    2015: 0.185,
    2016: 0.190,
    2017: 0.185,
    2018: 0.200,
}
"""Share of the loans that are issued in each year: an approximation of Lending Club's volume, rounded, and
raised before 2012 (really 0.03 to 1 in 100), so that small tables have rows in each year."""

_ROWS_PER_PARTITION = 250_000
_LAST_YEAR = max(YEARS)
_NORMAL = NormalDist()
_GRADES = {"A": 0.2459, "B": 0.3037, "C": 0.2653, "D": 0.1446, "E": 0.0335, "F": 0.0058, "G": 0.0012}
_LOWEST_RATES = (5.31, 9.43, 12.61, 16.90, 22.90, 28.72, 30.79)  # by grade, per cent a year
_HIGHEST_RATES = (7.97, 11.99, 16.02, 21.85, 26.77, 30.75, 30.94)
_SIXTY_MONTHS = (0.05, 0.28, 0.40, 0.47, 0.68, 0.95, 0.95)  # share of the loans, by grade
_FIRST_WITH_SIXTY_MONTHS = 2010
_HOMES = {"RENT": 0.386, "OWN": 0.135, "MORTGAGE": 0.479}  # by rising income
_PURPOSES = {
    "debt_consolidation": 0.5144,
    "credit_card": 0.2249,
    "other": 0.0914,
    "home_improvement": 0.0680,
    "major_purchase": 0.0303,
    "medical": 0.0162,
    "house": 0.0151,
    "car": 0.0131,
    "small_business": 0.0125,
    "moving": 0.0069,
    "vacation": 0.0062,
    "renewable_energy": 0.0010,
}
# Shares of 0, 1, 2 ...; the last one is the remainder.
_DELINQUENCIES = (0.8576, 0.1011, 0.0258, 0.0088, 0.0034, 0.0033)
_INQUIRIES = (0.3060, 0.2460, 0.1649, 0.1053, 0.0610, 0.0422, 0.0242, 0.0155, 0.0116, 0.0069, 0.0051, 0.0115)
_LARGEST_LOAN, _SMALLEST_LOAN = 40_000, 1_000
_WITHOUT_DTI, _OUTLIERS = 0.0024, 0.02
# Lending Club records the inquiries of the last 12 months only since the end of 2015. Of the earlier loans
# here, only a few lack them, so that models of all years can have the feature.
_WITHOUT_INQUIRIES, _FIRST_WITH_INQUIRIES = 0.05, 2016


def generate_loans(spark: SparkSession, spec: Loans) -> DataFrame:
    """Generate loans with the columns of ``LOANS``; ids start at 1."""
    draw = _Draw(spec.seed)
    partitions = 1 + spec.rows // _ROWS_PER_PARTITION
    rows = spark.range(1, spec.rows + 1, numPartitions=partitions)
    rows = rows.withColumns({"income": draw.normal("income"), **_draw_issue_date(draw, spec)})
    for draw_columns in (_draw_borrower, _draw_standing, _draw_terms, _draw_credit):
        rows = rows.withColumns(draw_columns(draw))
    rows = rows.withColumn("credit_length", F.expr(CREDIT_LENGTH))
    rows = rows.withColumn("loan_status", _draw_outcome(draw))
    return rows.withColumns(_remove_values(draw)).select(
        *(F.col(name).cast(kind) for name, kind in LOANS.items())
    )


class _Draw:
    """Random numbers for each row, which depend only on the seed, their name and the row's id."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def uniform(self, name: str) -> Column:
        """Return a column of numbers between 0 and 1, never 0: the 53 high bits of a hash."""
        bits = F.shiftrightunsigned(F.xxhash64(F.lit(f"{name}:{self._seed}"), "id"), 11)
        return (bits.cast("double") + 0.5) * 2.0**-53

    def normal(self, name: str) -> Column:
        """Return a column of standard normal numbers (Box and Muller 1958)."""
        radius = F.sqrt(-2 * F.log(self.uniform(f"{name} radius")))
        return radius * F.cos(2 * math.pi * self.uniform(f"{name} angle"))

    def correlated(self, name: str, weights: Mapping[str, float]) -> Column:
        """Return a column correlated with others; standard normal if they are, and independent."""
        own = math.sqrt(1 - sum(weight**2 for weight in weights.values()))
        return sum((weight * F.col(other) for other, weight in weights.items()), own * self.normal(name))


def _draw_issue_date(draw: _Draw, spec: Loans) -> dict[str, Column]:
    """Draw when the loan was issued: the first of a month."""
    shares = {year: share for year, share in YEARS.items() if spec.first_year <= year <= spec.last_year}
    whole = sum(shares.values())
    limits = _cumulate([share / whole for share in shares.values()])
    year = min(shares) + _count_reached(draw.uniform("year"), limits)
    month = 1 + _count_reached(draw.uniform("month"), _cumulate([1 / 12] * 12))
    return {"issue_d": F.make_date(year, month, F.lit(1))}


def _draw_borrower(draw: _Draw) -> dict[str, Column]:
    """Draw standard normal numbers: a borrower's debts, wanted amount and length of credit history."""
    return {
        "years_before": _LAST_YEAR - F.year("issue_d"),
        "debts": draw.correlated("debts", {"income": -0.2}),
        "amount": draw.correlated("amount", {"income": 0.37}),
        "history": draw.correlated("history", {"income": 0.2}),
    }


def _draw_standing(draw: _Draw) -> dict[str, Column]:
    """Draw almost standard normal numbers: a borrower's accounts, and the risk that a lender sees."""
    return {
        "accounts": draw.correlated("accounts", {"history": 0.25, "income": 0.2, "debts": 0.2}),
        "risk": draw.correlated("risk", {"debts": 0.18, "income": -0.15, "history": -0.1}),
    }


def _draw_terms(draw: _Draw) -> dict[str, Column]:
    """Draw the terms of the loan."""
    grade = _count_reached(F.col("risk"), _normal_limits(_GRADES.values()))
    lowest, highest = _pick(_LOWEST_RATES, grade), _pick(_HIGHEST_RATES, grade)
    limit = _pick([_NORMAL.inv_cdf(1 - share) for share in _SIXTY_MONTHS], grade)
    is_long = (draw.correlated("term", {"amount": 0.45}) >= limit) & (
        F.year("issue_d") >= _FIRST_WITH_SIXTY_MONTHS
    )
    wanted = _LARGEST_LOAN / (1 + F.exp(0.5645 - 1.3 * F.col("amount") + 0.08 * F.col("years_before")))
    return {
        "grade": _pick(list(_GRADES), grade),
        "int_rate": F.rint(100 * (lowest + (highest - lowest) * draw.uniform("int_rate"))) / 100,
        "term": F.when(is_long, 60).otherwise(36),
        "loan_amnt": F.greatest(F.lit(_SMALLEST_LOAN), F.rint(wanted / 25) * 25),
        "purpose": _pick(
            list(_PURPOSES), _count_reached(draw.uniform("purpose"), _cumulate(_PURPOSES.values()))
        ),
    }


def _draw_credit(draw: _Draw) -> dict[str, Column]:
    """Draw the borrower's income, debts and credit history."""
    home = draw.correlated("home", {"income": 0.35})
    delinquencies = draw.correlated("delinquencies", {"risk": 0.12})
    inquiries = draw.correlated("inquiries", {"risk": 0.15, "accounts": 0.2})
    years = F.rint(15.5 * F.exp(0.46 * F.col("history"))).cast("int")
    year = F.year("issue_d") - F.greatest(F.lit(3), F.least(F.lit(55), years))
    month = 1 + _count_reached(draw.uniform("earliest_cr_line"), _cumulate([1 / 12] * 12))
    # A few have extreme debts.
    debts = (17.8 + 10.3 * F.col("debts")) * F.when(draw.uniform("outlier") < _OUTLIERS, 2.5).otherwise(1.0)
    return {
        "annual_inc": F.rint(650 * F.exp(0.58 * F.col("income") - 0.02 * F.col("years_before"))) * 100,
        "dti": F.rint(100 * F.greatest(F.lit(0.0), debts)) / 100,
        "home_ownership": _pick(list(_HOMES), _count_reached(home, _normal_limits(_HOMES.values()))),
        "delinq_2yrs": _count_reached(delinquencies, _normal_limits(_DELINQUENCIES)),
        "inq_last_12m": _count_reached(inquiries, _normal_limits(_INQUIRIES)),
        "total_acc": F.rint(F.greatest(F.lit(1.4), 4.58 + 1.22 * F.col("accounts")) ** 2),
        "earliest_cr_line": F.make_date(year, month, F.lit(1)),
    }


def _draw_outcome(draw: _Draw) -> Column:
    """Draw how the loan ended, with the probability that the truth gives it."""
    terms = (value * F.col(feature) for feature, value in TRUTH.coefficients.items())
    bad = 1 / (1 + F.exp(-sum(terms, F.lit(TRUTH.intercept))))
    return F.when(draw.uniform("outcome") < bad, BAD).otherwise(GOOD)


def _remove_values(draw: _Draw) -> dict[str, Column]:
    """Return the columns with missing values."""
    is_early = F.year("issue_d") < _FIRST_WITH_INQUIRIES
    lacks_inquiries = is_early & (draw.uniform("no inquiries") < _WITHOUT_INQUIRIES)
    return {
        "dti": F.when(draw.uniform("no dti") >= _WITHOUT_DTI, F.col("dti")),
        "inq_last_12m": F.when(~lacks_inquiries, F.col("inq_last_12m")),
    }


def _cumulate(shares: Iterable[float]) -> list[float]:
    """Return the limits between shares for a number between 0 and 1."""
    return list(accumulate(shares))[:-1]


def _normal_limits(shares: Iterable[float]) -> list[float]:
    """Return the limits between shares for a standard normal number."""
    return [_NORMAL.inv_cdf(limit) for limit in _cumulate(shares)]


def _count_reached(number: Column, limits: list[float]) -> Column:
    """Return how many of the limits a number has reached: 0, 1, 2 ..."""
    return sum(((number >= limit).cast("int") for limit in limits), F.lit(0))


def _pick(values: Sequence[str | float], index: Column) -> Column:
    return F.get(F.array(*(F.lit(value) for value in values)), index)
