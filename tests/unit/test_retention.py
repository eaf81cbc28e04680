"""Pinned versions of real Delta tables: how safe they are, and what keeps them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from harness.errors import PrerequisiteError
from harness.retention.deltalake_table import open_table
from harness.retention.outlook import Safety
from harness.retention.pinned_table import PinnedTable, inspect_table
from harness.retention.pins import list_pins
from harness.retention.table_log import LogFile, Removal, Retention, describe_version, parse_removals
from harness.storage.model_store import FolderStore
from tests.unit.retention_samples import DATA, LOG, SampleTable

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def table(tmp_path: Path) -> SampleTable:
    return SampleTable.create(tmp_path)


def inspect(table: SampleTable, days: int = 7) -> PinnedTable:
    """Inspect the versions of the table that bundles pin."""
    pins = list_pins([FolderStore(table.store)], None, "harness")
    return inspect_table(str(table.path), pins, (), days)


def list_states(found: PinnedTable) -> dict[int, Safety]:
    """Return each pinned version's state."""
    return {each.version: each.outlook.safety for each in found.versions}


def test_a_pin_has_its_time_rows_and_bundles(table: SampleTable) -> None:
    """A pinned version is listed with its time, its rows and every bundle that pins it."""
    bundles = [table.pin(1), table.pin(1, "r2")]
    [version] = inspect(table).versions
    assert (1, 2, bundles) == (version.version, version.rows, [pin.uri for pin in version.pins])
    time = version.outlook.state.time
    assert time is not None
    assert abs(datetime.now(UTC) - time) < timedelta(hours=1)


def test_a_version_whose_files_the_table_still_has_is_safe(table: SampleTable) -> None:
    """The newest version is safe, and so is one whose rows are all still in the table, however old."""
    table.pin(2)
    table.write([4])
    table.pin(3)
    table.age_removals(1000)
    found = inspect(table)
    assert {2: Safety.SAFE, 3: Safety.SAFE} == list_states(found)
    assert () == found.remedies


@pytest.mark.parametrize(
    ("removed", "days", "state"),
    [(0, 1, Safety.SAFE), (3, 3, Safety.SAFE), (3, 7, Safety.EXPIRING), (8, 0, Safety.AT_RISK)],
)
def test_a_version_is_lost_to_a_vacuum_a_while_after_its_files_left_the_table(
    table: SampleTable, removed: float, days: int, state: Safety
) -> None:
    """A version is reported if a vacuum takes its files now, or will within the given days."""
    table.pin(0)
    table.age_removals(removed)
    [version] = inspect(table, days).versions
    assert state is version.outlook.safety
    if state is not Safety.SAFE:
        assert "vacuum deletes files that it needs (they left the table on 20" in version.outlook.reason
        assert f"{DATA} is 'interval 1 week'" in version.outlook.reason


def test_the_table_decides_how_long_files_stay(table: SampleTable) -> None:
    """A table that keeps its files for longer keeps its pinned versions for longer."""
    table.pin(0)
    table.set(deletedFileRetentionDuration="interval 60 days")
    table.age_removals(30)
    assert {0: Safety.SAFE} == list_states(inspect(table))


def test_the_proposed_setting_makes_a_version_safe(table: SampleTable) -> None:
    """With the properties that are proposed, a version at risk is safe."""
    table.pin(0)
    table.age_removals(20)
    table.age_log(40, "*0.json")
    found = inspect(table)
    assert (Safety.AT_RISK, 2) == (found.safety, len(found.remedies))
    assert f"ALTER TABLE delta.`{table.path}` SET TBLPROPERTIES" in found.remedies[0]
    proposed = dict(re.findall(r"'delta\.(\w+)' = '(interval \d+ days)'", found.remedies[0]))
    assert {DATA, LOG} == {f"delta.{name}" for name in proposed}
    table.set(**proposed)
    assert {0: Safety.SAFE} == list_states(inspect(table))


def test_the_proposed_vacuum_keeps_pinned_versions_and_another_one_breaks_them(table: SampleTable) -> None:
    """The proposed vacuum keeps the pinned version; a plain one makes it unreadable, which is reported."""
    table.pin(0)
    table.age_removals(8)
    [call] = re.findall(r"vacuum\((.*)\)", inspect(table).remedies[1])
    assert call == "keep_versions=[0], dry_run=False"
    DeltaTable(table.path).vacuum(keep_versions=[0], dry_run=False)
    assert {0: Safety.AT_RISK} == list_states(inspect(table))
    DeltaTable(table.path).vacuum(dry_run=False)
    [version] = inspect(table).versions
    assert Safety.UNREADABLE is version.outlook.safety
    assert version.outlook.reason == "it can no longer be read: 1 of its 1 data files were removed"
    assert "restore the files from a backup" in inspect(table).remedies[0]


def test_the_rule_and_a_dry_run_agree(table: SampleTable) -> None:
    """The rule by the log's times, which runs use, finds the same versions as a dry run of a vacuum."""
    table.write([4])
    table.write([5], mode="overwrite")
    table.age_removals(8)
    found = open_table(str(table.path), ())
    assert found is not None
    retention, now = Retention.parse(found.properties), datetime.now(UTC)
    for number in range(5):
        removed = describe_version(found, number).removed
        is_late = removed is not None and removed + retention.data <= now
        taken = found.list_vacuumed([number]) & (found.list_files(number) or frozenset())
        assert is_late == bool(taken)


