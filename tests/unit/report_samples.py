"""Sample plans and results for the tests of reports: three cohorts of loans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from harness.bounds.judge import combine_verdicts, judge_versions
from harness.errors import ExitCode
from harness.plan import Environment, Plan, Setting, SourceData
from harness.results import (
    BoundResult,
    ChangedColumns,
    ChangedRow,
    Coefficient,
    Failure,
    FeatureExplanation,
    GridPoint,
    MeasuredValue,
    MovedRow,
    MovedRows,
    Result,
    RowWeight,
    Verdict,
    VersionResult,
)
from harness.scenario.bound_spec import BoundSpec, Quantity, Reference
from harness.scenario.model import Scenario

SOURCE = "data/lc_loan_2018q1.csv"
NAMES = ("january", "february", "march")
BUNDLE = "abfss://models@modelstoredev.dfs.core.windows.net/three_versions/20260301-101500-7f3a"

_WEIGHTS = {
    "loan_amnt": (0.0021, 0.0018, 0.0026),
    "annual_inc": (-0.0032, -0.0029, -0.0041),
    "dti": (0.0011, 0.0015, 0.0009),
    "delinq_2yrs": (0.0008, -0.0002, 0.0005),
    "total_acc": (-0.0006, 0.0004, -0.0009),
    "credit_length": (-0.0014, -0.0011, -0.0012),
    "int_rate": (0.0083, 0.0102, 0.0117),
    "term": (-0.0007, -0.0019, -0.0024),
    "inq_last_12m": (0.0030, 0.0024, 0.0019),
}
_SPREAD = (9100.0, 78000.0, 18.4, 0.79, 12.1, 7.8, 4.9, 10.7, 2.4)
_CV = (0.6431, 0.6652, 0.6558)
_TEST = (0.6904, 0.7013, 0.7221)
_TIMINGS = {
    "session": 6.3,
    "ingest": 7.8,
    "check": 2.4,
    "prepare": 6.3,
    "train": 49.2,
    "evaluate": 5.7,
    "explain": 31.8,
    "log": 15.9,
    "publish": 4.4,
}
_ROWS = (3395, 5786, 8421)


def scenario(**changes: Any) -> Scenario:
    """Return a scenario of three monthly cohorts of loans, with the bounds of the shipped one."""
    return Scenario.model_validate(
        {
            "name": "three_versions",
            "description": "Three monthly cohorts of Lending Club loans, each appended as one Delta version.",
            "seed": 7,
            "table": {"name": "lc_loan", "source": SOURCE, "key": "id"},
            "pipeline": {
                "label": {"column": "loan_status", "positive": ["Charged Off"], "negative": ["Current"]},
                "derive": {"credit_length": "year(issue_d) - year(earliest_cr_line)"},
                "features": list(_WEIGHTS),
            },
            "versions": [_version(name, month) for month, name in enumerate(NAMES, start=1)],
        }
        | changes
    )


def plan(**changes: Any) -> Plan:
    """Return the plan of the scenario on this machine."""
    return Plan.model_validate(
        {
            "run_id": "20260301-101500-7f3a",
            "harness_version": "0.1.0",
            "scenario": scenario(),
            "scenario_file": "scenarios/three_versions.yaml",
            "scenario_sha256": "9c1f" * 16,
            "environment": Environment(
                target="embedded",
                lake="abfss://lake@dlsloandev.dfs.core.windows.net",
                model_store="abfss://models@modelstoredev.dfs.core.windows.net",
                tracking_uri="sqlite:////home/me/.harness/mlflow.db",
                experiment="three_versions",
            ),
            "sources": {SOURCE: SourceData(uri=SOURCE, format="csv", sha256="41d0" * 16)},
            "settings": _settings(),
        }
        | changes
    )


def version(name: str, at: int, **changes: Any) -> VersionResult:
    """Return a version that was trained, explained and published; ``at`` is its index in the scenario."""
    spot = at % len(NAMES)
    return VersionResult.model_validate(
        {
            "name": name,
            "version": at,
            "rows": _ROWS[spot],
            "fingerprint": f"{at + 7:x}b3e".ljust(32, "5"),
            "schema": {"id": "bigint", "loan_status": "string"} | dict.fromkeys(_WEIGHTS, "double"),
            "status": "trained",
            "run_id": f"{at:x}c41".ljust(32, "8"),
            "metrics": _metrics(spot),
            "grid": _grid(spot),
            "intercept": -4.1137 + 0.04 * spot,
            "coefficients": {
                feature: Coefficient(raw=40 * weights[spot] / sd, per_sd=40 * weights[spot])
                for (feature, weights), sd in zip(_WEIGHTS.items(), _SPREAD, strict=True)
            },
            "explanations": {
                feature: explanation(weights[spot], sd)
                for (feature, weights), sd in zip(_WEIGHTS.items(), _SPREAD, strict=True)
            },
            "bundle": f"{BUNDLE}/{name}",
            "timings": {
                "ingest": 3.2 - 0.6 * spot,
                "check": 0.8,
                "prepare": 2.1,
                "train": 14.3 + 2.1 * spot,
                "evaluate": 1.9,
                "explain": 9.4 + 1.2 * spot,
                "log": 5.3,
            },
        }
        | changes
    )


def explanation(per_sd: float, sd: float = 1.0) -> FeatureExplanation:
    """Return a feature's weight; ``sd`` is the feature's standard deviation."""
    return FeatureExplanation(
        mean=per_sd / sd, mean_abs=abs(per_sd) / sd, mean_per_sd=per_sd, mean_abs_per_sd=abs(per_sd)
    )


def moved(name: str = "february", rows: int = 2, **changes: Any) -> MovedRows:
    """Return rows whose score moved, the first one explained."""
    weights = (
        RowWeight(feature="int_rate", before=0.0102, after=0.0117),
        RowWeight(feature="dti", after=-0.5),
    )
    return MovedRows.model_validate(
        {
            "version": name,
            "since": "january",
            "compared": 1358,
            "rows": tuple(
                MovedRow(
                    key=f"10000{at}",
                    label=float(at % 2),
                    before=0.125,
                    after=0.75 - at / 100,
                    weights=() if at else weights,
                )
                for at in range(rows)
            ),
        }
        | changes
    )


def changed_columns(**changes: Any) -> ChangedColumns:
    """Return the columns that changed in some rows, with an example."""
    return ChangedColumns.model_validate(
        {
            "columns": {"dti": 120, "term": 1},
            "sensitive": 3,
            "examples": (
                ChangedRow(key="100007", values={"dti": ("18.4", None), "term": ("36 months", "60 months")}),
            ),
        }
        | changes
    )


def bound(metric: str = "cv_roc_auc", verdict: Verdict = Verdict.PASS, **changes: Any) -> BoundResult:
    """Return a bound with a given verdict."""
    measured: MeasuredValue = {Verdict.PASS: 0.65, Verdict.FAIL: 0.55, Verdict.NOT_PROVEN: None}[verdict]
    specified = {name: value for name, value in changes.items() if name in BoundSpec.model_fields}
    fields = {
        "measured": measured,
        "distance": None if measured is None else measured - 0.6,
        "verdict": verdict,
        "reason": "" if measured is not None else "it could not be measured",
    } | {name: value for name, value in changes.items() if name not in specified}
    spec: dict[str, Any] = {
        "version": "march",
        "quantity": Quantity(kind="metric", name=metric),
        "metric": metric,
        "kind": "min",
        "limit": 0.6,
    }
    return BoundResult.model_validate({"spec": BoundSpec.model_validate(spec | specified), **fields})


def since(version: str, run: str | None = None) -> Reference:
    """An earlier version, or a version of another run."""
    return Reference(version=version, run=run)


def result(versions: tuple[VersionResult, ...] | None = None, **changes: Any) -> Result:
    """Return a run of three judged versions, or of the given ones."""
    if versions is None:
        versions = judge_versions(scenario(), tuple(version(name, at) for at, name in enumerate(NAMES)), {})
    return Result.model_validate(
        {
            "run_id": "20260301-101500-7f3a",
            "scenario": "three_versions",
            "target": "embedded",
            "verdict": combine_verdicts(bound for version in versions for bound in version.bounds),
            "started": datetime(2026, 3, 1, 10, 15, tzinfo=UTC),
            "duration_s": 64.2,
            "timings": _TIMINGS,
            "versions": versions,
            "table_uri": "abfss://lake@dlsloandev.dfs.core.windows.net/runs/20260301-101500-7f3a/lc_loan",
            "mlflow_run_id": "77ac".ljust(32, "0"),
            "libraries": {"python": "3.12.8", "pyspark": "3.5.9", "delta-spark": "3.3.2", "mlflow": "3.17.2"},
        }
        | changes
    )


def cloud(versions: tuple[VersionResult, ...] | None = None, **changes: Any) -> Result:
    """Return the same run on a cluster, with a different library and an additional one."""
    libraries = {"python": "3.12.3", "pyspark": "3.5.2", "delta-spark": "3.3.2", "mlflow": "3.17.2"}
    return result(
        versions,
        **{
            "run_id": "20260302-080000-three_versions-0b1c",
            "target": "databricks",
            "libraries": {**libraries, "photon": "1"},
        }
        | changes,
    )


def failure(**changes: Any) -> Failure:
    """Return a failure of the job while it trained a version."""
    return Failure.model_validate(
        {
            "kind": "JobError",
            "exit_code": ExitCode.JOB_FAILED,
            "message": "Spark ran out of memory while it trained february.",
            "remedy": "Set spark.driver.memory to 4g or more.",
        }
        | changes
    )


def _version(name: str, month: int) -> dict[str, Any]:
    metrics: dict[str, Any] = {"cv_roc_auc": {"min": 0.6}, "test_roc_auc": {"min": 0.6}}
    if name != NAMES[0]:
        metrics["cv_roc_auc"] = {"min": 0.6, "change": {"since": NAMES[0], "min": -0.1}}
    expect = {"rows": _ROWS[month - 1], "metrics": metrics | {"lime_r2_mean": {"min": 0.5}}}
    return {"name": name, "append": {"where": f"issue_d = '2018-{month:02}-01'"}, "expect": expect}


def _metrics(spot: int) -> dict[str, MeasuredValue]:
    return {
        "cv_roc_auc": _CV[spot],
        "cv_roc_auc_se": (0.0412, 0.0394, 0.0371)[spot],
        "test_roc_auc": _TEST[spot],
        "test_roc_auc_se": (0.0551, 0.0476, 0.0392)[spot],
        "test_pr_auc": (0.0412, 0.0476, 0.0533)[spot],
        "test_log_loss": (0.0863, 0.0851, 0.0838)[spot],
        "test_accuracy": (0.9814, 0.9817, 0.9823)[spot],
        "test_f1": 0.0,
        "lime_r2_mean": (0.8127, 0.8342, 0.8293)[spot],
        "train_rows": round(0.6 * _ROWS[spot]),
        "train_positives": (38, 64, 93)[spot],
        "test_rows": round(0.4 * _ROWS[spot]),
        "test_positives": (25, 41, 60)[spot],
        "unlabelled_rows": 0,
        "ignored_rows": (3, 5, 9)[spot],
        "explained_rows": 200,
    }


def _grid(spot: int) -> tuple[GridPoint, ...]:
    penalties = ((0.0, -0.006), (0.001, 0.0), (1.0, -0.021), (10.0, -0.043))
    return tuple(
        GridPoint(
            parameters={"reg_param": penalty, "elastic_net_param": 0},
            cv_roc_auc=_CV[spot] + below,
            chosen=not below,
        )
        for penalty, below in penalties
    )


def _settings() -> tuple[Setting, ...]:
    return (
        Setting(name="target", value="embedded", origin="default"),
        Setting(name="driver_memory", value="2g", origin="HARNESS_DRIVER_MEMORY"),
        Setting(name="parallel_versions", value="2", origin="harness.toml:4"),
        Setting(name="publish", value="pass", origin="command line"),
    )
