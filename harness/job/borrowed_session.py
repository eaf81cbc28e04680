"""The job on a Spark session that is open already, in its process: nothing of either stays changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlflow
from mlflow.utils.autologging_utils import disable_autologging
from py4j.java_gateway import JavaClass
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from harness.errors import PrerequisiteError
from harness.events import Announcement, FinishedStep, Listener
from harness.job.__main__ import open_tracker
from harness.job.clock import Clock
from harness.job.main import run
from harness.job.running_job import Job
from harness.job.spark_session import configure_session
from harness.job.step_record import StepRecord
from harness.pipelines import KEY
from harness.plan import Environment, Plan
from harness.results import Result
from harness.scenario.text_checks import is_secret_name
from harness.storage.accounts import make_hadoop_settings, read_secret

_SPARK_LINE = "3.5"
"""The line of Spark that SynapseML is published for."""
_DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
_DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
_EXPLAINER = "com.microsoft.azure.synapse.ml.explainers.VectorLIME"
_SQL = ("spark.sql.", "spark.databricks.delta.")
"""Prefixes of settings that numbers may depend on; the job has those of the cluster, not of a notebook."""
_CATALOGS = "spark.sql.catalog."


def require_suitable(spark: object, *, has_delta: bool, synapseml: str) -> None:
    """Require that the job can run on a session.

    Args:
        spark: The session.
        has_delta: Whether it has Delta for certain, as on Databricks.
        synapseml: Maven coordinate of SynapseML, for the message.

    Raises:
        PrerequisiteError: Names everything that is missing, and what to do.
    """
    if not isinstance(spark, SparkSession):
        name = f"{type(spark).__module__}.{type(spark).__qualname__}"
        connect = ".connect." in f"{name}."
        raise PrerequisiteError(
            f"The harness can't run on this session: it is a {name}"
            + (", which reaches Spark only through Spark Connect." if connect else "."),
            remedy="On Databricks, attach the notebook to a cluster with dedicated access mode, not to "
            "serverless compute or a cluster with standard access mode."
            if connect
            else "Pass the open Spark session: spark=spark.",
        )
    context: Any = spark.sparkContext
    if context._jsc is None:  # noqa: SLF001 - no public way
        raise PrerequisiteError("This Spark session is stopped.", remedy="Start another one.")
    if missing := _list_missing(spark, has_delta=has_delta, synapseml=synapseml):
        raise PrerequisiteError(
            "The harness can't run on this Spark session:\n"
            + "\n".join(f"    {problem}" for problem, _ in missing),
            remedy="\n  ".join(remedy for _, remedy in missing),
        )


def _list_missing(spark: SparkSession, *, has_delta: bool, synapseml: str) -> list[tuple[str, str]]:
    """Return what is missing, each with what to do."""
    if not spark.version.startswith(f"{_SPARK_LINE}."):
        return [
            (
                f"It is Spark {spark.version}; SynapseML is published for Spark {_SPARK_LINE}.",
                f"Use Spark {_SPARK_LINE}: on Databricks, a 15.4 or 16.4 LTS ML runtime.",
            )
        ]
    missing = []
    extensions = spark.conf.get("spark.sql.extensions", "") or ""
    catalog = spark.conf.get(f"{_CATALOGS}spark_catalog", "") or ""
    if not has_delta and not (
        _has_class(spark, _DELTA_EXTENSION) and _DELTA_EXTENSION in extensions and catalog == _DELTA_CATALOG
    ):
        missing.append(
            (
                "It can't read and write Delta tables: it has no Delta extension.",
                (
                    "Build the session with delta.configure_spark_with_delta_pip(builder), and set "
                    f"spark.sql.extensions={_DELTA_EXTENSION} and "
                    f"{_CATALOGS}spark_catalog={_DELTA_CATALOG}."
                ),
            )
        )
    if find_spec("delta") is None:
        missing.append(("The Python package delta-spark is missing.", "Install it: pip install delta-spark."))
    if not _has_class(spark, _EXPLAINER):
        missing.append(
            (
                f"SynapseML's jar is missing: there is no class {_EXPLAINER}.",
                (
                    f"Add {synapseml} to the session's spark.jars.packages. On Databricks, install it on the "
                    "cluster, as a Maven library."
                ),
            )
        )
    return missing


def describe_session(spark: SparkSession) -> tuple[str, ...]:
    """Return the versions of Spark, Java and Scala, and the jars that the session was started with."""
    context: Any = spark.sparkContext
    system = context._jvm.java.lang.System  # noqa: SLF001 - no public way
    jars = context._jsc.sc().listJars()  # noqa: SLF001
    names = sorted(str(jars.apply(index)).rpartition("/")[2] for index in range(jars.size()))
    class_path = context.getConf().get("spark.driver.extraClassPath", "")
    names += sorted(Path(jar).name for jar in class_path.split(":") if jar)
    scala = context._jvm.scala.util.Properties.versionNumberString()  # noqa: SLF001
    return (spark.version, str(system.getProperty("java.version")), str(scala), *names)


def list_sql_settings(spark: SparkSession) -> dict[str, str]:
    """Return the cluster's settings that numbers may depend on, without secrets."""
    settings = spark.sparkContext.getConf().getAll()
    chosen = ("spark.master", "spark.default.", *_SQL)
    return {name: value for name, value in settings if name.startswith(chosen) and not is_secret_name(name)}


