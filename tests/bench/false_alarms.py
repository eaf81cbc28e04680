"""``make false-alarms``: how often the standard gate fails although nothing has changed.

Each seed draws 12,000 synthetic loans of one year, whose three thirds are three versions. A version that
fails any check is a false alarm. The rows are counted as ``harness prove --quick`` counts them; the models
are scikit-learn's logistic regressions on the same features: hundreds of Spark's would take hours.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from harness.bounds.standard import CHECKS, History, run_check
from harness.job.evaluate import roc_auc_se
from harness.job.held_out_parts import SCORE_BINS, SCORE_SPAN
from harness.job.synthetic_loans import BAD, CREDIT_LENGTH, GOOD, generate_loans
from harness.results import Commit, FeatureExplanation, RowChanges, VersionResult
from harness.scenario.model import Scenario
from harness.scenario.row_source import Loans
from harness.studies.proving.local_engine import LocalEngine, select_facts
from harness.studies.proving.local_facts import LocalFacts

_ROWS = 12_000
_MONTHS = (4, 8, 12)
_FEATURES = [
    "loan_amnt",
    "annual_inc",
    "dti",
    "delinq_2yrs",
    "total_acc",
    "credit_length",
    "int_rate",
    "term",
    "inq_last_12m",
]
_TEST = 0.4


def main(seeds: int) -> None:
    """Print how many of the versions fail, and which checks."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    failed, versions, checks = 0, 0, Counter[str]()
    for seed in range(1, seeds + 1):
        for wrong in _judge(spark, seed):
            versions += 1
            failed += bool(wrong)
            checks.update(wrong)
        if seed % 10 == 0:
            print(f"{seed} seeds: {failed} of {versions} versions fail {dict(checks)}", flush=True)  # noqa: T201


def _judge(spark: SparkSession, seed: int) -> Iterator[dict[str, str]]:
    """Yield the failing checks of the second and of the third version."""
    table = generate_loans(spark, Loans(rows=_ROWS, seed=seed, first_year=2018, last_year=2018))
    types = {field.name: field.dataType.simpleString() for field in table.schema}
    rows = table.selectExpr("*", f"{CREDIT_LENGTH} AS credit_length").toPandas()
    month = pd.to_datetime(rows["issue_d"]).dt.month
    scenario, results = _make_scenario(), list[VersionResult]()
    for number, last in enumerate(_MONTHS):
        first = _MONTHS[number - 1] if number else 0
        before, added = rows[month <= first], rows[(month > first) & (month <= last)]
        clean = _measure(number, before, added, types, seed)
        if number:
            selection = select_facts(scenario, types)
            engine = LocalEngine(_to_arrow(before), _to_arrow(added), scenario, selection)
            facts = LocalFacts(engine, clean).measure(engine.read_added())
            clean = facts.model_copy(update={"metrics": clean.metrics})
            history = History(clean, results[-1], results)
            outcomes = {name: run_check(name, history) for name in CHECKS}
            yield {name: each.text for name, each in outcomes.items() if not each.holds}
        results.append(clean)


def _make_scenario() -> Scenario:
    return Scenario.model_validate(
        {
            "name": "loans",
            "table": {"key": "id", "source": "loans.csv"},
            "pipeline": {
                "label": {"column": "loan_status", "positive": [BAD], "negative": [GOOD]},
                "derive": {"credit_length": CREDIT_LENGTH},
                "features": _FEATURES,
            },
            "versions": [{"name": f"v{number}", "append": {}} for number in range(len(_MONTHS))],
        }
    )


def _to_arrow(rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows.drop(columns="credit_length"), preserve_index=False)


def _measure(
    number: int, before: pd.DataFrame, added: pd.DataFrame, types: dict[str, str], seed: int
) -> VersionResult:
    """Return a version with what a model on its rows measures."""
    rows = pd.concat([before, added])
    draws: Any = pd.util.hash_pandas_object(rows["id"].map(lambda key: f"{seed}:{key}"), index=False)
    test = (draws % 1000 < 1000 * _TEST).to_numpy()
    is_added = np.arange(len(rows)) >= len(before)
    values = rows[_FEATURES].astype(float)
    values = values.fillna(values[~test].mean())
    scaled = ((values - values.mean()) / values[~test].std()).to_numpy()
    label = (rows["loan_status"] == BAD).to_numpy().astype(int)
    model = LogisticRegression(C=1e6, max_iter=200).fit(scaled[~test], label[~test])
    score = model.predict_proba(scaled)[:, 1]
    slope = score[test] * (1 - score[test])
    weights = {
        name: FeatureExplanation(mean=0, mean_abs=0, mean_per_sd=weight, mean_abs_per_sd=abs(weight))
        for name, weight in zip(_FEATURES, map(float, slope.mean() * model.coef_[0]), strict=True)
    }
    metrics: dict[str, float | None] = {
        "train_rows": float((~test).sum()),
        "train_positives": float(label[~test].sum()),
    }
    for prefix, chosen in (("", test), ("added_", test & is_added)):
        metrics |= _measure_scores(f"{prefix}test_", score[chosen], label[chosen])
    return VersionResult(
        name=str(number),
        version=number,
        rows=len(rows),
        fingerprint="0" * 32,
        data_schema=types,
        status="trained",
        commit=Commit(operation="WRITE", time=datetime(2020, 1, 1, tzinfo=UTC), reader=1, writer=2),
        changes=RowChanges(added=len(added), removed=0, changed=0) if number else None,
        metrics=metrics,
        explanations=weights,
        scores={
            "before": _count_scores(score[test & ~is_added]),
            "added": _count_scores(score[test & is_added]),
        },
    )


def _measure_scores(prefix: str, score: Any, label: Any) -> dict[str, float | None]:
    positives, rows = int(label.sum()), len(label)
    area = float(roc_auc_score(label, score))
    return {
        f"{prefix}roc_auc": area,
        f"{prefix}roc_auc_se": roc_auc_se(area, positives, rows - positives),
        f"{prefix}rows": float(rows),
        f"{prefix}positives": float(positives),
    }


def _count_scores(score: Any) -> tuple[int, ...]:
    places = (np.log(score / (1 - score)) + SCORE_SPAN) / (2 * SCORE_SPAN) * SCORE_BINS
    places = np.clip(np.floor(places), 0, SCORE_BINS - 1).astype(int)
    return tuple(int(each) for each in np.bincount(places, minlength=SCORE_BINS))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