def test_an_old_log_is_cleaned_up(table: SampleTable) -> None:
    """A version that is read from a log older than the table keeps it is at risk; the newest never is."""
    table.pin(1)
    table.write([4])
    table.pin(3)
    table.age_log(40)
    found = inspect(table)
    assert {1: Safety.AT_RISK, 3: Safety.SAFE} == list_states(found)
    reason = found.versions[0].outlook.reason
    assert "the next checkpoint deletes the log that it is read from" in reason
    assert f"{LOG} is 'interval 30 days'" in reason
    table.set(enableExpiredLogCleanup="false", deletedFileRetentionDuration="interval 90 days")
    assert {1: Safety.SAFE, 3: Safety.SAFE} == list_states(inspect(table))


def test_the_checkpoint_that_a_version_is_read_from_counts(table: SampleTable) -> None:
    """A young version is at risk if the checkpoint that it is read from is old: Spark deletes that too."""
    DeltaTable(table.path).create_checkpoint()
    table.write([4])
    table.pin(3)
    table.write([5])
    table.age_log(29, "*0[012].*")
    [version] = inspect(table).versions
    assert Safety.EXPIRING is version.outlook.safety
    table.age_log(31, "*02.checkpoint.parquet")
    [version] = inspect(table).versions
    assert Safety.AT_RISK is version.outlook.safety


def test_a_version_without_its_log_is_unreadable(table: SampleTable) -> None:
    """A version whose log was cleaned up is unreadable; versions since the checkpoint are not."""
    table.pin(0)
    table.pin(2)
    DeltaTable(table.path).create_checkpoint()
    table.write([4])
    for commit in table.log("*0[012].json"):
        commit.unlink()
    found = inspect(table)
    assert {0: Safety.UNREADABLE, 2: Safety.SAFE} == list_states(found)
    assert found.versions[0].outlook.reason == "it can no longer be read: its log was removed"
    assert (None, None) == (found.versions[0].rows, found.versions[0].outlook.state.time)


def test_a_table_that_is_gone_or_another_one_is_unreadable(table: SampleTable) -> None:
    """The pinned versions of a deleted table can't be read, nor those that a new table doesn't have."""
    table.pin(9)
    [version] = inspect(table).versions
    assert version.outlook.reason == "it can no longer be read: the table's newest version is 2"
    table.path.rename(table.path.with_name("elsewhere"))
    found = inspect(table)
    assert (None, {9: Safety.UNREADABLE}) == (found.newest, list_states(found))
    assert "the table doesn't exist" in found.versions[0].outlook.reason


@dataclass(frozen=True)
class Vectors:
    """A table in which rows of the only file were deleted twice, each time by a deletion vector."""

    newest: int = 2
    properties: Mapping[str, str] = field(default_factory=dict)
    has_vectors: bool = True

    def list_log(self) -> Sequence[LogFile]:
        """Return three young commits."""
        return [LogFile(number, is_checkpoint=False, modified=NOW) for number in range(3)]

    def find_time(self, version: int) -> datetime:
        """Return the same time for all."""
        del version
        return NOW

    def list_files(self, version: int) -> frozenset[str]:
        """Return the same file for all."""
        del version
        return frozenset({"a.parquet"})

    def count_missing(self, version: int) -> int:
        """Return that no data file is missing."""
        del version
        return 0

    def read_removals(self, after: int) -> Sequence[Removal]:
        """Return the removals: the file without a vector, then with its first one."""
        vectors = ((1, False), (2, True))
        return [Removal(at, "a.parquet", NOW, has_vector) for at, has_vector in vectors if at > after]


def test_a_deletion_vector_that_left_the_table_counts() -> None:
    """A version that needs a deletion vector which left the table is limited by it; others are not."""
    removed = [describe_version(Vectors(), version).removed for version in range(3)]
    assert [None, NOW, None] == removed


def test_removals_are_read_from_a_commit() -> None:
    """A removal has the file's name, its time, and whether a deletion vector is stored in a file."""
    lines = [
        '{"commitInfo":{"operation":"DELETE"}}',
        '{"add":{"path":"note about \\"remove\\".parquet"}}',
        '{"remove":{"path":"day=1/part%20a.parquet","deletionTimestamp":1772323200000}}',
        '{"remove":{"path":"b","deletionTimestamp":0,"deletionVector":{"storageType":"i"}}}',
        '{"remove":{"path":"c","deletionTimestamp":0,"deletionVector":{"storageType":"u"}}}',
    ]
    found = list(parse_removals(7, lines))
    assert [("part a.parquet", False), ("b", False), ("c", True)] == [
        (each.file, each.has_vector) for each in found
    ]
    assert (7, NOW) == (found[0].version, found[0].time)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("interval 1 week", 168), ("interval 2 days 3 hours", 51), ("INTERVAL 90 MINUTES", 1.5), ("1 day", 24)],
)
def test_durations_are_read(text: str, hours: float) -> None:
    """A table's durations are read in every form that Delta accepts."""
    assert timedelta(hours=hours) == Retention.parse({LOG: text}).log


@pytest.mark.parametrize("text", ["", "interval", "soon", "interval 1 month"])
def test_what_is_not_a_duration_is_reported(text: str) -> None:
    """A property that is not a duration is reported with its name."""
    with pytest.raises(PrerequisiteError, match=LOG):
        Retention.parse({LOG: text})
