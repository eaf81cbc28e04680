"""The Python environments and processes of the stand-in's runtimes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.runtime.jars import list_coordinates
from harness.runtime.java import HOME_VARIABLE, find_java
from harness.wheel import build_wheel, compute_version
from tests.databricks.standin.environments import (
    DBR_15_4,
    DBR_16_4,
    Environments,
    InstallError,
    _packages,
    _remove_oldest,
    family_of,
    python_of,
    read_locked_version,
)
from tests.databricks.standin.libraries import class_path, published_coordinates
from tests.databricks.standin.mounts import Mounts
from tests.databricks.standin.runtime import LibraryError, Runtime, WheelTask
from tests.databricks.standin.tracking import TrackingServer
from tests.databricks.wheels import write_wheel

JOB = Path(__file__).with_name("standin_job.py")
NAMES = ("record", "fail", "refuse", "stop", "wait")
DEADLINE_S = 300


@dataclass(frozen=True)
class Cluster:
    """A cluster of the stand-in in a separate folder."""

    folder: Path

    @property
    def volumes(self) -> Path:
        """Folder that replaces /Volumes."""
        return self.folder / "volumes"

    def task(self, entry_point: str, *parameters: str, runtime: str = DBR_16_4) -> WheelTask:
        """Return a task that runs one of the small job's functions."""
        self.volumes.mkdir(exist_ok=True)
        folder = self.folder / "task"
        folder.mkdir()
        return WheelTask(
            folder=folder,
            runtime=runtime,
            wheel=write_wheel(
                self.folder,
                "standin_job",
                JOB.read_text(encoding="utf-8"),
                scripts={name: name for name in NAMES},
                requires=("numpy", "pandas", "platformdirs==4.3.6"),
            ),
            maven=published_coordinates(),
            package_name="standin-job",
            entry_point=entry_point,
            parameters=parameters,
            spark_conf={
                "spark.master": "local[*, 4]",
                "spark.harness.setting": "a: b = c\\d",
                # Three rows don't need fifty tasks.
                "spark.databricks.delta.snapshotPartitions": "1",
            },
            environ={"WHERE": "dbfs:/Volumes/tmp", "PYSPARK_PYTHON": "/databricks/python3/bin/python3"},
            cores=1,
        )

    def start(self, task: WheelTask) -> subprocess.Popen[bytes]:
        """Install and start a task."""
        runtime = Runtime(self.volumes)
        runtime.install(task)
        return runtime.start(task, self.folder / "output")

    def run(self, task: WheelTask) -> tuple[int, str]:
        """Run the task, and return its exit code and its output."""
        with self.start(task) as process:
            try:
                code = process.wait(DEADLINE_S)
            finally:
                _kill(process)
        return code, (self.folder / "output").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Findings:
    """What a task recorded at run time."""

    runtime: str
    cluster: Cluster
    values: dict[str, Any]


def _kill(process: subprocess.Popen[bytes]) -> None:
    if not _is_gone(process.pid):
        os.killpg(process.pid, signal.SIGKILL)


