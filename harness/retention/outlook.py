"""How safe a pinned version is, and what keeps it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from harness.retention.table_log import DATA_RETENTION, LOG_RETENTION, Retention, VersionState

DAYS_AHEAD = 7
"""How many days ahead a loss is reported by default."""
_DAYS_MORE = 365
"""For how many more days the proposed settings keep a pinned version."""


class Safety(StrEnum):
    """How safe a pinned version is, the worst last."""

    SAFE = "safe"
    EXPIRING = "expiring"
    """It can be lost within the given number of days."""
    AT_RISK = "at risk"
    """The next vacuum or the next checkpoint of the log removes it."""
    UNREADABLE = "unreadable"

    @property
    def is_broken(self) -> bool:
        """Whether it is too late for a warning."""
        return self in (Safety.AT_RISK, Safety.UNREADABLE)


@dataclass(frozen=True)
class Outlook:
    """How safe a pinned version is, and why."""

    state: VersionState
    safety: Safety
    reason: str = ""
    """A sentence without its full stop; empty if it is safe."""
    limited_by: tuple[str, ...] = ()
    """The table's properties that must change for it to be kept."""


def judge_version(
    state: VersionState,
    retention: Retention,
    now: datetime,
    ahead: timedelta = timedelta(days=DAYS_AHEAD),
    *,
    is_vacuumed: bool = False,
) -> Outlook:
    """Judge how safe a version is.

    Args:
        state: What is known of the version.
        retention: The table's settings.
        now: The time.
        ahead: How far ahead a loss is reported.
        is_vacuumed: Whether a vacuum would remove files of it, by a dry run.
    """
    if state.unreadable:
        return Outlook(state, Safety.UNREADABLE, f"it can no longer be read: {state.unreadable}")
    limits = list(_list_limits(state, retention, now, is_vacuumed=is_vacuumed))
    near = [limit for limit in limits if limit.until <= now + ahead]
    if not near:
        return Outlook(state, Safety.SAFE)
    is_late = any(limit.until <= now for limit in near)
    return Outlook(
        state,
        Safety.AT_RISK if is_late else Safety.EXPIRING,
        ", and ".join(limit.describe(now) for limit in near),
        tuple(limit.setting for limit in near),
    )


@dataclass(frozen=True)
class _Limit:
    """A setting of the table, and the time from which it no longer keeps a version."""

    setting: str
    value: str
    cause: str
    """What removes something that the version needs."""
    since: datetime | None
    """When the files left the table, or the log was written."""
    event: str
    until: datetime

    def describe(self, now: datetime) -> str:
        when = "the next" if self.until <= now else f"from {self.until:%Y-%m-%d %H:%M} UTC on, a"
        since = f"{self.event} {self.since:%Y-%m-%d}, " if self.since is not None else ""
        return f"{when} {self.cause} ({since}{self.setting} is '{self.value}')"


def _list_limits(
    state: VersionState, retention: Retention, now: datetime, *, is_vacuumed: bool
) -> Iterator[_Limit]:
    if state.removed is not None or is_vacuumed:
        until = now if is_vacuumed or state.removed is None else state.removed + retention.data
        cause = "vacuum deletes files that it needs"
        value = retention.properties[DATA_RETENTION]
        yield _Limit(DATA_RETENTION, value, cause, state.removed, "they left the table on", until)
    if state.oldest_log is not None and retention.cleans_log:
        until = state.oldest_log + retention.log
        cause = "checkpoint deletes the log that it is read from"
        value = retention.properties[LOG_RETENTION]
        yield _Limit(LOG_RETENTION, value, cause, state.oldest_log, "that log is from", until)


def propose_remedies(
    table: str, outlooks: Iterable[Outlook], pinned: Collection[int], now: datetime
) -> tuple[str, ...]:
    """Return lines that describe how to keep the pinned versions of a table.

    Args:
        table: URI of the table.
        outlooks: Its pinned versions.
        pinned: All of its pinned versions that can be read.
        now: The time.
    """
    listed = list(outlooks)
    durations: dict[str, int] = {}
    for each in listed:
        for setting in each.limited_by:
            start = each.state.removed if setting == DATA_RETENTION else each.state.oldest_log
            days = math.ceil((now - start) / timedelta(days=1)) if start is not None else 0
            durations[setting] = max(durations.get(setting, 0), days + _DAYS_MORE)
    lines = []
    if durations:
        values = ", ".join(f"'{name}' = 'interval {days} days'" for name, days in durations.items())
        statement = f"ALTER TABLE delta.`{table}` SET TBLPROPERTIES ({values})"
        lines.append(f"To keep them for {_DAYS_MORE} days: {statement}")
    if DATA_RETENTION in durations:
        call = f'deltalake.DeltaTable("{table}").vacuum(keep_versions={sorted(pinned)}, dry_run=False)'
        lines.append(f"To vacuum and keep them, use this instead of VACUUM: {call}")
    if any(each.safety is Safety.UNREADABLE for each in listed):
        lines.append(
            "To recover an unreadable version: restore the files from a backup, or from the storage "
            "account's soft delete. To give up its pin: remove the bundle's folder, or the model's "
            "registered version."
        )
    return tuple(lines)
