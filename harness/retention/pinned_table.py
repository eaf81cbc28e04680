"""A table with its pinned versions: what pins each one, and how safe it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from harness.plan import Account
from harness.retention.deltalake_table import DeltalakeTable, open_table
from harness.retention.outlook import Outlook, Safety, judge_version, propose_remedies
from harness.retention.pins import Pin
from harness.retention.table_log import Retention, VersionState, describe_version

_WORST_LAST = tuple(Safety)
_GONE = "the table doesn't exist"


@dataclass(frozen=True)
class PinnedVersion:
    """A version of a table, and the published models that were trained from it."""

    outlook: Outlook
    rows: int | None
    """Its rows; ``None`` if they are unknown."""
    pins: tuple[Pin, ...]

    @property
    def version(self) -> int:
        """The Delta version."""
        return self.outlook.state.version

    def to_json(self) -> dict[str, Any]:
        """Return the version for programs."""
        time = self.outlook.state.time
        return {
            "version": self.version,
            "time": None if time is None else time.isoformat(),
            "rows": self.rows,
            "state": str(self.outlook.safety),
            "reason": self.outlook.reason,
            "pinned_by": [
                {"kind": pin.kind, "uri": pin.uri, "mlflow_run_id": pin.run_id, "run_id": pin.harness_run}
                for pin in self.pins
            ],
        }


@dataclass(frozen=True)
class PinnedTable:
    """A table with its pinned versions."""

    uri: str
    newest: int | None
    """The newest version; ``None`` if the table doesn't exist."""
    properties: Mapping[str, str]
    """The table's properties that decide how long its versions stay readable."""
    versions: tuple[PinnedVersion, ...]
    remedies: tuple[str, ...]

    @property
    def safety(self) -> Safety:
        """How safe the least safe version is."""
        return max(
            (each.outlook.safety for each in self.versions), key=_WORST_LAST.index, default=Safety.SAFE
        )

    def to_json(self) -> dict[str, Any]:
        """Return the table for programs."""
        return {
            "table": self.uri,
            "newest_version": self.newest,
            "properties": dict(self.properties),
            "state": str(self.safety),
            "versions": [each.to_json() for each in self.versions],
            "remedies": list(self.remedies),
        }


def inspect_table(uri: str, pins: Sequence[Pin], accounts: Sequence[Account], days: int) -> PinnedTable:
    """Inspect the pinned versions of a table.

    Args:
        uri: URI or path of the table.
        pins: What pins its versions.
        accounts: The storage accounts that this machine has credentials for.
        days: How many days ahead a loss is reported.

    Raises:
        PrerequisiteError: The table can't be read from this machine.
    """
    ordered = sorted(pins, key=lambda pin: pin.version)
    by_version = {number: tuple(found) for number, found in groupby(ordered, lambda pin: pin.version)}
    table = open_table(uri, accounts)
    if table is None:
        return _describe_missing(uri, by_version)
    now, ahead = datetime.now(UTC), timedelta(days=days)
    retention = Retention.parse(table.properties)
    states = {number: describe_version(table, number) for number in by_version}
    readable = [number for number, state in states.items() if not state.unreadable]
    vacuumed = table.list_vacuumed(readable) if readable else frozenset()

    def judge(number: int) -> Outlook:
        is_vacuumed = not vacuumed.isdisjoint(table.list_files(number) or ())
        return judge_version(states[number], retention, now, ahead, is_vacuumed=is_vacuumed)

    outlooks = {number: judge(number) for number in by_version}
    return PinnedTable(
        uri=uri,
        newest=table.newest,
        properties=retention.properties,
        versions=tuple(
            PinnedVersion(outlooks[number], _count_rows(table, states[number]), found)
            for number, found in by_version.items()
        ),
        remedies=propose_remedies(uri, outlooks.values(), readable, now),
    )


def _count_rows(table: DeltalakeTable, state: VersionState) -> int | None:
    return None if state.unreadable else table.count_rows(state.version)


def _describe_missing(uri: str, by_version: Mapping[int, tuple[Pin, ...]]) -> PinnedTable:
    retention, now = Retention.parse({}), datetime.now(UTC)
    outlooks = {
        number: judge_version(VersionState(number, None, _GONE), retention, now) for number in by_version
    }
    versions = tuple(PinnedVersion(outlooks[number], None, pins) for number, pins in by_version.items())
    return PinnedTable(uri, None, {}, versions, propose_remedies(uri, outlooks.values(), (), now))
