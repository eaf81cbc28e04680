"""What is counted by file is what a pass over each version counts, whatever the steps between them were."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from harness.job import facts_by_file
from harness.job.check_version import CheckedVersion, check_version
from harness.job.delta_log import read_history
from harness.job.distributions import choose_bins, count_distributions
from harness.job.facts_by_file import count_by_file, find_files
from harness.job.kept_counts import KeptCounts, open_kept_counts
from harness.job.row_diff import count_row_changes
from harness.job.table_io import read_version
from harness.job.version_files import VersionFiles, share_files
from harness.plan import Plan
from harness.results import RowChanges
from harness.scenario.model import Scenario
from tests.embedded.runner import make_plan
from tests.embedded.tables import scenario

pytestmark = pytest.mark.spark

_STEPS = (
    "INSERT INTO {t} (id, x, `y`, k) SELECT id + 1000 * {n}, x, y, k FROM {t} WHERE id < 1000 AND id % 3 = 1",
    "UPDATE {t} SET x = x + {n} WHERE id % 7 = {n} % 7",
    "DELETE FROM {t} WHERE id % 11 = {n} % 11",
    """MERGE INTO {t} AS t USING (SELECT id + {n} AS id, y FROM {t} VERSION AS OF 0) AS s ON t.id = s.id
       WHEN MATCHED THEN UPDATE SET x = {n} WHEN NOT MATCHED THEN INSERT (id, x, y) VALUES (s.id, 9, s.y)""",
    "OPTIMIZE {t}",
    "RESTORE TABLE {t} TO VERSION AS OF {before}",
    "ALTER TABLE {t} ADD COLUMNS (z{n} INT)",
)
_DOUBLE = "INSERT INTO {t} (id, x, y) SELECT id, NULL, y FROM {t} WHERE id % 13 = {n} % 13"
_PURGE = "REORG TABLE {t} APPLY (PURGE)"
_RENAME = "ALTER TABLE {t} RENAME COLUMN w{named} TO w{n}"


@dataclass(frozen=True)
class Table:
    """A table with several versions, and the folder for temporary tables."""

    spark: SparkSession
    uri: str
    folder: str
    first: int = 0

    @property
    def numbers(self) -> list[int]:
        """The Delta versions."""
        found = (entry.version for entry in read_history(self.spark, self.uri))
        return sorted(number for number in found if number >= self.first)

    def make_scenario(self, *, train: bool = False) -> Scenario:
        """Return a scenario with one version for each of the table's."""
        return scenario(
            versions=[f"v{number}" for number in self.numbers], train=train, categorical=["k"], features=["x"]
        )

    def check_all(self, small: Scenario) -> list[CheckedVersion]:
        """Check each version by a pass over its rows."""
        return [
            check_version(read_version(self.spark, self.uri, number), small, f"v{number}", number)
            for number in self.numbers
        ]

    def open(self) -> list[Any]:
        """Return the versions as a job has them after they are built."""
        return [
            SimpleNamespace(
                name=f"v{number}", number=number, table=read_version(self.spark, self.uri, number)
            )
            for number in self.numbers
        ]

    def find_files(self, built: Sequence[Any] | None = None) -> dict[str, VersionFiles]:
        """Find the files of some versions, or all."""
        return find_files(self.spark, self.uri, self.open() if built is None else built, self.folder)

    def check_by_file(self, small: Scenario) -> list[CheckedVersion]:
        """Check all versions at once; none of them may need a pass of its own."""
        built, files = self.open(), self.find_files()
        counts = count_by_file(built, small, files)
        assert sorted(counts) == sorted(files) == sorted(each.name for each in built)
        checked = [
            check_version(each.table, small, each.name, each.number, counts[each.name]) for each in built
        ]
        return [replace(each, files=files[each.name]) for each in checked]

    def run(self, step: str, **values: object) -> None:
        """Run a statement."""
        self.spark.sql(step.format(t=f"delta.`{self.uri}`", **values))


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> Table:
    return Table(spark, str(tmp_path / "a table%20"), str(tmp_path / "files"))


def write_first(table: Table, **options: object) -> None:
    """Write the first version: four files, in partitions with odd names."""
    rows = table.spark.range(60).selectExpr(
        "id",
        "CAST(id % 5 AS DOUBLE) AS x",
        "if(id % 3 = 0, 'bad', 'good') AS y",
        "concat('p%/ä', id % 2) AS k",
        "1 AS w0",
    )
    rows.repartition(2).write.format("delta").partitionBy("k").options(**options).save(table.uri)  # type: ignore[arg-type]


