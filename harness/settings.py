"""Every setting with its origin.

Settings are resolved in this order, the last one wins: default, ``harness.toml``, environment, command line.

This module is above the targets in the import layers: each target declares its own settings in its
definition, which is light, and they are combined here with the general ones. Code below this module,
including the targets, receives resolved :class:`Settings` and never asks which ones exist.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import UsageError, did_you_mean, limit_lines, suggest
from harness.plan import Setting
from harness.runtime.plain_paths import choose_plain_path
from harness.scenario.text_checks import is_secret_name
from harness.setting_types import (
    ACCOUNTS,
    ALWAYS,
    AUTO_MEMORY,
    DEFAULT,
    EXPECTED_VALUES,
    HEAP_PATTERN,
    ON_VALIDATE,
    PARITY_REQUIRED,
    SETTINGS_FILE,
    STORES,
    TABLES,
    TOLERANCE_PATTERN,
    Settings,
    SettingSpec,
)
from harness.storage.key_vault import FORM, find_meant_reference, parse_reference
from harness.storage.uris import describe_password, explain_unusable, explain_unusable_root, hide_passwords
from harness.table_names import is_table_name
from harness.targets.registry import AUTO, TARGETS, describe_choices

__all__ = ["ACCOUNT_FIELDS", "Settings", "list_settings", "read_settings"]

_logger = logging.getLogger(__name__)

ACCOUNT_FIELDS = (
    "auth",
    "key",
    "key_file",
    "key_variable",
    "tenant_id",
    "client_id",
    "client_secret",
    "client_secret_file",
    "client_secret_variable",
    "secret_name",
)
_REFERENCES = ("key", "client_secret")
"""Fields of an account that name a secret in a key vault."""
_NO_PASSWORD = {
    "tracking_uri": "Remove it from the URI. MLflow reads it from MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD; the client of a Postgres database reads ~/.pgpass.",
}
"""What to do about a password in the URI of a setting, if it isn't that of a storage account."""
_TOML_ERROR = re.compile(r"(.*) \(at line (\d+), column \d+\)")
_NO_QUOTES = str.maketrans("", "", "\"'")
_GENERAL = (
    SettingSpec("home", ".harness", "folder for runs, tables, models and MLflow's files"),
    SettingSpec("lake", "{home}/lake", "root of the tables that runs build", is_root=True),
    SettingSpec(
        "stores.models",
        "{home}/models",
        "the model store named 'models', which bundles are copied to",
        is_root=True,
    ),
    SettingSpec("tracking_uri", "sqlite:///{home}/mlflow.db", "MLflow's tracking store"),
    SettingSpec("artifacts", "{home}/artifacts", "folder for the artifacts of a new MLflow experiment"),
    SettingSpec("experiment", "harness", "MLflow experiment"),
    SettingSpec(
        "driver_memory",
        AUTO_MEMORY,
        "memory of the job's JVM, such as 2g or 900m, or auto: 2g for small data, half of the machine's for "
        "large data",
        HEAP_PATTERN,
    ),
    SettingSpec(
        PARITY_REQUIRED,
        ON_VALIDATE,
        "when a cloud run must agree with a local one to pass: 'validate' (in that command) or 'always'",
        f"{ON_VALIDATE}|{ALWAYS}",
    ),
    SettingSpec(
        "parity.metrics",
        "1e-6",
        "relative tolerance of a metric between a local and a cloud run",
        TOLERANCE_PATTERN,
    ),
    SettingSpec("parity.coefficients", "1e-4", "the same for a coefficient", TOLERANCE_PATTERN),
    SettingSpec(
        "parity.explanations", "1e-4", "the same for the weight of an explanation", TOLERANCE_PATTERN
    ),
)


def list_settings() -> tuple[SettingSpec, ...]:
    """Return every setting that exists: the general ones, then those of each registered target."""
    target = SettingSpec("target", AUTO, f"where scenarios run: {describe_choices()}")
    own = (spec for definition in TARGETS.values() for spec in definition.settings)
    return (target, *_GENERAL, *own)


