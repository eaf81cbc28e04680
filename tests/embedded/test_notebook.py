"""A run on an open Spark session, as in a notebook: the session and the process stay as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from pyspark.sql import SparkSession

import harness
from harness.errors import ExitCode, InterruptedRunError, PrerequisiteError, UsageError
from harness.job import borrowed_session
from harness.job.borrowed_session import require_suitable
from harness.plan import Account, Secret
from harness.results import Result, Verdict
from harness.runs import LOG, find_run
from harness.runtime.java import find_java
from harness.settings import read_settings
from tests.embedded.runner import make_plan
from tests.embedded.small import (
    ONE_VERSION,
    SMALL,
    write_custom_scenario,
    write_scenario,
    write_table,
)

pytestmark = pytest.mark.spark

SYNAPSEML = "group:synapseml:1"
PLAIN = """
import sys
from pyspark.sql import SparkSession
import harness

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
try:
    harness.run(sys.argv[1], spark=spark)
except harness.HarnessError as error:
    print(error)
    print(spark.range(3).count(), error.exit_code.name, int(error.exit_code))
"""


@pytest.fixture(name="home", autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide a home, and this folder as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HARNESS_TARGET", raising=False)
    return tmp_path / "home"


def _describe(spark: SparkSession) -> dict[str, Any]:
    """Return everything about a session and its process that a run must leave alone."""
    context: Any = spark.sparkContext
    hadoop = context._jsc.hadoopConfiguration()
    return {
        "settings": {row["key"]: row["value"] for row in spark.sql("SET").collect()},
        "views": sorted(each.name for each in spark.catalog.listTables() if each.isTemporary),
        "catalog": (spark.catalog.currentCatalog(), spark.catalog.currentDatabase()),
        "checkpoints": context._jsc.sc().getCheckpointDir().toString(),
        "group": context.getLocalProperty("spark.jobGroup.id"),
        "key": hadoop.get("fs.azure.account.key.loans.dfs.core.windows.net"),
        # Delta keeps the states of tables until it needs the memory for others.
        "cached": [
            each.name()
            for each in context._jsc.getPersistentRDDs().values()
            if not str(each.name()).startswith("Delta Table State")
        ],
        "active": SparkSession.getActiveSession() is spark,
        "store": mlflow.get_tracking_uri(),
        "variables": sorted(os.environ.items()),
        "path": list(sys.path),
        "modules": {name for name in sys.modules if name.startswith("custom_pipelines")},
    }


@pytest.fixture(name="used")
def _used(spark: SparkSession, tmp_path: Path) -> Iterator[SparkSession]:
    """Provide a session in which a notebook has set, created and chosen something."""
    notebook = spark.newSession()
    notebook.sql("CREATE DATABASE IF NOT EXISTS loans")
    notebook.catalog.setCurrentDatabase("loans")
    notebook.range(3).createOrReplaceTempView("harness_added")
    notebook.conf.set("spark.sql.ansi.enabled", "true")
    notebook.conf.set("spark.sql.session.timeZone", "Asia/Tehran")
    notebook.conf.set("spark.sql.shuffle.partitions", "17")
    notebook.sparkContext.setCheckpointDir(str(tmp_path / "checkpoints"))
    notebook.createDataFrame([(1,)], "id int")  # Makes this session the active one, as a notebook's is.
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/own.db")
    yield notebook
    mlflow.set_tracking_uri("")
    notebook.sql("DROP DATABASE loans CASCADE")
    spark.createDataFrame([(1,)], "id int")


def _run(scenario: str, spark: SparkSession, **options: Any) -> Result:
    return harness.run(scenario, spark=spark, quiet=True, **options)


def test_a_run_leaves_the_open_session_as_it_was(used: SparkSession, tmp_path: Path) -> None:
    """A run on an open session passes, and changes neither the session nor anything of the process."""
    before = _describe(used)
    result = _run(write_scenario(tmp_path, SMALL), used)
    assert Verdict.PASS is result.verdict
    assert before == _describe(used)
    assert [3, 3] == [used.table("harness_added").count(), used.range(3).count()]


def test_the_numbers_are_those_of_a_process(used: SparkSession, tmp_path: Path) -> None:
    """Whatever a notebook has set, a run on its session measures what a run in a process of its own does."""
    scenario = write_scenario(tmp_path, ONE_VERSION)
    here = _run(scenario, used)
    there = harness.run(scenario, target="embedded", quiet=True, fresh=True)
    assert ("", "") == (here.reused_from, there.reused_from)
    [one], [other] = here.versions, there.versions
    assert (one.fingerprint, one.metrics, one.explanation) == (
        other.fingerprint,
        other.metrics,
        other.explanation,
    )


def test_a_run_in_a_notebook_is_a_run_like_any_other(used: SparkSession, home: Path, tmp_path: Path) -> None:
    """It has reports, MLflow runs and bundles, and the next run judges its numbers again."""
    scenario = write_scenario(tmp_path, ONE_VERSION)
    result = _run(scenario, used)
    folder = find_run(read_settings().runs, result.run_id)
    assert folder.is_settled
    assert {"result.json", "plan.json", "report.html", "report.md", "junit.xml", LOG} <= {
        each.name for each in folder.path.iterdir()
    }
    assert Path(str(result.versions[0].bundle)).is_relative_to(home / "models")
    assert "embedded" == result.target
    assert result.run_id == _run(scenario, used).reused_from


def test_an_existing_table_is_read_by_its_name(used: SparkSession, tmp_path: Path) -> None:
    """A scenario given as a dict reads versions of a table by its name in the session's catalog."""
    file = write_table(tmp_path)
    rows = used.read.csv(str(file), header=True, inferSchema=True)
    rows.where("batch = 1").write.format("delta").saveAsTable("loans.readings")
    rows.where("batch = 2").write.format("delta").mode("append").saveAsTable("loans.readings")
    before = _describe(used)
    scenario = ONE_VERSION.model_dump(mode="json", by_alias=True, exclude_unset=True)
    scenario["every"] = {"metrics": {"test_roc_auc": {"min": 0.7}}}
    result = harness.run(
        scenario, spark=used, quiet=True, table="spark_catalog.loans.readings", versions=[0, "latest"]
    )
    assert Verdict.PASS is result.verdict
    assert [(0, 200), (1, 300)] == [(each.version, each.rows) for each in result.versions]
    assert before == _describe(used)