def assert_same(checked: Sequence[CheckedVersion], by_file: Sequence[CheckedVersion]) -> None:
    """Compare counts (the fingerprint is that of all rows), changes and distributions."""
    assert [each.facts for each in checked] == [each.facts for each in by_file]
    assert count_row_changes(checked) == count_row_changes(by_file)
    bins = choose_bins([each for each in checked if each.is_trained])
    assert count_distributions(checked, bins) == count_distributions(by_file, bins)


@pytest.mark.parametrize("vectors", [False, True], ids=["plain", "deletion vectors and column mapping"])
def test_random_steps(table: Table, vectors: bool) -> None:
    """Rows, counts, changes and distributions of each version are those of a pass over it."""
    chance = random.Random(vectors)  # noqa: S311 - not a secret
    steps = [*_STEPS]
    if vectors:
        write_first(table, **{"delta.enableDeletionVectors": "true", "delta.columnMapping.mode": "name"})
        steps += [_DOUBLE, _PURGE, _RENAME]
    else:
        write_first(table)
    for n in range(1, 7):
        newest = table.numbers[-1]
        columns = read_version(table.spark, table.uri, newest).columns
        [named] = [each.removeprefix("w") for each in columns if each.startswith("w")]
        table.run(chance.choice(steps), n=n, named=named, before=max(0, newest - 2))
    assert len(table.numbers) > 4
    small = table.make_scenario(train=not vectors)
    assert_same(table.check_all(small), table.check_by_file(small))


def test_a_cleaned_log_is_read_from_its_checkpoint(table: Table) -> None:
    """Commits before a checkpoint aren't needed; without them and the checkpoint, versions are read whole."""
    write_first(table, **{"delta.checkpointInterval": "2", "delta.enableDeletionVectors": "true"})
    for n in (3, 5, 7):
        table.run(_STEPS[2], n=n)
    log = Path(table.uri, "_delta_log")
    for number in (0, 1):
        (log / f"{number:020d}.json").unlink()
    later = replace(table, first=2)
    small = later.make_scenario(train=True)
    assert_same(later.check_all(small), later.check_by_file(small))
    built = later.open()
    (log / f"{2:020d}.checkpoint.parquet").unlink()
    assert later.find_files(built) == {}


def test_a_clone_has_files_of_another_table(table: Table, tmp_path: Path) -> None:
    """A shallow clone lists files, and vectors of deleted rows, by absolute paths."""
    write_first(table, **{"delta.enableDeletionVectors": "true"})
    table.run(_STEPS[2], n=3)
    clone = replace(table, uri=str(tmp_path / "clone"))
    table.run(f"CREATE TABLE delta.`{clone.uri}` SHALLOW CLONE {{t}}")
    for n in (2, 5):
        clone.run(_STEPS[2], n=n)
    small = clone.make_scenario(train=True)
    assert_same(clone.check_all(small), clone.check_by_file(small))


