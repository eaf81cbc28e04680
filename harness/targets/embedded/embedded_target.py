"""The embedded target: Spark in one process on this machine, MLflow and the lake in its files."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import ExitCode, UsageError
from harness.events import Listener
from harness.memory import find_memory_limit
from harness.plan import Environment, Plan, SourceData
from harness.reading.file_names import has_plain_name, make_plain_name
from harness.results import Result
from harness.runs import LOG, PLAN, RESULT, RunFolder
from harness.runtime.class_archive import ClassArchive
from harness.runtime.installed_libraries import identify_libraries
from harness.runtime.jars import JarCache, choose_cache_folder, find_pyspark_home, load_class_path
from harness.runtime.java import Java, find_java
from harness.runtime.jvm import require_startable, split_options
from harness.runtime.process_environment import find_temp_folder, make_process_environment, name_user
from harness.setting_types import Settings
from harness.storage.accounts import make_job_variables, select_local_accounts
from harness.storage.tracking_store import require_usable_store
from harness.targets.checks import (
    Check,
    check_accounts,
    check_disk_space,
    check_memory,
    check_temp_folder,
    check_tracking_store,
    check_writable,
    make_file_uri,
    map_table,
    path_on_this_machine,
    require_credentials,
    require_no_volume,
    run_check,
)
from harness.targets.embedded import EMBEDDED
from harness.targets.embedded.warm_jvm import WarmJvm
from harness.targets.job_process import run_command, take_result
from harness.targets.spark_conf import choose_heap, is_small, java_options, make_spark_settings

_SPARK = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
_ENDED_WELL = (ExitCode.PASS, ExitCode.BOUND_FAILED, ExitCode.WRONG_INPUT, ExitCode.NOT_PROVEN)


def _write_error(line: str) -> None:
    sys.stderr.write(f"{line}\n")


class Embedded:
    """The target that runs the job as a subprocess."""

    def __init__(
        self, settings: Settings, report: Callable[[str], None] = _write_error, *, keep: bool = False
    ) -> None:
        del report, keep  # All targets take the same arguments; this one has nothing to keep.
        self._settings = settings
        self._java: Java | None = None
        self._warm: WarmJvm | None = None

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return an environment of local files and one JVM."""
        settings = self._settings
        small = is_small(source_bytes)
        spark = {
            **make_spark_settings(settings["lake"], small=small),
            **_SPARK,
            "spark.master": f"local[{settings['cores']}]",
            "spark.driver.memory": self._choose_heap(small=small),
            "spark.sql.warehouse.dir": f"file:{settings.home}/warehouse",
            "spark.driver.extraClassPath": ":".join(
                str(jar) for jar in load_class_path(self._find_java(), report=_write_error)
            ),
        }
        spark["spark.driver.extraJavaOptions"] = shlex.join(self._list_java_options(small=small))
        return make_environment(settings, store, spark, identify_libraries(self._find_java().version))

    def locate_source(self, source: SourceData) -> SourceData:
        """Return the source with a URI that Spark reads: that of a link if the path has odd characters."""
        path = path_on_this_machine(source.uri)
        if path is None or has_plain_name(path):
            return source.model_copy(update={"uri": _readable_uri(source.uri)})
        folder = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        link = self._settings.home / "sources" / folder / make_plain_name(path.name)
        return source.model_copy(update={"uri": f"file://{link}", "copied_from": str(path)})

    def locate_table(self, uri: str) -> str:
        """Return the URI of the table, on this machine or in a lake."""
        return _readable_uri(map_table(uri, self._settings))

    def checks(self) -> Iterator[Check]:
        """Check the prerequisites on this machine."""
        settings = self._settings
        java = run_check("Java 17", self._check_java)
        yield java
        yield run_check("memory", lambda: check_memory(self._choose_heap(small=False)))
        if java.state == "ok":
            yield run_check("JVM", self._check_jvm)
        yield run_check("user", name_user)
        yield run_check("temporary files", lambda: check_temp_folder(find_temp_folder()))
        yield _check_jars()
        yield run_check("home", lambda: check_writable(settings.home))
        yield run_check("disk", lambda: check_disk_space(settings.home))
        yield check_tracking_store(settings["tracking_uri"], settings["experiment"])
        yield from check_accounts(select_local_accounts(settings))

    def require_ready(self) -> None:
        """Check what a run can neither fetch nor create."""
        check_disk_space(self._settings.home)
        check_memory(self._choose_heap(small=False))
        name_user()
        check_temp_folder(find_temp_folder())
        self._check_jvm()

    def prepare(self, plan: Plan) -> None:
        """Check what the run can't create itself, and link sources to the paths that the job reads."""
        self.require_ready()
        require_usable_store(plan.environment.tracking_uri, plan.environment.experiment)
        require_credentials(plan, plan.environment.accounts)
        self._make_job_variables()  # A key vault that can't be read is reported before the run starts.
        for source in plan.sources.values():
            if source.copied_from is not None:
                _link(Path(source.uri.removeprefix("file://")), Path(source.copied_from))

    def run(self, folder: Path, listener: Listener) -> Result:
        """Run the job in its own process group, so that Ctrl-C reaches it exactly once."""
        classes = self._find_class_archive()
        # The job and its JVM can't remove their temporary files if they are killed.
        with TemporaryDirectory(
            prefix=_name_temporary(folder.name), dir=find_temp_folder(), ignore_cleanup_errors=True
        ) as temporary:
            finished = run_command(
                [sys.executable, "-P", "-m", "harness.job", str(folder / PLAN), str(folder / RESULT)],
                folder,
                listener,
                environ=self._process_environment(os.environ, temporary, classes.options)
                | self._make_job_variables()
                | self._connect_warm_jvm(folder, classes),
                # Not SIGINT: while Spark starts, PySpark's handler of it would fail in the JVM.
                interrupt=lambda process: process.send_signal(signal.SIGTERM),
                clean_up=_kill_group,
            )
        is_complete = not finished.interrupted and finished.exit_code >= 0
        classes.keep_new(is_complete=is_complete)
        if self._warm is not None:
            self._warm.append_log(folder / LOG)
            if finished.exit_code not in _ENDED_WELL or not is_complete:
                self._warm.end()  # It may still be busy, or short of memory.
        return take_result(finished, folder)

    @contextmanager
    def keep_warm(self) -> Iterator[None]:
        """Keep one JVM for all runs until the end of the block."""
        self._warm = WarmJvm(find_temp_folder())
        try:
            yield
        finally:
            self._warm.end()
            self._warm = None

    def _connect_warm_jvm(self, folder: Path, classes: ClassArchive) -> dict[str, str]:
        """Return the variables with which the job uses the JVM that stays, if there is one."""
        if self._warm is None:
            return {}
        options = classes.options if classes.file.is_file() else ()  # To write it takes 15 s.
        return self._warm.connect(
            RunFolder(folder).read_plan().environment.spark,
            lambda temporary: self._process_environment(os.environ, temporary, options),
        )

    def reach(self, environment: Environment) -> Environment:
        """Return a run's environment: this machine reaches all of it in the same way as the job."""
        return environment

    def end_job(self, run_id: str) -> None:
        """Remove the temporary files of a job; the job itself ends when its command is killed."""
        for folder in Path(find_temp_folder()).glob(f"{_name_temporary(run_id)}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def release(self) -> None:
        """Do nothing: a run starts no services."""

    def copy_table(self, table: Path, folder: Path) -> None:
        """Write the newest version of a Delta table as Parquet files into a new folder, with Spark.

        Raises:
            UsageError: Spark can't read the table either; the message has its reason.
        """
        environment = folder.with_name("environment.json")
        environment.write_text(self.environment(None, "models").model_dump_json(), encoding="utf-8")
        uris = (f"file://{table.resolve()}", f"file://{folder}")
        process = subprocess.run(
            [sys.executable, "-P", "-m", "harness.job.copy_table", str(environment), *uris],
            env=self._process_environment(os.environ) | self._make_job_variables(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if process.returncode:
            output = process.stdout.strip() or process.stderr.strip()
            raise UsageError(f"Can't read {table}: {output.splitlines()[-1] if output else 'Spark failed'}")

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables."""
        if "://" not in self._settings["lake"]:
            shutil.rmtree(Path(self._settings["lake"]) / "runs" / run_id, ignore_errors=True)

    def _find_class_archive(self) -> ClassArchive:
        jars = JarCache(choose_cache_folder(os.environ)).folder
        return ClassArchive.find(jars, self._find_java(), find_pyspark_home())

    def _find_java(self) -> Java:
        if self._java is None:
            self._java = find_java(self._settings["java_home"] or None, os.environ)
        return self._java

    def _check_java(self) -> str:
        java = self._find_java()
        return f"{java.version} in {java.home} ({java.origin})"

    def _check_jvm(self) -> str:
        """Start a JVM as the job would, with the options for small and for large data."""
        temporary = _make_temp_option(find_temp_folder())
        for small in (True, False):
            memory = self._choose_heap(small=small)
            options = (f"-Xmx{memory}", *self._list_java_options(small=small), temporary)
            require_startable(self._find_java(), options, self._process_environment(os.environ))
        return f"starts with {memory} of memory"

    def _choose_heap(self, *, small: bool) -> str:
        return choose_heap(self._settings["driver_memory"], find_memory_limit(), small=small)

    def _list_java_options(self, *, small: bool) -> tuple[str, ...]:
        settings = self._settings
        return (
            # First, because Java takes the last of several values: the locale stays.
            *split_options(settings["java_options"]),
            *java_options(self._choose_heap(small=small), small=small, warm=self._warm is not None),
        )

    def _make_job_variables(self) -> dict[str, str]:
        return make_job_variables(select_local_accounts(self._settings))

    def _process_environment(
        self, environ: Mapping[str, str], temp_folder: str | None = None, java_options: Sequence[str] = ()
    ) -> dict[str, str]:
        settings = self._settings
        secrets = (account.secret.variable for account in select_local_accounts(settings))
        named = (*settings["pass_variables"].replace(",", " ").split(), *filter(None, secrets))
        temporary = temp_folder or find_temp_folder()
        return make_process_environment(environ, named=named, temp_folder=temporary) | {
            "JAVA_HOME": str(self._find_java().home),
            "SPARK_HOME": str(find_pyspark_home()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_SUBMIT_OPTS": shlex.join((_make_temp_option(temporary), *java_options)),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }


def _name_temporary(run_id: str) -> str:
    """Return the beginning of the name of a job's temporary folder."""
    return f"harness-{run_id}-"


def _make_temp_option(folder: str) -> str:
    """Return the option for Java's temporary files: its own default is /tmp, whatever TMPDIR is."""
    return f"-Djava.io.tmpdir={folder}"


def _link(link: Path, file: Path) -> None:
    """Make a link to a file; another run may have made it already, as its folder is named after the file."""
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        link.symlink_to(file)


def make_environment(settings: Settings, store: str, spark: Mapping[str, str], libraries: str) -> Environment:
    """Return an environment with the locations that the settings name.

    Args:
        settings: The settings.
        store: Name of the model store.
        spark: Spark configuration.
        libraries: Identifies the libraries with which the job runs.
    """
    return Environment(
        target=EMBEDDED.name,
        lake=settings["lake"],
        model_store=settings.store(store),
        tracking_uri=settings["tracking_uri"],
        experiment=settings["experiment"],
        artifacts=settings["artifacts"] if settings["tracking_uri"].startswith("sqlite") else None,
        spark=dict(spark),
        libraries=libraries,
        accounts=select_local_accounts(settings),
    )


def _readable_uri(uri: str) -> str:
    """Return a path or a URI as the job reads it."""
    require_no_volume(uri, "embedded")
    return make_file_uri(uri)


def _check_jars() -> Check:
    """Check the jars. Missing ones are not an error, because a run fetches them."""
    folder = JarCache(choose_cache_folder(os.environ)).folder
    if folder.is_dir():
        return Check("jars", "ok", str(folder))
    return Check("jars", "not checkable", f"the first run downloads them into {folder}, about 70 MB")


def _kill_group(process: subprocess.Popen[str]) -> None:
    """End everything that the job started."""
    if process.poll() is None:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
