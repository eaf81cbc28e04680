"""Every setting with its origin: default < harness.toml < environment < command line."""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.plan import Setting
from harness.suggestions import did_you_mean

_logger = logging.getLogger(__name__)

FILE = Path("harness.toml")
STORES = "stores."
ACCOUNTS = "accounts."
ACCOUNT_FIELDS = (
    "auth",
    "key_file",
    "key_variable",
    "tenant_id",
    "client_id",
    "client_secret_file",
    "client_secret_variable",
    "secret_name",
)
DEFAULT = "default"
"""The origin of what nobody has set."""
_MEMORY = r"[1-9]\d*[mg]"
_SHARE = r"0|0?\.\d+|\d(\.\d+)?e-\d+"
_PORT = r"[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}"
DATABRICKS = "targets.databricks."
_NO_QUOTES = str.maketrans("", "", "\"'")


@dataclass(frozen=True)
class Known:
    """A setting that exists: its default, and what it is for."""

    name: str
    default: str
    meaning: str
    pattern: str | None = None
    """What the whole value must match."""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "HARNESS_" + self.name.upper().replace(".", "_")


KNOWN = (
    Known(
        "target",
        "auto",
        "where scenarios run: embedded, compose, databricks, or auto: compose where it is ready",
    ),
    Known("home", ".harness", "folder for runs, tables, models and MLflow's files"),
    Known("lake", "{home}/lake", "root below which runs build their tables"),
    Known("stores.models", "{home}/models", "the model store named 'models', which bundles are copied to"),
    Known("tracking_uri", "sqlite:///{home}/mlflow.db", "MLflow's tracking store"),
    Known("artifacts", "{home}/artifacts", "where a new MLflow experiment keeps its artifacts"),
    Known("experiment", "harness", "MLflow experiment"),
    Known("cores", "*", "cores that the embedded target uses; results do not depend on it", r"\*|[1-9]\d*"),
    Known("driver_memory", "2g", "memory of the job's JVM, such as 2g or 900m", _MEMORY),
    Known("java_home", "", "a Java 17; found by itself where it is not said"),
    Known("stack", "dataset-harness", "name of the Compose project", r"[a-z0-9][a-z0-9_-]*"),
    Known("workers", "1", "Spark workers of the Compose target", r"[1-9]\d*"),
    Known("worker_cores", "*", "cores that each of them gives away", r"\*|[1-9]\d*"),
    Known("worker_memory", "2g", "memory that a Spark worker has to give away", _MEMORY),
    Known("executor_memory", "1g", "memory of one executor on a Spark worker", _MEMORY),
    Known("azurite_port", "10000", "port of Azurite on this machine", _PORT),
    Known("mlflow_port", "5000", "port of the stack's MLflow on this machine", _PORT),
    Known("spark_port", "8080", "port of the Spark master's page on this machine", _PORT),
    Known("base_image", "debian:bookworm-slim", "image that the stack's images are built from"),
    Known(
        "postgres_image", "", "another Postgres image in place of the stack's own, such as the official one"
    ),
    Known(
        "parity.metrics",
        "1e-6",
        "relative difference of a metric between local and cloud that is none",
        _SHARE,
    ),
    Known("parity.coefficients", "1e-4", "the same of a coefficient", _SHARE),
    Known("parity.explanations", "1e-4", "the same of an explanation's weight", _SHARE),
    Known(f"{DATABRICKS}profile", "", "profile of ~/.databrickscfg; unified authentication decides without"),
    Known(
        f"{DATABRICKS}runtime",
        "16.4.x-cpu-ml-scala2.12",
        "runtime of the cluster, with Scala 2.12: 16.4.x-cpu-ml-scala2.12 or 15.4.x-cpu-ml-scala2.12",
        r"\d+\.\d+\.x-[a-z0-9-]*scala2\.12",
    ),
    Known(f"{DATABRICKS}node_type", "Standard_D4ds_v5", "node type of the cluster's machines"),
    Known(
        f"{DATABRICKS}workers", "0", "workers: 0 for a single node, 3, or 2-8 for autoscale", r"\d+(-\d+)?"
    ),
    Known(f"{DATABRICKS}policy_id", "", "cluster policy"),
    Known(f"{DATABRICKS}instance_pool_id", "", "instance pool that the machines come from"),
    Known(f"{DATABRICKS}cluster_id", "", "a cluster that is there, in place of one made for the run"),
    Known(
        f"{DATABRICKS}files",
        "",
        "folder that wheel, plan and rows are uploaded to: /Volumes/CATALOG/SCHEMA/VOLUME or /Workspace/...",
        r"(/Volumes(/[^/]+){3,}|/Workspace(/[^/]+)+)?",
    ),
    Known(f"{DATABRICKS}lake", "", "root of the tables: abfss:// or /Volumes/...; FILES/lake without"),
    Known(f"{DATABRICKS}models", "", "the model store: abfss:// or /Volumes/...; FILES/models without"),
    Known(
        f"{DATABRICKS}model_volume",
        "",
        "volume through which models are saved, where Spark can't hand them over in the lake",
        r"(/Volumes(/[^/]+){3,})?",
    ),
    Known(f"{DATABRICKS}secret_scope", "", "secret scope with the accounts' secrets"),
    Known(
        f"{DATABRICKS}experiment", "", "path of the MLflow experiment; /Users/ME/harness without", r"(/.+)?"
    ),
    Known(
        f"{DATABRICKS}tags", "", "tags of the cluster, such as team=risk,cost=42", r"([^=,]+=[^=,]*(,|$))*"
    ),
    Known(f"{DATABRICKS}time_limit_min", "120", "minutes until a run is given up", r"[1-9]\d*"),
    Known(f"{DATABRICKS}expire_days", "14", "days until what was uploaded may be swept away", r"[1-9]\d*"),
)