def _is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def _wait_until(predicate: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, f"{what} took longer than {DEADLINE_S} s"
        time.sleep(0.05)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@dataclass(frozen=True)
class Installation:
    """The harness's own wheel, installed into the environment of a runtime."""

    runtime: str
    wheel: Path
    environments: Environments = field(default_factory=Environments)

    @property
    def before(self) -> dict[str, str]:
        """The packages of the runtime, with their versions."""
        return _list_packages(self.environments._base(self.runtime))

    @property
    def after(self) -> dict[str, str]:
        """The packages with the wheel."""
        return _list_packages(self.environment)

    @property
    def environment(self) -> Path:
        """Folder of the environment with the wheel."""
        return self.environments.folder(self.runtime, self.wheel)

    @property
    def pinned(self) -> dict[str, str]:
        """What the wheel requires in an exact version on this Python."""
        [distribution] = metadata.distributions(
            name="dataset-harness", path=[str(_packages(self.environment))]
        )
        asked = [Requirement(each) for each in distribution.requires or () if "extra ==" not in each]
        exact = [each for each in asked if str(each.specifier).startswith("==")]
        return {
            each.name: str(each.specifier).removeprefix("==")
            for each in exact
            if each.marker is None or each.marker.evaluate()
        }


def _list_packages(environment: Path) -> dict[str, str]:
    found = metadata.distributions(path=[str(_packages(environment))])
    return {canonicalize_name(each.metadata["Name"]): each.version for each in found}


@pytest.fixture(name="installation", scope="module", params=[DBR_15_4, DBR_16_4])
def _installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(request.param, build_wheel(tmp_path_factory.mktemp("wheel")))
    installation.environments.make(installation.runtime, installation.wheel)
    return installation


def test_the_wheel_changes_only_what_it_pins(installation: Installation) -> None:
    """The harness's wheel leaves every package of a runtime alone, except the ones that it names exactly."""
    added = {**installation.pinned, "dataset-harness": compute_version()}
    assert installation.before | added == installation.after
    assert installation.pinned.keys() - installation.before.keys() >= {"synapseml"}


def test_pip_installs_only_what_the_wheel_pins(installation: Installation) -> None:
    """The installer of a cluster, pip, would install the same."""
    runtime = installation.environments._base(installation.runtime)
    command = [sys.executable, "-m", "pip", "--python", str(python_of(runtime)), "install", "--quiet"]
    command += ["--dry-run", "--report", "-", str(installation.wheel)]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    installed = {
        canonicalize_name(each["metadata"]["name"]): each["metadata"]["version"]
        for each in json.loads(report)["install"]
    }
    assert dict(installation.after.items() - installation.before.items()) == installed


def test_the_runtimes_own_libraries_still_work(installation: Installation) -> None:
    """Databricks' own feature engineering, which needs MLflow and protobuf, can be imported."""
    command = [str(python_of(installation.environment)), "-P", "-W", "ignore", "-c"]
    subprocess.run([*command, "import databricks.feature_engineering"], check=True)


@pytest.fixture(scope="module", params=[DBR_15_4, DBR_16_4])
def findings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    task = cluster.task("record", "/Volumes/plan.json", "/Volumes/findings.json", runtime=request.param)
    (cluster.volumes / "loans.csv").write_text("100\n200\n")
    plan = {"loans": "/Volumes/loans.csv", "table": "dbfs:/Volumes/table"}
    (cluster.volumes / "plan.json").write_text(json.dumps(plan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_TOKEN", "not for the job")
        code, output = cluster.run(task)
    assert code == 0, output
    return Findings(request.param, cluster, json.loads((cluster.volumes / "findings.json").read_text()))


@pytest.mark.spark
@pytest.mark.parametrize("package", ["spark", "numpy", "pandas", "pyarrow"])
def test_versions_are_those_of_the_runtime(findings: Findings, package: str) -> None:
    """A wheel that accepts any numpy and pandas runs with the runtime's versions and Spark."""
    name = {"spark": "pyspark"}.get(package, package)
    assert read_locked_version(findings.runtime, name) == findings.values[package]


@pytest.mark.spark
def test_a_missing_dependency_is_installed_with_the_wheel(findings: Findings) -> None:
    """A wheel's own dependency is installed in the required version."""
    assert findings.values["platformdirs"] == "4.3.6"


@pytest.mark.spark
def test_hadoop_is_that_of_the_runtime(findings: Findings) -> None:
    """The newer Hadoop that the harness uses elsewhere is not on the cluster."""
    assert findings.values["hadoop"] == "3.3.4"


@pytest.mark.spark
def test_a_maven_library_is_available(findings: Findings) -> None:
    """SynapseML's explainer is available if its coordinate was submitted."""
    assert findings.values["explainer"] == "TabularLIME"


@pytest.mark.spark
def test_delta_is_available(findings: Findings) -> None:
    """Delta tables can be written and read by default, and Python workers run."""
    assert findings.values["rows"] == 3


@pytest.mark.spark
def test_paths_in_the_plan_are_resolved(findings: Findings) -> None:
    """A file that the plan names below /Volumes is read."""
    assert findings.values["loans"] == "100\n200\n"


@pytest.mark.spark
def test_the_uploaded_plan_is_unchanged(findings: Findings) -> None:
    """The uploaded plan is not changed, as the job reads a copy."""
    plan = json.loads((findings.cluster.volumes / "plan.json").read_text())
    assert plan == {"loans": "/Volumes/loans.csv", "table": "dbfs:/Volumes/table"}


@pytest.mark.spark
def test_parameters_are_arguments_of_the_program(findings: Findings) -> None:
    """The parameters of a task are in sys.argv after the entry point's name."""
    assert findings.values["argv"][0] == "record"
    assert findings.values["argv"][2] == str(findings.cluster.volumes / "findings.json")


@pytest.mark.spark
def test_spark_has_the_clusters_settings(findings: Findings) -> None:
    """The cluster's Spark settings arrive unchanged."""
    assert findings.values["setting"] == "a: b = c\\d"
    assert findings.values["master"] == "local[1]"


@pytest.mark.spark
def test_variables_are_those_of_the_cluster(findings: Findings) -> None:
    """The job has the cluster's variables and Python, not those of the tests."""
    environ = findings.values["environ"]
    assert environ["WHERE"] == str(findings.cluster.volumes / "tmp")
    assert environ["HOME"] == str(findings.cluster.folder / "task")
    assert not [name for name in environ if name.startswith(("HARNESS_", "PYTEST_"))]
    assert environ["PYSPARK_PYTHON"] != "/databricks/python3/bin/python3"


@pytest.mark.spark
def test_an_exception_fails_the_task(cluster: Cluster) -> None:
    """An exception ends the process with exit code 1, and its traceback is in the output."""
    code, output = cluster.run(cluster.task("fail"))
    assert code == 1
    assert "Traceback (most recent call last):" in output
    assert output.endswith("ValueError: a loan of no amount\n")


@pytest.mark.spark
def test_a_task_that_ends_with_a_text_fails(cluster: Cluster) -> None:
    """The text of a SystemExit is shown."""
    code, output = cluster.run(cluster.task("refuse"))
    assert code == 1
    assert output.endswith("SystemExit: a bound has failed\n")


@pytest.mark.spark
def test_a_task_that_stops_the_clusters_context_fails(cluster: Cluster) -> None:
    """A task that stops the cluster's Spark context fails."""
    code, output = cluster.run(cluster.task("stop"))
    assert code == 1
    assert output.endswith("The Spark context was stopped: it is the cluster's, and no task may stop it.\n")


@pytest.mark.spark
def test_sigterm_ends_everything(cluster: Cluster) -> None:
    """SIGTERM ends the task and its JVM."""
    with cluster.start(cluster.task("wait", "/Volumes/here")) as process:
        try:
            _wait_until((cluster.volumes / "here").exists, "the start of the task")
            process.terminate()
            assert process.wait(DEADLINE_S) == -signal.SIGTERM
            _wait_until(lambda: _is_gone(process.pid), "the end of the JVM")
        finally:
            _kill(process)


def test_an_unknown_maven_coordinate_is_refused(cluster: Cluster) -> None:
    """An unknown Maven coordinate is refused with a cluster's message."""
    task = replace(cluster.task("record"), maven=("com.example:no-such_2.12:1.0",))
    expected = (
        r"Library installation failed .* unresolved dependency: com\.example:no-such_2\.12:1\.0: not found"
    )
    with pytest.raises(LibraryError, match=expected):
        Runtime(cluster.volumes).install(task)


def test_a_wheel_for_another_python_is_refused(cluster: Cluster) -> None:
    """A wheel for another Python is refused with its name and the installer's message."""
    wheel = write_wheel(cluster.folder, "future", "", requires_python=">=3.99")
    task = replace(cluster.task("record"), wheel=wheel)
    expected = r'(?s)Library installation failed .* whl: "future-1\.0-py3-none-any\.whl".*Python'
    with pytest.raises(LibraryError, match=expected):
        Runtime(cluster.volumes).install(task)


def test_an_incomplete_wheel_is_refused(cluster: Cluster) -> None:
    """An incomplete wheel is reported as a failed library."""
    wheel = cluster.folder / "half-1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(LibraryError, match=r"half-1\.0"):
        Runtime(cluster.volumes).install(replace(cluster.task("record"), wheel=wheel))


def test_a_failed_installation_leaves_nothing(cluster: Cluster) -> None:
    """A failed installation leaves no environment behind."""
    wheel = write_wheel(cluster.folder, "future", "", requires_python=">=3.99")
    environments = Environments()
    folder = environments.folder(DBR_16_4, wheel)
    with pytest.raises(InstallError):
        environments.make(DBR_16_4, wheel)
    assert not list(folder.parent.glob(f"{folder.name}*"))


def test_recently_used_environments_are_kept(tmp_path: Path) -> None:
    """Of seven environments, the least recently used one is removed."""
    for at in range(7):
        (tmp_path / str(at)).mkdir()
        os.utime(tmp_path / str(at), (at, at))
    _remove_oldest(tmp_path)
    assert ["1", "2", "3", "4", "5", "6"] == sorted(folder.name for folder in tmp_path.iterdir())


@pytest.mark.parametrize("runtime", [DBR_15_4, DBR_16_4])
def test_without_a_coordinate_there_is_only_delta(runtime: str) -> None:
    """Without its coordinate, SynapseML is not available; Delta is part of the runtime."""
    jars = class_path(find_java(os.environ.get(HOME_VARIABLE), os.environ), runtime, ())
    assert {"io.delta_delta-spark_2.12", "io.delta_delta-storage"} == {
        jar.name.rpartition("-")[0] for jar in jars
    }


def test_the_coordinate_that_the_harness_submits_is_published() -> None:
    """The harness's own coordinate is accepted; one of a library in the runtime is not."""
    assert published_coordinates() == tuple(each for each in list_coordinates() if "synapseml-core" in each)


@pytest.mark.parametrize("name", ["17.3.x-cpu-ml-scala2.13", "16.4", "16.40.x-scala2.12"])
def test_an_unknown_runtime_is_refused(name: str) -> None:
    """An unknown runtime is refused with the names of the known ones."""
    with pytest.raises(ValueError, match=r"known ones: 15\.4, 16\.4"):
        family_of(name)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/Volumes/main/a", "/v/main/a"),
        ("dbfs:/Volumes/main/a", "/v/main/a"),
        ("file:/Volumes/main/a", "file:/v/main/a"),
        ("file:///Volumes/main/a", "file:///v/main/a"),
        ("/Workspace/Users/me", "/w/Users/me"),
        ("/VolumesX/main", "/VolumesX/main"),
        ("see /Volumes/main", "see /Volumes/main"),
        ("abfss://lake@account/Volumes/main", "abfss://lake@account/Volumes/main"),
    ],
)
def test_paths_that_a_workspace_mounts_are_resolved(given: str, expected: str) -> None:
    """A path below a mount is resolved to its folder; any other text is unchanged."""
    assert expected == Mounts(Path("/v"), Path("/w")).resolve(given)


def test_without_a_workspace_folder_its_paths_are_unchanged() -> None:
    """Paths without a mount are not resolved."""
    assert Mounts(Path("/v")).resolve("/Workspace/a") == "/Workspace/a"


def test_a_json_file_is_resolved_at_every_depth(tmp_path: Path) -> None:
    """Paths in a JSON file are resolved at every depth; other values are unchanged."""
    (tmp_path / "plan.json").write_text('{"a": [{"b": "/Volumes/c"}], "n": 1, "t": true, "z": null}')
    (copy,) = Mounts(tmp_path).parameters(["/Volumes/plan.json"], tmp_path / "copies")
    expected = {"a": [{"b": str(tmp_path / "c")}], "n": 1, "t": True, "z": None}
    assert expected == json.loads(Path(copy).read_text())


def test_the_tracking_server_keeps_a_run(tmp_path: Path) -> None:
    """A client can log a metric and read it back; it writes artifacts itself."""
    from mlflow import MlflowClient

    with TrackingServer(tmp_path / "mlflow") as server:
        client = MlflowClient(tracking_uri=server.url)
        run = client.create_run(client.create_experiment("loans"))
        client.log_metric(run.info.run_id, "test_roc_auc", 0.7)
        assert {"test_roc_auc": 0.7} == client.get_run(run.info.run_id).data.metrics
        assert run.info.artifact_uri.startswith(f"file://{tmp_path}/mlflow/artifacts/")
        assert server._process is not None
        group = server._process.pid
    assert _is_gone(group)


def test_a_tracking_server_that_does_not_start_is_reported(tmp_path: Path) -> None:
    """A tracking server that does not start is reported with the end of its log."""
    (tmp_path / "mlflow.db").write_text("no database " * 100)
    with (
        pytest.raises(TimeoutError, match=r"(?s)Last lines of its log:.*file is not a database"),
        TrackingServer(tmp_path),
    ):
        pass