def run_on_session(
    spark: SparkSession,
    plan: Plan,
    scratch: Path,
    listener: Listener,
    *,
    announce: Callable[[Announcement], None],
    record: Callable[[FinishedStep], None],
) -> tuple[Result, Mapping[str, Path]]:
    """Run a plan on a session of the same Spark as an open one, and leave both it and this process unchanged.

    Args:
        spark: The open session.
        plan: The plan.
        scratch: Local folder for temporary files.
        listener: Receives every event.
        announce: Receives what is about to be created outside the run's folder.
        record: Receives each finished step.

    Returns:
        The result, and the files to deliver with it: path in the run's folder to the local file.
    """
    clock = Clock(listener)
    with (
        _restore_imports(scratch),
        disable_autologging(),
        _release_rows(spark),
        _open_child(spark, plan.environment) as session,
        ThreadPoolExecutor(1) as pool,
    ):
        job = Job(
            plan,
            clock,
            session,
            pool.submit(open_tracker, plan, clock),
            scratch,
            announce=announce,
            steps=StepRecord(plan.finished, record),
            is_guest=True,
        )
        return run(job), job.files


@contextmanager
def _open_child(spark: SparkSession, environment: Environment) -> Iterator[SparkSession]:
    """Open a new session of the same Spark: what the job sets there, nobody else sees.

    It has the open session's catalogs and credentials. Everything else is as the cluster sets it, so that
    numbers don't depend on what a notebook has set before.
    """
    child = spark.newSession()
    own: Any = spark._jsparkSession.conf().getAll().toSeq()  # noqa: SLF001 - no public way in pyspark 3.5
    pairs = [own.apply(index) for index in range(own.size())]
    inherited = {str(pair.productElement(0)): str(pair.productElement(1)) for pair in pairs}
    for name, value in inherited.items():
        if not name.startswith(_SQL) or name.startswith(_CATALOGS):
            _set_if_possible(child, name, value)
    for name, value in environment.spark.items():
        _set_if_possible(child, name, value)
    with _restore_hadoop(spark, environment), _activate(child):
        configure_session(child, environment)
        yield child


def _set_if_possible(session: SparkSession, name: str, value: str) -> None:
    """Set a value, unless only the start of Spark can do so."""
    with suppress(AnalysisException):
        session.conf.set(name, value)


@contextmanager
def _activate(session: SparkSession) -> Iterator[None]:
    """Make a session the active one of this thread, in which models are saved and loaded."""
    sessions: Any = session._jvm.SparkSession  # type: ignore[union-attr] # noqa: SLF001 - no public way
    before, python_before = sessions.getActiveSession(), SparkSession._activeSession  # noqa: SLF001
    sessions.setActiveSession(session._jsparkSession)  # noqa: SLF001
    SparkSession._activeSession = session  # noqa: SLF001
    try:
        yield
    finally:
        SparkSession._activeSession = python_before  # noqa: SLF001
        sessions.setActiveSession(before.get()) if before.isDefined() else sessions.clearActiveSession()


@contextmanager
def _release_rows(spark: SparkSession) -> Iterator[None]:
    """Release the cached rows that are left: a failed job's, and copies that SynapseML makes of them."""
    context: Any = spark.sparkContext
    before = set(context._jsc.getPersistentRDDs())  # noqa: SLF001 - no public way
    try:
        yield
    finally:
        for number, rows in dict(context._jsc.getPersistentRDDs()).items():  # noqa: SLF001
            if number not in before and KEY in str(rows.name()):
                rows.unpersist(False)


@contextmanager
def _restore_hadoop(spark: SparkSession, environment: Environment) -> Iterator[None]:
    """Restore the settings of storage accounts, which all sessions of a Spark share."""
    context: Any = spark.sparkContext
    configuration = context._jsc.hadoopConfiguration()  # noqa: SLF001 - no public way
    names = [
        name
        for account in environment.accounts
        for name in make_hadoop_settings(account, read_secret(account.secret, account.name))
    ]
    before = {name: configuration.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            configuration.unset(name) if value is None else configuration.set(name, value)


@contextmanager
def restore_process() -> Iterator[None]:
    """Restore this process's environment variables and MLflow's store at the end of the block."""
    variables = dict(os.environ)
    is_set: Any = mlflow.is_tracking_uri_set
    store = mlflow.get_tracking_uri() if is_set() else ""
    try:
        yield
    finally:
        mlflow.set_tracking_uri(store)
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)


@contextmanager
def _restore_imports(scratch: Path) -> Iterator[None]:
    """Restore the import path, and the modules that a custom pipeline has replaced."""
    path, modules = list(sys.path), dict(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(f"{scratch}/"):
                del sys.modules[name]
        sys.modules.update({name: each for name, each in modules.items() if name not in sys.modules})


def _has_class(spark: SparkSession, name: str) -> bool:
    """Return whether the JVM has a class."""
    package, _, simple = name.rpartition(".")
    found: Any = spark._jvm  # noqa: SLF001 - no public way
    for part in package.split("."):
        found = getattr(found, part)
    return isinstance(getattr(found, simple), JavaClass)
