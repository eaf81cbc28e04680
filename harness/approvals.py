"""Approved tables: the version that one shows, as its properties record it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.table_names import is_table_name, normalize_table_name

CLONE = "CLONE"
"""Operation of the commit by which an approved table gets a version."""
MARK = "harness.approved_from"
"""Property that every approved table has: the judged table. Without it, no run has made the table."""
_VERSION, _FINGERPRINT = "harness.approved_version", "harness.approved_fingerprint"
_RUN, _SCENARIO = "harness.approved_by_run", "harness.approved_by_scenario"
_OVERRIDDEN = {"delta.appendOnly": "false"}
"""Properties that an approved table can't have from the judged one: its rows are replaced."""


@dataclass(frozen=True)
class ApprovedVersion:
    """A version of a judged table that an approved table shows."""

    source: str
    """URI of the judged table, or its name in a catalog."""
    version: int
    """Its Delta version."""
    fingerprint: str
    run_id: str
    """The run that approved it."""
    scenario: str

    @property
    def properties(self) -> dict[str, str]:
        """The properties of the approved table."""
        return {
            **_OVERRIDDEN,
            MARK: self.source,
            _VERSION: str(self.version),
            _FINGERPRINT: self.fingerprint,
            _RUN: self.run_id,
            _SCENARIO: self.scenario,
        }

    @classmethod
    def parse(cls, properties: Mapping[str, str]) -> ApprovedVersion | None:
        """Return the version that a table with these properties shows; ``None`` if no run has made it."""
        version = properties.get(_VERSION, "")
        if MARK not in properties or not version.isdecimal():
            return None
        return cls(
            source=properties[MARK],
            version=int(version),
            fingerprint=properties.get(_FINGERPRINT, ""),
            run_id=properties.get(_RUN, ""),
            scenario=properties.get(_SCENARIO, ""),
        )

    def is_version(self, source: str, version: int, fingerprint: str) -> bool:
        """Return whether it is this version of this table, whichever run approved it."""
        return (self.source, self.version, self.fingerprint) == (source, version, fingerprint)


def explain_taken(table: str, properties: Mapping[str, str], source: str) -> str | None:
    """Explain that an existing table can't be replaced by a version of another one; ``None`` if it can.

    Args:
        table: The existing table.
        properties: Its properties.
        source: The judged table.
    """
    approved = ApprovedVersion.parse(properties)
    if approved is None:
        return (
            f"the table {table} exists, but no run has made it (it has no property {MARK}), so it is never "
            "replaced. Name another table under 'approve', or drop this one."
        )
    if not is_same_table(approved.source, source):
        return (
            f"the table {table} shows versions of {approved.source}, not of {source}. Name another table "
            "under 'approve', or drop this one."
        )
    return None


def explain_overlap(table: str, source: str) -> str | None:
    """Explain that a table can't show versions of another one that it shares files with; ``None`` if it can.

    Args:
        table: The approved table.
        source: The judged table.
    """
    if is_same_table(table, source):
        return "the approved table can't be the judged one; name another table."
    one, other = f"{_normalize(table)}/", f"{_normalize(source)}/"
    if one.startswith(other) or other.startswith(one):
        return f"{table} and the judged table {source} share a folder; approve in another one."
    return None


def is_same_table(one: str, other: str) -> bool:
    """Return whether two URIs or names in a catalog, which ignores case, are those of the same table."""
    return _normalize(one) == _normalize(other)


def _normalize(table: str) -> str:
    if is_table_name(table):
        return normalize_table_name(table).lower()
    return table.removeprefix("file://").rstrip("/")
