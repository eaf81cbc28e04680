"""The runtime of the stand-in: installs a submitted wheel into an environment, and runs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.runtime.java import HOME_VARIABLE, Java, find_java
from harness.targets.spark_conf import java_options
from tests.databricks.standin.environments import Environments, InstallError, python_of
from tests.databricks.standin.libraries import class_path, published_coordinates
from tests.databricks.standin.mounts import Mounts

_DRIVER = Path(__file__).with_name("driver.py")
_SETTINGS = "spark-defaults.conf"
_MEMORY = "2g"
# Some machines reach no network without these.
_PASSED_ON = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_DEFAULTS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.memory": _MEMORY,
    "spark.driver.defaultJavaOptions": " ".join(java_options(_MEMORY, small=True)),
    "spark.ui.showConsoleProgress": "false",
}
_HERE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}


class LibraryError(Exception):
    """A library that can't be installed; the text is a cluster's message."""


@dataclass(frozen=True)
class WheelTask:
    """A submitted Python wheel task, with the files and secrets from the workspace."""

    folder: Path
    """A new folder for this task only."""
    runtime: str
    """The runtime's name, such as 16.4.x-cpu-ml-scala2.12."""
    wheel: Path
    """Local copy of the uploaded wheel."""
    maven: tuple[str, ...]
    """Maven coordinates of further libraries."""
    package_name: str
    entry_point: str
    parameters: tuple[str, ...]
    """Parameters as submitted, with paths below /Volumes or /Workspace."""
    spark_conf: Mapping[str, str]
    """Settings of the cluster, with secrets resolved."""
    environ: Mapping[str, str]
    """The cluster's variables with secrets resolved, and the workspace's DATABRICKS_HOST and _TOKEN."""
    cores: int
    tables: Mapping[str, str] = field(default_factory=dict)
    """Tables of the catalog: full name to its folder, with a path below /Volumes."""
    schemas: tuple[str, ...] = ()
    """Schemas of the catalog: full names."""
    warehouse: Path | None = None
    """Folder of the managed tables."""

    def read_managed_tables(self) -> dict[str, str]:
        """Return the managed tables that the task has left, by full name, with their folders."""
        try:
            found: dict[str, str] = json.loads((self.folder / "tables.json").read_text(encoding="utf-8"))
        except OSError:
            return {}  # The task ended before it could list them.
        return found


class Runtime:
    """Runs tasks; `volumes` and `workspace` are the folders that replace /Volumes and /Workspace."""

    def __init__(self, volumes: Path, workspace: Path | None = None) -> None:
        self._mounts = Mounts(volumes, workspace)
        self._environments = Environments()

    def install(self, task: WheelTask) -> None:
        """Prepare the task's environment.

        Raises:
            LibraryError: A library can't be installed.
        """
        for coordinate in task.maven:
            if coordinate not in published_coordinates():
                raise LibraryError(
                    f'Library installation failed for library due to user error for maven {{ coordinates: "'
                    f'{coordinate}" }}. Error code: ERROR_MAVEN_LIBRARY_RESOLUTION, error message: Library '
                    f"resolution failed: unresolved dependency: {coordinate}: not found"
                )
        try:
            self._environments.make(task.runtime, task.wheel)
        except InstallError as error:
            raise LibraryError(
                f'Library installation failed for library due to user error for whl: "{task.wheel.name}". '
                f"Error code: DRIVER_LIBRARY_INSTALLATION_FAILURE, error message: {error}"
            ) from error

    def start(self, task: WheelTask, output: Path) -> subprocess.Popen[bytes]:
        """Start the task in its own process group; its output goes to the file `output`.

        Its libraries must be installed.
        """
        java = find_java(os.environ.get(HOME_VARIABLE), os.environ)
        python = python_of(self._environments.folder(task.runtime, task.wheel))
        settings = task.folder / "conf" / _SETTINGS
        _write_settings(settings, self._settings(task, java))
        parameters = self._mounts.parameters(task.parameters, task.folder / "parameters")
        with output.open("wb") as file:
            return subprocess.Popen(
                # -P: imports must not come from the driver's folder.
                [str(python), "-P", str(_DRIVER), task.package_name, task.entry_point, *parameters],
                cwd=task.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._variables(task, java, python, settings.parent),
                start_new_session=True,
            )

    def _settings(self, task: WheelTask, java: Java) -> dict[str, str]:
        """Return Spark's settings: the runtime's, then the cluster's, then fixed ones."""
        return {
            **_DEFAULTS,
            **self._mounts.resolve_all(task.spark_conf),
            **_HERE,
            **({"spark.sql.warehouse.dir": str(task.warehouse)} if task.warehouse else {}),
            "spark.master": f"local[{task.cores}]",
            "spark.driver.extraClassPath": ":".join(
                str(jar) for jar in class_path(java, task.runtime, task.maven)
            ),
        }

    def _variables(self, task: WheelTask, java: Java, python: Path, settings: Path) -> dict[str, str]:
        """Return the task's environment variables, without those of the tests."""
        return {
            **{name: value for name, value in os.environ.items() if _is_passed_on(name)},
            # As on the runtimes' machines, whatever this machine has.
            "LANG": "C.UTF-8",
            "TZ": "Etc/UTC",
            # The cluster's PATH or PYSPARK_PYTHON does not fit this machine.
            **self._mounts.resolve_all(task.environ),
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(task.folder),
            "JAVA_HOME": str(java.home),
            "PYSPARK_PYTHON": str(python),
            "SPARK_CONF_DIR": str(settings),
            "SPARK_LOCAL_DIRS": str(task.folder / "tmp"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "STANDIN_SCHEMAS": json.dumps(task.schemas),
            "STANDIN_TABLES": json.dumps(self._mounts.resolve_all(task.tables)),
        }


def _is_passed_on(name: str) -> bool:
    return name in _PASSED_ON or name.lower().endswith("_proxy")


def _write_settings(file: Path, settings: Mapping[str, str]) -> None:
    """Write the settings to a file, because a command line would expose their secrets."""
    file.parent.mkdir()
    file.touch(mode=0o600)
    lines = (f"{_escaped(name)} {_escaped(value)}\n" for name, value in settings.items())
    file.write_text("".join(lines), encoding="utf-8")


def _escaped(text: str) -> str:
    """Escape a text for a file of Java properties, including separators in names."""
    marked = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return marked.replace(" ", "\\ ").replace(":", "\\:").replace("=", "\\=")
