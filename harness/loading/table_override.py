"""The existing table that replaces a scenario's own, as ``--table`` specifies."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import UsageError
from harness.loading.document import Document
from harness.loading.existing_table import resolve_table_uri
from harness.plan import Plan
from harness.scenario.expectations import Expect
from harness.scenario.matrix import Combination, MatrixKeyError
from harness.scenario.model import Scenario, Version
from harness.scenario.read_step import Read
from harness.storage.uris import describe_password

TABLE_URI = "table.uri"
"""Parameter of a plan whose table the command line specified."""
_LATEST_VERSION = "latest"
_DEPENDENT_KEYS = {"on", "tolerance"}
"""Keys that need another key to form a bound."""


@dataclass(frozen=True)
class TableOverride:
    """An existing table, and the versions of it to read."""

    uri: str
    """A URI, or an absolute path."""
    versions: tuple[Read, ...]
    option: str = "--table"
    """What messages call it."""

    def apply_to_scenario(self, scenario: Scenario) -> Scenario:
        """Return the scenario on this table, with only the expectations of ``every``.

        Bounds of ``every`` on the change since one of the scenario's own versions are removed too, and so are
        the keys of a matrix that refer to them.
        """
        table = {"uri": self.uri, "source": None, "versions": self.versions}
        own = {version.name for version in scenario.versions}
        replaced = scenario.model_copy(
            update={
                "table": scenario.table.model_copy(update=table),
                "versions": tuple(Version(name=read.name, read=read) for read in self.versions),
                "every": _strip_changes_since(scenario.every, own),
                "verdict": "pass",
                "caught_by": (),
                "matrix": {},
            }
        )
        matrix = {key: values for key, values in scenario.matrix.items() if _is_key(replaced, key, values)}
        return replaced.model_copy(update={"matrix": matrix})

    def apply_to_document(self, document: Document) -> Document:
        """Return the document without the removed versions, so that no message refers to their lines."""
        marked = copy.deepcopy(document.marked)
        marked.pop("versions", None)
        return replace(document, marked=marked)

    def describe(self, scenario: Scenario) -> str:
        """Describe in one line which versions are read and which bounds are checked.

        Args:
            scenario: The scenario on this table.
        """
        names = ", ".join(read.name for read in self.versions)
        ignored = "The expectations of the scenario's own versions are ignored"
        bounds = "no bounds are" if scenario.every == Expect() else "the bounds under 'every' are"
        return f"Table: {self.uri} at {names}. {ignored}; {bounds} checked."

    @property
    def parameters(self) -> dict[str, str]:
        """Values in which the scenario then differs from its file: key to value, as text."""
        return {TABLE_URI: self.uri, "table.versions": ", ".join(read.name for read in self.versions)}


def find_override(plan: Plan) -> TableOverride | None:
    """Return the table that a run's command line specified, or ``None``."""
    table = plan.scenario.table
    if TABLE_URI not in plan.parameters or table.uri is None or table.versions is None:
        return None
    return TableOverride(table.uri, table.versions)


def parse_table_override(
    uri: str | None, versions: str | None, *, option: str = "--table", versions_option: str = "--versions"
) -> TableOverride | None:
    """Return the table that a command line or a caller specifies, or ``None``.

    Args:
        uri: URI of the table, or its folder relative to the current one.
        versions: Comma-separated version numbers, timestamps or ``latest`` (default: latest).
        option: What messages call the table.
        versions_option: What messages call its versions.

    Raises:
        UsageError: There are versions without a table, or a value is invalid.
    """
    if uri is None:
        if versions is not None:
            raise UsageError(
                f"{versions_option} needs {option}: it selects versions of an existing table.",
                remedy=f"Add {option}, or remove {versions_option}.",
            )
        return None
    if not uri.strip():
        raise UsageError(f"{option} is empty.", remedy="Specify a table's folder or URI.")
    if password := describe_password(uri):
        raise UsageError(f"{option}: the table's URI contains {password}; remove it.")
    try:
        location = resolve_table_uri(uri, Path())
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{option}: can't access {uri!r}: {error}.") from error
    listed = _LATEST_VERSION if versions is None else versions
    reads = tuple(_parse_version(text.strip(), versions_option) for text in listed.split(","))
    names = [read.name for read in reads]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{versions_option} lists {name} twice.")
    return TableOverride(location, reads, option)


def find_table(
    table: object | None, versions: str | int | Sequence[str | int] | None
) -> TableOverride | None:
    """Return the table that a caller in Python specifies, or ``None``.

    Args:
        table: Its folder, its URI, or its name in a catalog.
        versions: One of its versions, or several (default: latest).

    Raises:
        UsageError: There are versions without a table, or a value is invalid.
    """
    if versions is not None:
        listed = [versions] if isinstance(versions, str | int) else versions
        versions = ",".join(str(each) for each in listed)
    uri = None if table is None else str(table)
    return parse_table_override(uri, versions, option="table=", versions_option="versions=")


def _parse_version(text: str, option: str) -> Read:
    try:
        # A number comes first: a time can consist only of digits, too.
        return Read.model_validate(int(text) if text.isdecimal() else text)
    except ValidationError as error:
        raise UsageError(
            f"{option}: {text!r} is not a version of a table.",
            remedy="Separate version numbers, timestamps or 'latest' by commas: 12,2026-03-01,latest",
        ) from error


def _is_key(scenario: Scenario, key: str, values: Sequence[object]) -> bool:
    """Return whether a scenario still has a key of its matrix."""
    try:
        Combination({key: values[0]}).apply_to(scenario)
    except (MatrixKeyError, ValidationError):
        return False
    return not key.startswith("table.")


def _strip_changes_since(every: Expect, names: set[str]) -> Expect:
    return Expect.model_validate(
        _remove_changes_since(every.model_dump(by_alias=True, exclude_unset=True), names)
    )


def _remove_changes_since(value: Any, names: set[str]) -> Any:
    """Return a value without changes since one of these versions, and without mappings that become empty."""
    if isinstance(value, dict):
        inner = {
            key: _remove_changes_since(each, names)
            for key, each in value.items()
            if not _is_change_since(each, names)
        }
        return {key: each for key, each in inner.items() if each not in ({}, [])}
    if isinstance(value, list | tuple):
        cleared = [_remove_changes_since(each, names) for each in value]
        return [each for each in cleared if not (isinstance(each, dict) and set(each) <= _DEPENDENT_KEYS)]
    return value


def _is_change_since(value: object, names: set[str]) -> bool:
    return isinstance(value, dict) and value.get("since") in names