@dataclass(frozen=True)
class Settings:
    """Resolved settings by name."""

    by_name: Mapping[str, Setting]

    def __getitem__(self, name: str) -> str:
        return self.by_name[name].value

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.by_name.values())

    def chosen(self, name: str) -> str | None:
        """The value that somebody has set; ``None`` where it is the default."""
        setting = self.by_name[name]
        return None if setting.origin == DEFAULT else setting.value

    def of_target(self, target: str) -> Settings:
        """The same settings for another target."""
        setting = self.by_name["target"].model_copy(update={"value": target})
        return Settings({**self.by_name, "target": setting})

    @property
    def home(self) -> Path:
        """Absolute path of the folder that everything local lies in."""
        return Path(self["home"])

    @property
    def runs(self) -> Path:
        """The folder with one folder per run."""
        return self.home / "runs"

    def store(self, name: str) -> str:
        """Root of a model store by its name.

        Raises:
            UsageError: There is no such store.
        """
        if STORES + name in self.by_name:
            return self[STORES + name]
        names = [key.removeprefix(STORES) for key in self.by_name if key.startswith(STORES)]
        raise UsageError(
            f"The scenario publishes to '{name}': there is no such model store.{did_you_mean(name, names)}",
            remedy=f"Name one of {', '.join(names)}, or add it to {FILE} under [stores].",
        )


