"""Settings as they are declared and as they are resolved.

This module is at the bottom of the import layers, because targets, storage and the command line all use it.
Which settings exist is decided above the targets, in :mod:`harness.settings`: it combines the general ones
with those that each target declares in its own folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError, did_you_mean
from harness.table_names import normalize_table_name

if TYPE_CHECKING:
    # 'harness --help' reads the declarations, and must not load pydantic for it.
    from harness.plan import Setting

SETTINGS_FILE = Path("harness.toml")
STORES = "stores."
TABLES = "tables."
"""Prefix of the settings that map the names of tables in a catalog to folders or URIs."""
ACCOUNTS = "accounts."
PARITY_REQUIRED = "parity.required"
ON_VALIDATE, ALWAYS = "validate", "always"
"""When a cloud run must agree with a local one to pass."""
DEFAULT = "default"
"""Origin of a setting that nobody has set."""
MEMORY_PATTERN = r"[1-9]\d*[mg]"
AUTO_MEMORY = "auto"
HEAP_PATTERN = rf"{AUTO_MEMORY}|{MEMORY_PATTERN}"
PORT_PATTERN = r"[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]"
COUNT_PATTERN = r"[1-9]\d*"
CORES_PATTERN = r"\*|[1-9]\d*"
LIMIT_PATTERN = rf"0|{MEMORY_PATTERN}"
DURATION_PATTERN = r"[1-9]\d*[sm]"
STACK_PATTERN = r"[a-z0-9][a-z0-9_-]*"
TOLERANCE_PATTERN = r"0|0?\.\d+|\d(\.\d+)?e-\d+"
EXPECTED_VALUES = {
    MEMORY_PATTERN: "a size such as 2g or 900m",
    HEAP_PATTERN: "a size such as 2g or 900m, or auto",
    PORT_PATTERN: "a port from 1 to 65535, such as 5001",
    COUNT_PATTERN: "a whole number of at least 1, such as 2",
    TOLERANCE_PATTERN: "a number such as 1e-6",
    CORES_PATTERN: "* or a whole number of at least 1, such as 2",
    LIMIT_PATTERN: "a size such as 4g or 900m, or 0 for no limit",
    DURATION_PATTERN: "a time such as 90s or 3m",
    STACK_PATTERN: "lower-case letters, digits, '-' and '_', such as my-stack",
}
"""Pattern of a setting's values to what messages call them."""
_UNITS = {"m": 1 << 20, "g": 1 << 30}
_SECONDS = {"s": 1, "m": 60}


def count_bytes(memory: str) -> int:
    """Return the bytes of a size such as ``2g`` or ``900m``."""
    return int(memory[:-1]) * _UNITS[memory[-1]]


def count_seconds(duration: str) -> int:
    """Return the seconds of a time such as ``90s`` or ``3m``."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


@dataclass(frozen=True)
class SettingSpec:
    """Declaration of a setting: its name, its default and its meaning."""

    name: str
    default: str
    meaning: str
    pattern: str | None = None
    """Regular expression that the whole value must match."""
    is_root: bool = False
    """Whether tables or bundles are stored below it: a folder, or a URI of a storage account."""
    is_document: bool = False
    """Whether it is a section of the settings file with keys of its own; its value is JSON."""

    @property
    def variable(self) -> str:
        """Environment variable that sets it."""
        return "HARNESS_" + self.name.upper().replace(".", "_")


@dataclass(frozen=True)
class Settings:
    """Resolved settings by name."""

    by_name: Mapping[str, Setting]

    def __getitem__(self, name: str) -> str:
        return self.by_name[name].value

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.by_name.values())

    def value_if_set(self, name: str) -> str | None:
        """Return the value that somebody has set, or ``None`` if it is the default."""
        setting = self.by_name[name]
        return None if setting.origin == DEFAULT else setting.value

    def for_target(self, target: str) -> Settings:
        """Return the same settings for another target."""
        return self._replace("target", value=target)

    def requiring_parity(self) -> Settings:
        """Return the same settings for a cloud run that must agree with a local one."""
        return self._replace(PARITY_REQUIRED, value=ALWAYS, origin="command 'validate'")

    def _replace(self, name: str, **changes: str) -> Settings:
        return Settings({**self.by_name, name: self.by_name[name].model_copy(update=changes)})

    @property
    def home(self) -> Path:
        """Absolute path of the folder for everything local."""
        return Path(self["home"])

    @property
    def runs(self) -> Path:
        """Folder with one folder per run."""
        return self.home / "runs"

    def table(self, name: str) -> str | None:
        """Return the folder or URI that the name of a table stands for on this machine, if there is one."""
        setting = self.by_name.get(TABLES + normalize_table_name(name))
        return None if setting is None else setting.value

    def store(self, name: str) -> str:
        """Return the root of a model store by its name.

        Raises:
            UsageError: The store is unknown.
        """
        if STORES + name in self.by_name:
            return self[STORES + name]
        names = [key.removeprefix(STORES) for key in self.by_name if key.startswith(STORES)]
        raise UsageError(
            f"Unknown model store '{name}'.{did_you_mean(name, names)}",
            remedy=f"Use one of {', '.join(names)}, or add it to {SETTINGS_FILE} under [stores].",
        )