def read_settings(
    command_line: Mapping[str, str | None] | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    origin: str = "command line",
) -> Settings:
    """Resolve every setting.

    Args:
        command_line: Settings from the command line; ``None`` means not specified.
        folder: Folder of ``harness.toml``, which relative paths start from (default: the current one).
        environ: Environment variables (default: the process's).
        origin: Where ``command_line`` is from.

    Raises:
        UsageError: The file can't be read or contains an unknown setting, or a value is invalid.
    """
    folder = (folder or Path.cwd()).resolve()
    environ = os.environ if environ is None else environ
    unresolved = {
        each.name: Setting(name=each.name, value=each.default, origin=DEFAULT) for each in list_settings()
    }
    unresolved |= {setting.name: setting for setting in _read_file(folder / SETTINGS_FILE)}
    unresolved |= {setting.name: setting for setting in _read_environment(environ)}
    for name, value in (command_line or {}).items():
        if value is not None:
            unresolved[name] = Setting(name=name, value=value, origin=origin)
    home = _make_absolute(unresolved["home"], unresolved["home"].value, folder)
    paths = _Paths(folder, str(choose_plain_path(Path(home), environ)), environ)
    settings = Settings({name: _resolve(setting, paths) for name, setting in unresolved.items()})
    for setting in settings:
        if setting.origin != DEFAULT:
            _logger.debug("setting %s = %s (%s)", setting.name, setting.value, setting.origin)
    return settings


def _read_file(file: Path) -> Iterator[Setting]:
    if not file.is_file():
        return
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"Can't read {file}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        found = _TOML_ERROR.fullmatch(str(error))
        where, reason = (f"{file.name}:{found[2]}", found[1]) if found else (file.name, error)
        raise UsageError(f"{where}: not valid TOML: {reason}.") from error
    mistakes: list[str] = []
    documents = frozenset(spec.name for spec in list_settings() if spec.is_document)
    for name, value in _flatten(values, documents):
        where = f"{file.name}:{_find_line(name, text)}"
        mistake = _explain_mistake(name, value)
        if mistake is None:
            yield Setting(name=name, value=str(value), origin=where)
        else:
            mistakes.append(f"{where}: {mistake}")
    if mistakes:
        raise UsageError("\n".join(limit_lines(mistakes)))


def _explain_mistake(name: str, value: object) -> str | None:
    """Explain what is wrong with a setting in the file; ``None`` if nothing is."""
    if name.startswith(ACCOUNTS):
        # A key itself is not a field: reports show every setting.
        field = name.rpartition(".")[2]
        if name.count(".") != ACCOUNTS.count(".") + 1 or field not in ACCOUNT_FIELDS:
            return (
                f"unknown setting '{name}'.{did_you_mean(field, ACCOUNT_FIELDS)} An account has the fields "
                f"{', '.join(ACCOUNT_FIELDS)}. Keep a secret in its file, variable or key vault."
            )
        if field in _REFERENCES and value != "" and parse_reference(str(value)) is None:
            # Not shown, because it may be the secret itself.
            return (
                f"'{name}' is not a reference to a secret in a key vault."
                f'{suggest(find_meant_reference(str(value)))} Write "{FORM}", with names of letters, '
                f"digits and hyphens, or use {field}_file or {field}_variable."
            )
    elif name.startswith(TABLES):
        if not is_table_name(name.removeprefix(TABLES)):
            wrong = name.removeprefix(TABLES)
            return f'\'{wrong}\' is not the name of a table. Write "catalog.schema.table" = "FOLDER or URI".'
    elif not name.startswith(STORES):
        names = [spec.name for spec in list_settings()]
        if name not in names:
            return f"unknown setting '{name}'.{did_you_mean(name, names)}"
    if isinstance(value, bool) or not isinstance(value, str | int):
        return f"'{name}' must be text. Put it in quotes."
    return None


def _read_environment(environ: Mapping[str, str]) -> Iterator[Setting]:
    for spec in list_settings():
        if environ.get(spec.variable):
            yield Setting(name=spec.name, value=environ[spec.variable], origin=spec.variable)