def read_settings(
    command_line: Mapping[str, str | None] | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Resolve every setting.

    Args:
        command_line: Settings given there; ``None`` stands for not given.
        folder: Where ``harness.toml`` is looked for and relative paths start; the current one.
        environ: Environment variables; the process's.

    Raises:
        UsageError: The file can't be read, or names a setting that does not exist.
    """
    folder = (folder or Path.cwd()).resolve()
    environ = os.environ if environ is None else environ
    found = {each.name: Setting(name=each.name, value=each.default, origin=DEFAULT) for each in KNOWN}
    found |= {setting.name: setting for setting in _from_file(folder / FILE)}
    found |= {setting.name: setting for setting in _from_environment(environ)}
    for name, value in (command_line or {}).items():
        if value is not None:
            found[name] = Setting(name=name, value=value, origin="command line")
    home = _absolute(found["home"], found["home"].value, folder)
    settings = Settings({name: _resolved(setting, home, folder) for name, setting in found.items()})
    for setting in settings:
        if setting.origin != DEFAULT:
            _logger.debug("setting %s = %s (%s)", setting.name, setting.value, setting.origin)
    return settings


def _from_file(file: Path) -> Iterator[Setting]:
    if not file.is_file():
        return
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"Can't read {file}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file.name}: not valid TOML: {error}.") from error
    names = [known.name for known in KNOWN]
    for name, value in _flat(values):
        line = _line_of(name, text)
        if name.startswith(ACCOUNTS):
            _refuse_field(name, f"{file.name}:{line}")
        elif name not in names and not name.startswith(STORES):
            raise UsageError(f"{file.name}:{line}: unknown setting '{name}'.{did_you_mean(name, names)}")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise UsageError(f"{file.name}:{line}: '{name}' should be text; put it in quotes.")
        yield Setting(name=name, value=str(value), origin=f"{file.name}:{line}")


def _refuse_field(name: str, where: str) -> None:
    """Accounts have few fields; a key itself is none of them, as reports show every setting."""
    field = name.rpartition(".")[2]
    if name.count(".") == ACCOUNTS.count(".") + 1 and field in ACCOUNT_FIELDS:
        return
    raise UsageError(
        f"{where}: unknown setting '{name}'.{did_you_mean(field, ACCOUNT_FIELDS)}",
        remedy=f"An account has {', '.join(ACCOUNT_FIELDS)}. A secret stays in its file or variable.",
    )


def _from_environment(environ: Mapping[str, str]) -> Iterator[Setting]:
    for known in KNOWN:
        if environ.get(known.variable):
            yield Setting(name=known.name, value=environ[known.variable], origin=known.variable)


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _line_of(name: str, text: str) -> int:
    """The line of a setting; the first one where its key is written in an unusual way."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("=")[0].translate(_NO_QUOTES).strip()
        if key.startswith("["):
            section = key.partition("]")[0].strip("[ ") + "."
        elif section + key == name:
            return number
    return 1


def _resolved(setting: Setting, home: str, folder: Path) -> Setting:
    value = setting.value.replace("{home}", home)
    if setting.name == "home":
        value = home
    elif setting.name.startswith(ACCOUNTS) and setting.name.endswith("_file") and value:
        value = _absolute(setting, value, folder)
    elif setting.name in ("lake", "artifacts") or setting.name.startswith(STORES):
        value = value if "://" in value else _absolute(setting, value, folder)
    if "://" in value:
        _refuse_password(setting, value)
    _refuse_mismatch(setting, value)
    return setting.model_copy(update={"value": value})


def _refuse_mismatch(setting: Setting, value: str) -> None:
    for known in KNOWN:
        if known.name == setting.name and known.pattern and not re.fullmatch(known.pattern, value):
            message = f"The setting '{setting.name}' ({setting.origin}) can't be {value!r}"
            raise UsageError(f"{message}: {known.meaning}.")


def _absolute(setting: Setting, path: str, folder: Path) -> str:
    try:
        return str((folder / Path(path).expanduser()).resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"The setting '{setting.name}' ({setting.origin}) is no path: {path!r}: {error}"
        ) from error


def _refuse_password(setting: Setting, uri: str) -> None:
    try:
        password = urlsplit(uri).password
    except ValueError as error:
        raise UsageError(f"The setting '{setting.name}' ({setting.origin}) is no URI: {error}.") from error
    if password:
        raise UsageError(
            f"The setting '{setting.name}' ({setting.origin}) holds a password, "
            "which plans and reports would show.",
            remedy="Leave it out of the URI. MLflow takes it from MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD.",
        )
