"""The Compose target: the job in a container, next to a Spark cluster, an MLflow server and Azurite."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.events import Event, Listener
from harness.memory import count_machine_memory_kills, find_memory_limit
from harness.plan import Account, Environment, Plan, Secret, SourceData
from harness.process_ends import CONTAINER
from harness.reading.file_names import make_plain_name
from harness.results import Failure, Result
from harness.runtime import truststore
from harness.setting_types import STORES, Settings, count_bytes, count_seconds
from harness.storage.accounts import read_secret, select_local_accounts
from harness.storage.blobs import Blobs, find_account
from harness.storage.uris import SCHEME, StorageUri
from harness.targets.checks import (
    Check,
    check_accounts,
    check_disk_space,
    check_writable,
    map_table,
    path_on_this_machine,
    require_credentials,
    require_no_volume,
    require_remote_table,
    run_check,
)
from harness.targets.compose import COMPOSE
from harness.targets.compose.docker import (
    has_lacked_memory,
    make_docker_environment,
    require_engine,
    run_docker,
)
from harness.targets.compose.stack import LAKE_ACCOUNT, MODELS_ACCOUNT, Stack
from harness.targets.compose.stack_watch import StackWatch, read_snapshot
from harness.targets.job_process import run_command, take_result
from harness.targets.spark_conf import choose_heap, is_small, java_options, make_spark_settings

LAKE = f"{SCHEME}lake@{LAKE_ACCOUNT}.dfs.core.windows.net"
MODELS = f"{SCHEME}models@{MODELS_ACCOUNT}.dfs.core.windows.net"
MLFLOW = "http://mlflow:5000"
_AZURITE = "azurite:10000"
_CERTIFICATES = "/etc/harness"
_ARTIFACTS = StorageUri("mlflow", LAKE_ACCOUNT)
_PAGES = (("mlflow", "MLflow", "mlflow_port"), ("spark-master", "Spark master", "spark_port"))
"""Service, name and port setting of each web page."""
_PAGE_TIMEOUT_S = 10
_END_TIMEOUT_S = 30
"""Time that a job has to end by itself."""

# Azurite has no DFS endpoint: Hadoop's client uses its Blob endpoint.
_SPARK_ON_AZURITE = {
    "spark.hadoop.fs.azure.abfs.endpoint": _AZURITE,
    "spark.hadoop.fs.azure.account.hns.enabled": "false",
    "spark.hadoop.fs.azure.fns.account.service.type": "BLOB",
}
_SPARK = {
    "spark.master": "spark://spark-master:7077",
    "spark.sql.warehouse.dir": "file:/tmp/warehouse",
}


class Compose:
    """The target that runs the job in a container of the stack."""

    def __init__(
        self, settings: Settings, report: Callable[[str], None] = print, *, keep: bool = False
    ) -> None:
        del report  # All targets take the same arguments; this one reports only through checks and errors.
        self._settings = settings
        self._keep = keep
        self._started = False
        self.stack = Stack(settings)

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return an environment with the stack's own storage accounts, unless the settings name others."""
        settings = self._settings
        models = settings.store(store) if settings.value_if_set(f"{STORES}{store}") else MODELS
        self._require_reachable(models)
        tracking_uri = settings.value_if_set("tracking_uri") or MLFLOW
        if not tracking_uri.startswith(("http://", "https://", "databricks")):
            raise UsageError(
                f"The Compose target can't reach MLflow at {tracking_uri}: it is a file on this machine.",
                remedy="Set tracking_uri to a server's URL, or unset it to use the stack's own server.",
            )
        return Environment(
            target=COMPOSE.name,
            lake=self._lake,
            model_store=models,
            tracking_uri=tracking_uri,
            experiment=settings["experiment"],
            spark=self._spark(small=is_small(source_bytes)),
            libraries=", ".join(image.name for image in self.stack.images if image.service == "spark-master"),
            accounts=self._accounts(inside=True),
        )

    def locate_source(self, source: SourceData) -> SourceData:
        """Return the source in the lake; a local file is copied to a path with its digest."""
        path = path_on_this_machine(source.uri)
        if path is None:
            self._require_reachable_uri(source.uri)
            return source
        if source.sha256 is None:
            raise PrerequisiteError(
                f"The Compose target can't copy {path} to the lake: it is a folder.",
                remedy="Use a single file or an abfss:// URI as the source, or --target embedded.",
            )
        uri = f"{self._lake}/sources/{source.sha256}/{make_plain_name(path.name)}"
        return source.model_copy(update={"uri": uri, "copied_from": str(path)})

    def locate_table(self, uri: str) -> str:
        """Return the URI of the table, which must be in a lake."""
        uri = map_table(uri, self._settings)
        require_remote_table(uri, "Compose", "an abfss:// URI")
        self._require_reachable_uri(uri)
        return uri

    def checks(self) -> Iterator[Check]:
        """Check the prerequisites on this machine, without building or starting anything."""
        settings = self._settings
        yield run_check("home", lambda: check_writable(settings.home))
        yield run_check("disk", lambda: check_disk_space(settings.home))
        yield run_check("memory", self._check_memory)
        engine = run_check("Docker", _check_engine)
        yield engine
        if engine.state == "ok":
            yield run_check("stack", self._check_owner)
            yield run_check("images", self._check_images)
            yield run_check("ports", self._check_ports)
        if not self._uses_own_storage:
            yield from check_accounts(select_local_accounts(settings))

    def require_ready(self) -> None:
        """Check that an engine answers and has this version's images."""
        self.stack.require_ready()

    def is_up(self) -> bool:
        """Return whether the stack's MLflow server runs."""
        return self.stack.is_up()

    def tracking_uri(self) -> str:
        """Return the address of the stack's MLflow server on this machine.

        Raises:
            PrerequisiteError: The stack belongs to another folder.
        """
        self.stack.refuse_other_owner()
        return self._page("mlflow_port")

    def pages(self) -> Iterator[tuple[str, str]]:
        """Yield name and address of each page of the stack, as soon as it has answered.

        Raises:
            PrerequisiteError: A page does not answer, or the stack belongs to another folder.
        """
        self.stack.refuse_other_owner()
        for service, name, setting in _PAGES:
            url = self._page(setting)
            try:
                with urllib.request.urlopen(url, timeout=_PAGE_TIMEOUT_S):  # noqa: S310 - only http
                    yield name, url
            except OSError as error:
                if not self.stack.is_up():
                    raise PrerequisiteError(
                        "The stack is not running.", remedy="'make up' starts it."
                    ) from error
                raise PrerequisiteError(
                    f"The service {service} doesn't answer at {url}: {error}.",
                    remedy=f"Its log may say why: harness logs {service}.",
                ) from error

    def prepare(self, plan: Plan) -> None:
        """Start the stack, and copy the sources to the lake unless they exist."""
        self._require_memory()
        if not self._uses_own_storage:
            require_credentials(plan, self._accounts(inside=False))
        self._started = not self.stack.is_up()
        with self._stop_on_failure():
            self.stack.up(self._account_secrets())
            # Opening creates the containers. MLflow's artifacts are in the stack even if the lake is not.
            own, _ = self._own_accounts(inside=False)
            Blobs(_ARTIFACTS, own)
            for uri in (plan.environment.lake, plan.environment.model_store):
                self._blobs(uri)
            for source in plan.sources.values():
                if source.copied_from is not None:
                    folder, _, name = source.uri.rpartition("/")
                    self._blobs(folder).put(name, Path(source.copied_from))

    def run(self, folder: Path, listener: Listener) -> Result:
        """Run the job in a container, and remove it afterwards."""
        name = self._name_container(folder.name)
        options = ("--rm", "--no-TTY", "--no-deps", "--name", name)
        started_s, kills = time.time(), count_machine_memory_kills()
        watch = StackWatch(
            read=lambda: read_snapshot(self.stack.name, self._page("spark_port")),
            run_id=folder.name,
            report=lambda message: listener(Event("stack", "notice", detail=message)),
            end=lambda has_ended: _end(name, has_ended),
            deadline_s=count_seconds(self._settings["service_timeout"]),
        )
        with watch.watching():
            finished = run_command(
                ["docker", *self.stack.compose("--progress", "quiet", "run", *options, "job")],
                folder,
                listener,
                environ=make_docker_environment(self.stack.environ()),
                interrupt=lambda _process: _interrupt(name),
                clean_up=lambda process: _remove(name, process),
                sends_plan=True,
            )
        if finished.result is None:
            if watch.error is not None:
                raise watch.error
            killed = has_lacked_memory(name, started_s) or count_machine_memory_kills() > kills
            finished = replace(finished, process=CONTAINER, lacked_memory=killed)
        result = take_result(finished, folder)
        if watch.error is not None and result.failure is not None:
            return result.model_copy(update={"failure": Failure.of(watch.error)})
        return result

    def reach(self, environment: Environment) -> Environment:
        """Return a run's environment with the ports and secrets of this machine."""
        is_own_server = environment.tracking_uri == MLFLOW
        if (is_own_server or self._uses_own_storage) and not self.stack.is_up():
            raise PrerequisiteError("The stack is not running.", remedy="'make up' starts it.")
        uri = self.tracking_uri() if is_own_server else environment.tracking_uri
        return environment.model_copy(update={"tracking_uri": uri, "accounts": self._accounts(inside=False)})

    def end_job(self, run_id: str) -> None:
        """Remove the job's container, which may outlive a command that was killed."""
        _remove_container(self._name_container(run_id))

    def release(self) -> None:
        """Stop the stack if this run has started it, unless it should be kept."""
        self._stop_started()

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables."""
        if self._uses_own_storage and not self.stack.is_up():
            raise PrerequisiteError(
                f"The tables of the run {run_id} are in the stack, which is not running.",
                remedy="'make up' starts it; 'make clean' removes it with all its data.",
            )
        self._blobs(self._lake).remove_all(f"runs/{run_id}")

    def _name_container(self, run_id: str) -> str:
        return f"{self.stack.name}-{run_id}"

    def _page(self, port_setting: str) -> str:
        return f"http://127.0.0.1:{self._settings[port_setting]}"

    def _blobs(self, uri: str) -> Blobs:
        """Open a folder of a storage account as this machine reaches it."""
        root = StorageUri.parse(uri)
        return Blobs(root, find_account(root, self._accounts(inside=False)))

    @property
    def _uses_own_storage(self) -> bool:
        """Whether tables and bundles are in the stack's Azurite."""
        return self._settings.value_if_set("lake") is None

    @property
    def _lake(self) -> str:
        return self._settings.value_if_set("lake") or LAKE

    def _require_reachable(self, models: str) -> None:
        """Require that containers can reach lake and model store, and that both are in one storage."""
        for name, uri in (("lake", self._lake), ("model store", models)):
            if not uri.startswith(SCHEME):
                raise UsageError(
                    f"The Compose target can't reach the {name} {uri}: it is a folder on this machine.",
                    remedy="Use abfss:// URIs, set neither lake nor stores.models, or use --target embedded.",
                )
            StorageUri.parse(uri)
        if self._uses_own_storage != (models == MODELS):
            raise UsageError(
                f"Only one of the lake {self._lake} and the model store {models} is in the stack.",
                remedy="Set both lake and stores.models, or neither.",
            )

    def _require_reachable_uri(self, uri: str) -> None:
        """Require a URI that containers can reach: no volume, and no other account than the stack's own."""
        require_no_volume(uri, "Compose")
        if self._uses_own_storage and uri.startswith(SCHEME):
            account = StorageUri.parse(uri).account
            if account not in (LAKE_ACCOUNT, MODELS_ACCOUNT):
                raise PrerequisiteError(
                    f"The Compose target can't reach {uri}: the stack has no account '{account}'.",
                    remedy="Set lake and stores.models to URIs of real accounts, or use another target.",
                )

    def _spark(self, *, small: bool) -> dict[str, str]:
        settings = self._settings
        trust = truststore.list_store_options(f"{_CERTIFICATES}/truststore.p12")
        # The executors have the data, whatever its size.
        driver = choose_heap(settings["driver_memory"], find_memory_limit(), small=True)
        executor = settings["executor_memory"]
        return {
            **make_spark_settings(self._lake, small=small),
            **_SPARK,
            **(_SPARK_ON_AZURITE if self._uses_own_storage else {}),
            # Wait for all executors before the first task: data stays on the executors that read it first.
            "spark.cores.max": str(self.stack.workers * self.stack.worker_cores),
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "15s",
            "spark.driver.memory": driver,
            "spark.executor.memory": executor,
            "spark.driver.extraJavaOptions": " ".join((*java_options(driver, small=small), *trust)),
            "spark.executor.extraJavaOptions": " ".join((*java_options(executor, small=small), *trust)),
        }

    def _accounts(self, *, inside: bool) -> tuple[Account, ...]:
        """Return the accounts as containers or as this machine reaches them."""
        if self._uses_own_storage:
            return self._own_accounts(inside=inside)
        return tuple(
            account.model_copy(update={"secret": Secret(file=f"/run/secrets/account_{account.name}")})
            if inside
            else account
            for account in select_local_accounts(self._settings)
        )

    def _own_accounts(self, *, inside: bool) -> tuple[Account, ...]:
        """Return the accounts of the stack's Azurite: the lake's and the model store's."""
        files = self.stack.files
        endpoint = _AZURITE if inside else f"127.0.0.1:{self._settings['azurite_port']}"
        return tuple(
            Account(
                name=account,
                auth="key",
                secret=Secret(file=f"/run/secrets/{secret}" if inside else str(files.secret(secret))),
                endpoint=endpoint,
                ca_file=f"{_CERTIFICATES}/ca-bundle.pem" if inside else str(files.ca_bundle),
            )
            for account, secret in ((LAKE_ACCOUNT, "lake_key"), (MODELS_ACCOUNT, "models_key"))
        )

    def _account_secrets(self) -> dict[str, str]:
        """Return the secrets of the accounts in the settings, by their file name in the job's container."""
        return {
            f"account_{account.name}": read_secret(account.secret, account.name)
            for account in select_local_accounts(self._settings)
        }

    def _require_memory(self) -> None:
        worker, executor = (self._settings[name] for name in ("worker_memory", "executor_memory"))
        if count_bytes(worker) < count_bytes(executor):
            raise PrerequisiteError(
                f"Each worker of the service spark-worker offers {worker} of memory; "
                f"an executor needs {executor}.",
                remedy="Increase HARNESS_WORKER_MEMORY or decrease HARNESS_EXECUTOR_MEMORY.",
            )

    def _check_memory(self) -> str:
        self._require_memory()
        worker, executor = (self._settings[name] for name in ("worker_memory", "executor_memory"))
        return f"a worker offers {worker}, an executor needs {executor}"

    def _check_owner(self) -> str:
        self.stack.require_own()
        return f"'{self.stack.name}' belongs to this folder"

    def _check_images(self) -> str:
        self.stack.require_ready()
        return "all images of this version exist"

    def _check_ports(self) -> str:
        running = {service.name for service in self.stack.services() if service.state == "running"}
        self.stack.require_ports(running)
        return "in use by the running stack" if running else "all free"

    @contextmanager
    def _stop_on_failure(self) -> Iterator[None]:
        """Stop a stack that this run has started if the run fails, unless it should be kept."""
        try:
            yield
        except (HarnessError, KeyboardInterrupt):
            self._stop_started()
            raise

    def _stop_started(self) -> None:
        if self._started and not self._keep:
            self._started = False
            self.stack.down()


def _check_engine() -> str:
    require_engine()
    return "the engine answers and has a suitable Compose"


def _interrupt(name: str) -> None:
    # Not SIGINT: while Spark starts, PySpark's handler of it would fail in the JVM.
    run_docker(["kill", "--signal", "SIGTERM", name])


def _end(name: str, has_ended: Callable[[float], bool]) -> None:
    """End a job whose run can't go on: as Ctrl-C would, so that it closes its MLflow runs, then by force."""
    _interrupt(name)
    if not has_ended(_END_TIMEOUT_S):
        _remove_container(name)


def _remove_container(name: str) -> None:
    run_docker(["rm", "--force", "--volumes", name])


def _remove(name: str, process: subprocess.Popen[str]) -> None:
    """Remove the job's container and end its process."""
    _remove_container(name)
    if process.poll() is None:
        process.kill()
        process.wait()