def test_rows_are_counted_twice_to_be_sure(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Spark finds other rows than the log says, or there is too much to merge, nothing is merged."""
    write_first(table)
    table.run(_STEPS[0], n=1)
    built, small = table.open(), table.make_scenario(train=True)
    files = table.find_files()
    assert sorted(count_by_file(built, small, files)) == ["v0", "v1"]
    for name, limit in (("_MOST_SETS", 1), ("_MOST_COMBINATIONS", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(facts_by_file, name, limit)
            assert count_by_file(built, small, files) == {}
    log = Path(table.uri, "_delta_log", f"{1:020d}.json")
    log.write_text(log.read_text().replace('numRecords\\":', 'numRecords\\":1'))
    log.with_name(f".{log.name}.crc").unlink()
    assert count_by_file(built, small, replace(table, folder=f"{table.folder}-again").find_files()) == {}


def test_files_of_one_name_in_several_partitions_are_told_apart(table: Table) -> None:
    """Spark gives files of different partitions one name; text may have Unicode's own line breaks."""
    rows = table.spark.range(12).selectExpr(
        "id", "0.5D AS x", "'one\u2028two\x85' AS y", "if(id % 2 = 0, 'a', 'b') AS k"
    )
    rows.coalesce(1).write.partitionBy("k").parquet(table.uri)
    table.spark.sql(f"CONVERT TO DELTA parquet.`{table.uri}` PARTITIONED BY (k STRING)")
    table.run("INSERT INTO {t} VALUES (100, 0.5, 'three\u2029', 'b')")
    DeltaTable.forPath(table.spark, table.uri).delete("id = 2 AND k = 'a'")
    expected = [None, RowChanges(added=1, removed=0, changed=0), RowChanges(added=0, removed=1, changed=0)]
    assert expected == count_row_changes(table.check_by_file(table.make_scenario()))


def test_a_column_that_is_dropped_and_added_again_changes_rows(table: Table) -> None:
    """Such a commit changes rows, but no file: versions with other columns are compared as a whole."""
    write_first(table, **{"delta.columnMapping.mode": "name"})
    table.run("ALTER TABLE {t} DROP COLUMN y")
    table.run("ALTER TABLE {t} ADD COLUMN y STRING")
    versions = table.check_by_file(table.make_scenario())
    changes = RowChanges(added=0, removed=0, changed=60)
    assert count_row_changes([versions[0], versions[2]]) == [None, changes]


def test_files_of_the_same_versions_are_one_set() -> None:
    """Each version has all files of a set or none of them."""
    shared = share_files([frozenset({0, 1, 5}), frozenset({1, 2}), frozenset({1, 2}), frozenset()])
    assert {frozenset({0, 5}), frozenset({1}), frozenset({2})} == set(shared.sets)
    assert [0, 1, 2, 5] == shared.files
    versions = [{file for index in own for file in shared.sets[index]} for own in shared.versions]
    assert [{0, 1, 5}, {1, 2}, {1, 2}, set()] == versions


@dataclass(frozen=True)
class Gate:
    """Runs that each look at some versions of a table, and keep what they have counted."""

    table: Table
    plan: Plan
    small: Scenario

    def check(self, run_id: str, first: int = 0, *, fresh: bool = False) -> KeptCounts:
        """Look at all versions from one on; every number must be that of a pass over the version."""
        table = replace(self.table, folder=f"{self.table.folder}-{run_id}", first=first)
        plan = self.plan.model_copy(update={"run_id": run_id, "fresh": fresh})
        kept = open_kept_counts(table.spark, plan)
        assert kept is not None
        built = table.open()
        counts = count_by_file(built, self.small, table.find_files(built), kept)
        for each in built:
            passed = check_version(each.table, self.small, each.name, each.number)
            checked = check_version(each.table, self.small, each.name, each.number, counts[each.name])
            assert checked.facts == passed.facts
        return kept

    @property
    def documents(self) -> list[Path]:
        """The files in which the counts are kept."""
        return sorted(Path(self.plan.environment.lake, "counts").glob("*.json"))


def open_gate(table: Table, *, train: bool = False, until: int = 40) -> Gate:
    """Return a gate for up to so many versions of the table."""
    folder = Path(table.uri).parent
    small = scenario(
        versions=[f"v{number}" for number in range(until)], train=train, categorical=["k"], features=["x"]
    )
    plan = make_plan(small, folder / "small.csv", folder)
    return Gate(table, plan.model_copy(update={"existing_table": table.uri}), small)


def write_unsigned(file: Path, text: str) -> None:
    """Write a file without the checksum that Hadoop keeps of local files."""
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("vectors", [False, True], ids=["plain", "deletion vectors"])
def test_counts_are_kept_between_runs(table: Table, vectors: bool) -> None:
    """Whatever the steps between two runs are, kept counts and new ones add up to those of a full pass."""
    chance = random.Random(2 + vectors)  # noqa: S311 - not a secret
    steps = [*_STEPS]
    if vectors:
        write_first(table, **{"delta.enableDeletionVectors": "true"})
        steps += [_DOUBLE, _PURGE]
    else:
        write_first(table)
    gate = open_gate(table, train=not vectors)
    assert gate.check("first").known == 0
    known = 0
    for n in range(1, 7):
        before = table.numbers[-1]
        table.run(chance.choice(steps), n=n, before=max(0, before - 2))
        known += gate.check(f"run-{n}", first=before).known
    assert known > 0


def test_only_new_files_are_read(table: Table) -> None:
    """Files that earlier runs have counted are not read, not even their keys if these are smaller ones."""
    write_first(table)
    gate = open_gate(table)
    gate.check("yesterday")
    old = [*Path(table.uri).rglob("*.parquet")]
    table.run("INSERT INTO {t} (id, x, y, k) VALUES (100, 1, 'bad', 'new'), (101, NULL, 'good', 'new')")
    new = set(Path(table.uri).rglob("*.parquet")).difference(old)
    built = table.open()[1:]
    expected = check_version(built[0].table, gate.small, "v1", 1)
    for file in old:
        file.write_bytes(b"x" * file.stat().st_size)
    kept = open_kept_counts(table.spark, gate.plan.model_copy(update={"run_id": "today"}))
    assert kept is not None
    counts = count_by_file(built, gate.small, table.find_files(built), kept)
    assert (kept.known, kept.read) == (len(old), len(new))
    assert check_version(built[0].table, gate.small, "v1", 1, counts["v1"]).facts == expected.facts


def test_a_known_file_that_is_gone_or_has_another_size_is_read(table: Table) -> None:
    """Then the version can't be read, and the error is that of a run without kept counts."""
    write_first(table, **{"delta.enableDeletionVectors": "true"})
    DeltaTable.forPath(table.spark, table.uri).delete("id = 3")
    gate = open_gate(table)
    gate.check("yesterday", first=1)
    [vector] = Path(table.uri).glob("deletion_vector_*.bin")
    files = sorted(Path(table.uri).rglob("*.parquet"))
    for number, file in enumerate((files[0], files[1], vector)):
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
        if number:
            file.unlink()
        else:
            file.write_bytes(b"")
        plan = gate.plan.model_copy(update={"run_id": f"today-{number}"})
        kept = open_kept_counts(table.spark, plan)
        assert kept is not None
        built = table.open()[1:]
        files_found = replace(table, folder=f"{table.folder}-{number}").find_files(built)
        assert count_by_file(built, gate.small, files_found, kept) == {}


def test_expressions_on_the_time_are_counted_again(table: Table) -> None:
    """What was counted yesterday is not what they would count today; a resumed run knows its own counts."""
    write_first(table)
    gate = open_gate(table)
    pipeline = gate.small.pipeline.model_copy(update={"filter": "id < day(current_date()) + 100"})
    timed = gate.small.model_copy(update={"pipeline": pipeline})
    gate = replace(gate, small=timed, plan=gate.plan.model_copy(update={"scenario": timed}))
    gate.check("yesterday")
    assert gate.check("today").known == 0
    resumed = gate.plan.model_copy(update={"is_resumed": True})
    assert replace(gate, plan=resumed).check("today", fresh=True).known == 4


def test_a_new_row_with_a_known_key_is_a_duplicate(table: Table) -> None:
    """Keys of new files are compared with those of files that are known; a repaired table has none."""
    write_first(table)
    gate = open_gate(table)
    gate.check("first")
    table.run(
        "INSERT INTO {t} (id, x, y, k) VALUES (3, 1, 'bad', 'new'), (3, 1, 'bad', 'new'), (99, 1, 'bad', 'z')"
    )
    assert gate.check("duplicates", first=1).known
    table.run("DELETE FROM {t} WHERE k = 'new'")
    assert gate.check("repaired", first=2).known
    assert gate.check("again", first=2).read == 0


def test_kept_counts_that_were_changed_are_not_used(table: Table) -> None:
    """Neither are those of other work; ``--fresh`` counts everything again; there is one document each."""
    write_first(table)
    gate = open_gate(table)
    gate.check("first")
    assert gate.check("second").read == 0
    assert ["second"] == [each.name.split(".")[1] for each in gate.documents]
    assert gate.check("third", fresh=True).known == 0
    [document] = gate.documents
    text = document.read_text()
    edited = json.loads(text)
    next(iter(edited["content"]["files"].values()))[-1] += 1
    for broken in (json.dumps(edited), text[:-9], "[]", ""):
        write_unsigned(document, broken)
        assert gate.check("fourth").known == 0
        for each in gate.documents:
            each.unlink()
    write_unsigned(document, text)
    other = scenario(versions=["v0"], train=False, categorical=["k"], features=["x"], seed=5)
    plan = gate.plan.model_copy(update={"scenario": other})
    assert replace(gate, small=other, plan=plan).check("other").known == 0
    os.utime(document, (0, 0))
    gate.check("last")
    assert document not in gate.documents


def test_counts_of_built_tables_and_of_sensitive_columns_are_not_kept(table: Table) -> None:
    """A built table is read by its own run only; smallest and largest values of sensitive columns stay."""
    write_first(table)
    gate = open_gate(table)
    built = gate.plan.model_copy(update={"existing_table": None})
    assert open_kept_counts(table.spark, built) is None
    sensitive = gate.small.model_copy(
        update={"table": gate.small.table.model_copy(update={"sensitive": ("x",)})}
    )
    plan = gate.plan.model_copy(update={"scenario": sensitive})
    assert open_kept_counts(table.spark, plan) is None
