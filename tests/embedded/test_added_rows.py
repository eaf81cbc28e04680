"""Facts about the rows that a version added, next to those that it already had."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from harness.job.added_rows import describe_added_rows
from harness.job.check_version import check_version
from harness.job.distributions import OTHER, Bins, count_distributions
from harness.job.row_diff import select_keys
from harness.job.train_version import make_untrained_result
from harness.results import AddedRows, Bin, RowChanges, VersionResult
from harness.studies.proving.local_engine import LocalEngine, select_facts, split_rows
from harness.studies.proving.local_facts import LocalFacts
from tests.unit.bounds_samples import scenario

_BEFORE = 200
_COLUMNS = "id bigint, amount double, kind string, status string, day date, other int"


def _rows(first: int, count: int, kind: str) -> list[str]:
    return [
        f"({row}, {row % 40}, '{kind.format(row % 30)}', '{'late' if row % 4 else 'paid'}', "
        f"date_add('2024-01-01', {row // 10}), {row % 40})"
        for row in range(first, first + count)
    ]


@dataclass(frozen=True)
class _Counted:
    """The same rows, counted by Spark and on this machine."""

    added: AddedRows
    checked: VersionResult
    here: VersionResult


@pytest.fixture(scope="module", name="counted")
def _counted(spark: SparkSession) -> _Counted:
    """Count 60 added rows: new kinds, nulls, and repeated content under new keys."""
    pipeline = {
        "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
        "features": ["amount"],
        "categorical": ["kind"],
    }
    both = scenario([{"name": "one"}, {"name": "two"}], pipeline=pipeline)
    first = _rows(0, _BEFORE, "old")
    new = [
        *_rows(_BEFORE, 50, "new {}"),
        *[f"({900 + at}, NULL, 'old', 'late', NULL, 1)" for at in range(10)],
    ]
    names = [each.split()[0] for each in _COLUMNS.split(", ")]
    tables = [
        spark.sql(f"SELECT * FROM VALUES {', '.join(rows)} AS t({', '.join(names)})").to(  # noqa: S608 - ours
            spark.createDataFrame([], _COLUMNS).schema
        )
        for rows in (first, [*first, *new])
    ]
    version = check_version(tables[1], both, "two", 1)
    found = describe_added_rows(
        replace(version, previous_keys=select_keys(tables[0], both)), {"kind": ("old",)}
    )
    assert found is not None
    starts = {"amount": (0.0, 10.0, 20.0), "kind": ("old", OTHER)}
    [distributions] = count_distributions(
        [version], Bins(numbers={"amount": (0.0, 10.0, 20.0)}, categories={"kind": ("old",)})
    )
    checked = make_untrained_result(version).model_copy(
        update={"distributions": distributions, "changes": RowChanges(added=60, removed=0, changed=0)}
    )
    # On this machine, only the bins are known beforehand.
    empty = {name: tuple(Bin(start=each, rows=0) for each in of) for name, of in starts.items()}
    bare = checked.model_copy(update={"rows": 0, "nulls": {}, "distributions": empty, "changes": None})
    earlier, later = (pa.Table.from_pandas(each.toPandas(), preserve_index=False) for each in tables)
    engine = LocalEngine(*split_rows(later, earlier, ("id",)), both, select_facts(both, checked.data_schema))
    return _Counted(found, checked, LocalFacts(engine, bare).measure(engine.read_added()))


@pytest.fixture(scope="module", name="added")
def _added(counted: _Counted) -> AddedRows:
    return counted.added


def test_the_facts_are_the_same_without_spark(counted: _Counted) -> None:
    """Faults are judged on this machine by the numbers that the job would count."""
    here, there = counted.here, counted.checked.model_copy(update={"added": counted.added})
    for name in ("rows", "nulls", "null_keys", "duplicate_keys", "unlabelled", "distributions", "changes"):
        assert getattr(there, name) == getattr(here, name), name
    assert here.added is not None
    for name in ("before", "added", "new_values", "relations", "relations_compared"):
        assert getattr(counted.added, name) == getattr(here.added, name), name


def test_rows_labels_and_nulls_are_counted_by_group(added: AddedRows) -> None:
    """Rows are divided by their keys; the last bin of a feature has the rows without a value."""
    assert (_BEFORE, 60) == (added.before.rows, added.added.rows)
    assert (150, 47) == (added.before.positives, added.added.positives)
    assert (0, 10) == (added.before.nulls["amount"], added.added.nulls["amount"])
    assert 10 == added.added.bins["amount"][-1]
    assert (_BEFORE, 50) == (sum(added.before.bins["amount"]), sum(added.added.bins["amount"][:-1]))
    assert (10, 50, 0) == added.added.bins["kind"]


def test_more_new_values_than_are_listed_are_all_counted(added: AddedRows) -> None:
    """The most frequent new values are listed, and the others are counted together."""
    values = added.new_values["kind"]
    assert 50 == sum(values.values())
    assert (21, "other new values") == (len(values), list(values)[-1])


def test_repeated_content_and_dates_are_found(added: AddedRows) -> None:
    """Rows that repeat others under new keys are counted, and dates have a range."""
    assert 9 == added.added.repeated
    assert "2024-01-25" == added.added.dates["day"][1].date().isoformat()


def test_columns_that_are_no_features_are_related(added: AddedRows) -> None:
    """A numeric column outside the model is compared too, and the correlations are those of the bins."""
    pairs = {each.columns: each for each in added.relations}
    assert pairs["amount", "other"].before == pytest.approx(1)
    assert added.relations_compared >= len(added.relations)