def _flatten(
    values: Mapping[str, object], documents: frozenset[str], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict) and prefix + name in documents:
            yield prefix + name, json.dumps(value, default=str)  # TOML has dates, too.
        elif isinstance(value, dict):
            yield from _flatten(value, documents, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _find_line(name: str, text: str) -> int:
    """Return the line of a setting, or the first line if its key is written in an unusual way."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("=")[0].translate(_NO_QUOTES).strip()
        if key.startswith("["):
            section = key.partition("]")[0].strip("[ ") + "."
            if section == f"{name}.":
                return number
        elif section + key == name:
            return number
    return 1


@dataclass(frozen=True)
class _Paths:
    """What the values of settings depend on."""

    folder: Path
    """Folder that relative paths start from."""
    home: str
    environ: Mapping[str, str]


def _resolve(setting: Setting, paths: _Paths) -> Setting:
    value = setting.value.replace("{home}", paths.home)
    if setting.name == "home":
        value = paths.home
    elif (setting.name.startswith(ACCOUNTS) and setting.name.endswith("_file") and value) or (
        setting.name.startswith(TABLES) and "://" not in value
    ):
        value = _make_absolute(setting, value, paths.folder)
    elif _is_path(setting):
        absolute = _make_absolute(setting, value, paths.folder)
        value = str(choose_plain_path(Path(absolute), paths.environ))
    if "://" in value:
        _refuse_password(setting, value)
    _refuse_mismatch(setting, value)
    # A mount's path without '//' has become one in the current folder.
    _refuse_unusable_location(setting, value if "://" in value else setting.value)
    return setting.model_copy(update={"value": value})


def _is_path(setting: Setting) -> bool:
    """Return whether a setting is a path of its own, and neither a URI nor a path below the home."""
    may_be_path = setting.name in ("lake", "artifacts") or setting.name.startswith(STORES)
    return may_be_path and "://" not in setting.value and "{home}" not in setting.value


def _check_document(setting: Setting, text: str) -> None:
    """Require a JSON object without a secret: reports show every setting."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The setting '{setting.name}' ({setting.origin}) is not valid JSON: {error}."
        ) from error
    if not isinstance(document, dict):
        raise UsageError(f"The setting '{setting.name}' ({setting.origin}) must be a JSON object.")
    for name in _find_secrets(document):
        raise UsageError(
            f"The setting '{setting.name}' ({setting.origin}) contains a secret ('{name}'), which plans "
            "and reports would show.",
            remedy="Write a reference: {{secrets/SCOPE/KEY}}.",
        )


def _find_secrets(value: object, name: str = "") -> Iterator[str]:
    """Yield the name of each value that is a secret, or a text with a password in a URI."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _find_secrets(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _find_secrets(inner, name)
    elif (is_secret_name(name) and not str(value).strip().startswith("{{secrets/")) or (
        isinstance(value, str) and (hide_passwords(value) != value or describe_password(value))
    ):
        yield name


def _refuse_mismatch(setting: Setting, value: str) -> None:
    for spec in list_settings():
        if spec.name != setting.name:
            continue
        if spec.is_document and value:
            _check_document(setting, value)
        if spec.pattern and not re.fullmatch(spec.pattern, value):
            expected = EXPECTED_VALUES.get(spec.pattern)
            raise UsageError(
                f"Invalid value {value!r} for the setting '{spec.name}' ({setting.origin}): {spec.meaning}.",
                remedy=f"Use {expected}." if expected else None,
            )


def _refuse_unusable_location(setting: Setting, value: str) -> None:
    roots = [spec.name for spec in list_settings() if spec.is_root]
    reason = None
    if setting.name in roots or setting.name.startswith(STORES):
        reason = explain_unusable_root(value)
    elif setting.name.startswith(TABLES):
        reason = explain_unusable(value)
    if reason is not None:
        raise UsageError(f"Invalid value for the setting '{setting.name}' ({setting.origin}): {reason}")


def _make_absolute(setting: Setting, path: str, folder: Path) -> str:
    try:
        return str((folder / Path(path).expanduser()).resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"The setting '{setting.name}' ({setting.origin}) is not a path: {path!r}: {error}"
        ) from error


def _refuse_password(setting: Setting, uri: str) -> None:
    try:
        urlsplit(uri)
    except ValueError as error:
        raise UsageError(f"The setting '{setting.name}' ({setting.origin}) is not a URI: {error}.") from error
    if password := describe_password(uri):
        raise UsageError(
            f"The setting '{setting.name}' ({setting.origin}) contains {password}, "
            "which plans and reports would show.",
            remedy=_NO_PASSWORD.get(
                setting.name, "Remove it from the URI. [accounts.NAME] names its file, variable or key vault."
            ),
        )