def test_a_custom_pipeline_leaves_no_module(used: SparkSession, tmp_path: Path) -> None:
    """A notebook's own module with the name of a custom pipeline's is still there after a run."""
    scenario = write_custom_scenario(tmp_path)
    own = type(sys)("custom_pipelines")
    sys.modules["custom_pipelines"] = own
    try:
        before = _describe(used)
        assert Verdict.PASS is _run(scenario, used).verdict
        assert before == _describe(used)
        assert own is sys.modules["custom_pipelines"]
    finally:
        del sys.modules["custom_pipelines"]


def test_a_failed_run_leaves_the_session_as_it_was(
    used: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that fails during the training leaves the session usable, and cancels only its own Spark jobs."""
    canceled: list[str] = []
    context = used.sparkContext
    monkeypatch.setattr(type(context), "cancelAllJobs", lambda _self: canceled.append("all"))
    monkeypatch.setattr(type(context), "cancelJobGroup", lambda _self, group: canceled.append(group))

    def fail(*_arguments: object) -> None:
        raise RuntimeError("no more loans")

    monkeypatch.setattr("harness.job.main.train_version", fail)
    before = _describe(used)
    result = _run(write_scenario(tmp_path, ONE_VERSION), used)
    assert result.failure is not None
    assert "no more loans" in result.failure.message
    assert [result.run_id] == canceled
    assert before == _describe(used)


def test_an_interrupted_run_stops_the_notebook(
    used: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt is raised, so that no further cell runs; the next run of the scenario resumes this one."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    before = _describe(used)
    scenario = write_scenario(tmp_path, ONE_VERSION)
    with monkeypatch.context() as patch:
        patch.setattr("harness.job.main.compare_rows", interrupt)
        with pytest.raises(InterruptedRunError) as caught:
            _run(scenario, used)
    assert ExitCode.INTERRUPTED is caught.value.exit_code
    assert before == _describe(used)
    interrupted = find_run(read_settings().runs, "latest").read_result()
    assert ExitCode.INTERRUPTED is interrupted.exit_code
    resumed = _run(scenario, used)
    assert (interrupted.run_id, Verdict.PASS) == (resumed.run_id, resumed.verdict)


def test_a_mistake_in_the_scenario_leaves_no_run(used: SparkSession, home: Path, tmp_path: Path) -> None:
    """A mistake that only the job finds is reported with its line, and leaves no run."""
    wrong = ONE_VERSION.model_copy(update={"filter": None})
    file = Path(write_scenario(tmp_path, wrong))
    file.write_text(file.read_text().replace("append: {}", "append: {where: heat > 'x' + nothing}"))
    before = _describe(used)
    with pytest.raises(harness.HarnessError, match=r"small\.yaml:\d+: .*nothing") as caught:
        _run(str(file), used)
    assert ExitCode.WRONG_INPUT is caught.value.exit_code
    assert before == _describe(used)
    assert [] == [each for each in (home / "runs").iterdir() if each.is_dir()]


def test_the_access_to_an_account_ends_with_the_run(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The job reaches a storage account with the settings' key; afterwards, Spark has none."""
    monkeypatch.setenv("LOANS_KEY", "c2VjcmV0")
    account = Account(name="loans", auth="key", secret=Secret(variable="LOANS_KEY"))
    environment = make_plan(SMALL, tmp_path / "rows.csv", tmp_path).environment
    context: Any = spark.sparkContext
    hadoop, name = context._jsc.hadoopConfiguration(), "fs.azure.account.key.loans.dfs.core.windows.net"
    with borrowed_session._open_child(spark, environment.model_copy(update={"accounts": (account,)})):
        assert "c2VjcmV0" == hadoop.get(name)
    assert hadoop.get(name) is None


def test_the_credentials_of_a_notebook_are_those_of_the_job(used: SparkSession, tmp_path: Path) -> None:
    """The job has a notebook's catalogs and storage credentials, and none of its other settings."""
    used.conf.set("fs.azure.account.auth.type.loans.dfs.core.windows.net", "SAS")
    used.conf.set("spark.sql.catalog.other", "org.example.Catalog")
    environment = make_plan(SMALL, tmp_path / "rows.csv", tmp_path).environment
    with borrowed_session._open_child(used, environment) as child:
        assert "SAS" == child.conf.get("fs.azure.account.auth.type.loans.dfs.core.windows.net")
        assert "org.example.Catalog" == child.conf.get("spark.sql.catalog.other")
        assert "17" != child.conf.get("spark.sql.shuffle.partitions")


def test_a_target_and_a_session_exclude_each_other(spark: SparkSession, tmp_path: Path) -> None:
    """A run on an open session has no target, and says so."""
    with pytest.raises(UsageError, match="target='compose' can't be combined with spark="):
        _run(write_scenario(tmp_path, ONE_VERSION), spark, target="compose")


def _missing(spark: SparkSession, monkeypatch: pytest.MonkeyPatch, lacks: str) -> PrerequisiteError:
    find = borrowed_session._has_class
    monkeypatch.setattr(
        borrowed_session, "_has_class", lambda session, name: lacks not in name and find(session, name)
    )
    with pytest.raises(PrerequisiteError) as caught:
        require_suitable(spark, has_delta=False, synapseml=SYNAPSEML)
    assert ExitCode.PREREQUISITE_MISSING is caught.value.exit_code
    return caught.value


def test_a_session_without_synapseml_is_refused(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session without SynapseML's jar is refused, with the coordinate of the jar."""
    error = _missing(spark, monkeypatch, "synapse")
    assert "SynapseML's jar is missing" in error.message
    assert f"Add {SYNAPSEML} to" in str(error.remedy)


def test_everything_that_is_missing_is_named_at_once(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session without any of the jars gets one message that names all of them."""
    error = _missing(spark, monkeypatch, "")
    assert "it has no Delta extension" in error.message
    assert "SynapseML's jar is missing" in error.message
    assert 2 == len(str(error.remedy).splitlines())


def test_another_spark_is_refused(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Spark of another line is refused with its version and the supported one."""
    monkeypatch.setattr(SparkSession, "version", "4.0.1")
    with pytest.raises(PrerequisiteError, match=r"It is Spark 4\.0\.1; SynapseML is .* for Spark 3\.5\."):
        require_suitable(spark, has_delta=False, synapseml=SYNAPSEML)


def test_a_session_as_pyspark_starts_it_is_refused(home: Path, tmp_path: Path) -> None:
    """A plain session lacks Delta and SynapseML: it is refused, is still usable, and nothing is left."""
    scenario = write_scenario(tmp_path, ONE_VERSION)
    ended = subprocess.run(
        [sys.executable, "-c", PLAIN, scenario],
        env={**os.environ, "JAVA_HOME": str(find_java(None, os.environ).home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.endswith("\n3 PREREQUISITE_MISSING 3\n"), ended.stdout + ended.stderr
    assert "it has no Delta extension" in ended.stdout
    assert "SynapseML's jar is missing" in ended.stdout
    assert not home.exists()


def test_what_is_no_session_is_refused() -> None:
    """Something other than a Spark session is refused with its type."""
    with pytest.raises(PrerequisiteError, match=r"it is a builtins\.str\.\n  Pass the open Spark session"):
        require_suitable("spark", has_delta=False, synapseml=SYNAPSEML)


def test_a_session_of_spark_connect_is_refused() -> None:
    """A session of Spark Connect is refused with what to do on Databricks."""
    connect = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})
    with pytest.raises(PrerequisiteError, match=r"only through Spark Connect\.\n  On Databricks, attach"):
        require_suitable(connect(), has_delta=False, synapseml=SYNAPSEML)


def test_a_refused_session_leaves_nothing(
    spark: SparkSession, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run on a session that lacks something leaves no files."""
    monkeypatch.setattr(borrowed_session, "_has_class", lambda _session, _name: False)
    with pytest.raises(PrerequisiteError, match="no Delta extension"):
        _run(write_scenario(tmp_path, ONE_VERSION), spark)
    assert not home.exists()
