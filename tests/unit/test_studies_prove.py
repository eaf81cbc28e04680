"""Faults in the rows of a Delta table, judged on this machine."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, UsageError
from harness.faults.catalogue import FAULTS, Change, ImpossibleFaultError
from harness.faults.statements import write_statement
from harness.results import Bin, Commit, Result, RowChanges, VersionResult
from harness.scenario.model import Scenario
from harness.studies.proving.dose_search import DoseSearch
from harness.studies.proving.local_engine import LocalEngine, read_rows, select_facts, split_rows
from harness.studies.proving.local_facts import LocalFacts
from harness.studies.proving.local_proof import LocalProof
from harness.studies.proving.matrix import Control, FaultRow, Proof
from harness.studies.proving.proof_tables import format_markdown
from harness.studies.proving.prove_runs import (
    choose_version,
    combine_repetitions,
    require_open_features,
    require_table_here,
)
from harness.studies.proving.selection import choose_faults, find_victim
from tests.unit.studies_samples import result, scenario

_TYPES = {
    "id": "bigint",
    "heat": "double",
    "load": "double",
    "kind": "string",
    "day": "date",
    "seen": "timestamp",
    "outcome": "string",
}
_ROWS = 1500
_VERSIONS = ("one", "two", "three")
_FEATURES = ("heat", "load", "hour")
_PIPELINE = {
    "label": {"column": "outcome", "positive": ["bad"], "negative": ["good"]},
    "derive": {"hour": "hour(seen)"},
    "features": list(_FEATURES),
    "categorical": ["kind"],
}


def _make_rows(batch: int) -> pa.Table:
    """Return the rows of one batch: a day each, with a label that depends on both numbers."""
    chance = random.Random(batch)  # noqa: S311 - not a secret
    day = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=batch)
    rows: dict[str, list[Any]] = {name: [] for name in _TYPES}
    for number in range(_ROWS):
        heat = chance.gauss(20, 5)
        load = 2 * heat + chance.gauss(0, 4)
        bad = chance.random() < 1 / (1 + math.exp(-(heat - 22) / 2))
        hour = min(23, int(abs(chance.gauss(8, 3))))
        values = (
            batch * _ROWS + number,
            heat,
            load,
            chance.choice(("north", "north", "south", "west")),
            day.date(),
            day + timedelta(hours=hour),
            "bad" if bad else "good",
        )
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value)
    return pa.table(rows)


def _gate(**changes: Any) -> Scenario:
    versions = [{"name": name, "append": {"where": "true"}} for name in _VERSIONS]
    return scenario(versions, pipeline=_PIPELINE, every={"standard": True}, **changes)


@cache
def _run(folder: Path) -> Result:
    """Build the table, and return the result of a run that measured its rows."""
    gate, measured = _gate(), []
    for number, name in enumerate(_VERSIONS):
        write_deltalake(str(folder), _make_rows(number), mode="append")
        changes = RowChanges(added=_ROWS, removed=0, changed=0) if number else None
        kinds = tuple(Bin(start=each, rows=1) for each in ("north", "south", "west", "other"))
        numbers = {each: tuple(Bin(start=5.0 * at, rows=1) for at in range(8)) for each in _FEATURES}
        version = VersionResult(
            name=name,
            version=number,
            rows=_ROWS * (number + 1),
            fingerprint="f" * 32,
            data_schema=_TYPES,
            status="trained",
            changes=changes,
            commit=Commit(operation="WRITE", time=datetime(2026, 2, 1, tzinfo=UTC), reader=1, writer=2),
            distributions={**numbers, "kind": kinds},
        )
        if number:
            now, before = (read_rows(str(folder), each) for each in (number, number - 1))
            engine = LocalEngine(*split_rows(now, before, ("id",)), gate, select_facts(gate, _TYPES))
            version = LocalFacts(engine, version).measure(engine.read_added())
        measured.append(version)
    return result(*measured).model_copy(update={"table_uri": str(folder)})


@pytest.fixture(scope="module", name="run")
def _run_fixture(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return _run(tmp_path_factory.mktemp("lake") / "table")


def _prove(run: Result, gate: Scenario, *faults: str, finds_dose: bool = False) -> dict[str, FaultRow]:
    proof = LocalProof.open(gate, run, "three", {})
    control = Control.of(proof.judge_clean())
    assert not control.failing
    chosen = choose_faults(gate, find_victim(gate, run.versions[-1]), faults, None)
    return {each.name: proof.inject(each, control, 1, finds_dose=finds_dose) for each in chosen}


def test_the_standard_gate_catches_the_faults_of_the_catalogue(run: Result) -> None:
    """Every fault is injected; only those that leave all relations alone need a model to be seen."""
    rows = _prove(run, _gate())
    assert set(FAULTS) == set(rows)
    assert not [name for name, row in rows.items() if row.skipped]
    assert not [name for name, row in rows.items() if not row.caught_by]
    assert "standard.nulls" in rows["nulls"].caught_by
    assert "standard.growth" in rows["stale"].caught_by
    assert "'bad ' (" in rows["label_renamed"].caught_by["unlabelled_rows = 0"]


def test_the_table_is_never_changed(run: Result) -> None:
    """Faults are in copies of the rows."""
    before = DeltaTable(run.table_uri).file_uris()
    _prove(run, _gate(), "thousand", "duplicates")
    assert before == DeltaTable(run.table_uri).file_uris()
    assert len(_VERSIONS) - 1 == DeltaTable(run.table_uri).version()


def test_a_gate_that_looks_elsewhere_misses_a_fault(run: Result) -> None:
    """A bound on rows notices lost rows, and no other unit."""
    gate = scenario(
        [{"name": name, "append": {"where": "true"}} for name in _VERSIONS[:-1]]
        + [{"name": "three", "append": {"where": "true"}, "expect": {"rows": 3 * _ROWS}}],
        pipeline=_PIPELINE,
        prove={"require": ["lost", "cents"]},
    )
    rows = _prove(run, gate, "lost", "cents")
    assert (["rows = 4500"], []) == (list(rows["lost"].caught_by), list(rows["cents"].caught_by))
    proof = _make_proof(*rows.values())
    assert (["cents"], ExitCode.BOUND_FAILED) == (
        [row.fault for row in proof.missed_required],
        proof.exit_code,
    )


def test_a_fault_of_ones_own_is_sql(run: Result) -> None:
    """It changes the columns that it sets, in the rows that meet its condition."""
    own = {"late": {"set": {"heat": "heat + load / 2"}, "where": "kind = 'north'"}}
    row = _prove(run, _gate(prove={"faults": own}), "late")["late"]
    assert "heat = heat + load / 2 where kind = 'north'" == row.meaning
    assert "standard.drift" in row.caught_by


def test_a_custom_fault_sets_columns_of_the_table(run: Result) -> None:
    """In any case, as in Spark; a column that doesn't exist is a mistake."""
    row = _prove(run, _gate(prove={"faults": {"late": {"set": {"HEAT": "1000"}}}}), "late")["late"]
    assert "standard.constant" in row.caught_by
    gate = _gate(prove={"faults": {"late": {"set": {"haet": "1000"}}}})
    with pytest.raises(UsageError, match="Did you mean 'heat'"):
        choose_faults(gate, find_victim(gate, run.versions[-1]), [], None)


def test_the_smallest_dose_is_found(run: Result) -> None:
    """Half the rows with another unit are seen, and a few are not."""
    row = _prove(run, _gate(), "nulls", finds_dose=True)["nulls"]
    assert row.smallest_dose is not None
    assert 0.03 < row.smallest_dose < 0.12


def test_an_expression_that_only_spark_knows_is_told(run: Result) -> None:
    """The quick way has a remedy: the long way."""
    pipeline = {**_PIPELINE, "derive": {"hour": "java_method('java.lang.Math', 'abs', 1)"}}
    gate = _gate().model_copy(update={"pipeline": scenario(pipeline=pipeline).pipeline})
    with pytest.raises(UsageError, match="needs Spark") as caught:
        LocalProof.open(gate, run, "three", {})
    assert "--quick" in (caught.value.remedy or "")


def test_sensitive_features_need_spark() -> None:
    """Their bins are hidden in the run's result, and their values must not be shown."""
    table = {"source": "readings.csv", "key": "id", "sensitive": ["HEAT"]}
    with pytest.raises(UsageError, match="can't compare the values of heat"):
        require_open_features(_gate(table=table))
    require_open_features(_gate(table=table | {"sensitive": ["day", "id"]}))


def test_nothing_is_shown_of_sensitive_dates() -> None:
    """As in the job, they have no range."""
    table = {"source": "readings.csv", "key": "id", "sensitive": ["day"]}
    assert ("seen",) == select_facts(_gate(table=table), _TYPES).dates


def test_a_version_that_is_gone_is_told(run: Result) -> None:
    """A vacuum may have removed it since the run."""
    with pytest.raises(UsageError, match="Can't read version 7"):
        read_rows(run.table_uri, 7)


def test_rows_whose_key_is_a_date_cant_come_twice() -> None:
    """Only a text or an integer can be changed to a new key."""
    with pytest.raises(ImpossibleFaultError, match="new keys"):
        write_statement(Change(copies="harness_added"), {"day": "date"}, ("day",), 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tree", "Unknown version 'tree'. Did you mean 'three'?"),
        ("one", "'one' is the first trained version"),
    ],
)
def test_a_version_that_cant_get_faults_is_told(name: str, message: str) -> None:
    """Faults need rows that a version adds to an earlier one."""
    with pytest.raises(UsageError) as caught:
        choose_version(_gate(), name)
    assert caught.value.message.startswith(message)


def test_an_unknown_fault_is_told(run: Result) -> None:
    """With a suggestion."""
    with pytest.raises(UsageError, match="Did you mean 'leak'"):
        choose_faults(_gate(), find_victim(_gate(), run.versions[-1]), ["leek"], None)


def test_a_search_narrows_down_the_dose() -> None:
    """The dose that it ends with is caught, and one that is not much smaller is missed."""
    search = DoseSearch(1.0)
    while (dose := search.next_dose) is not None:
        search.record(is_caught=dose >= 0.2)
    assert 0.2 <= search.caught < 0.4
    assert 0.1 < search.missed < 0.2


def test_nine_of_ten_repetitions_are_caught() -> None:
    """Eight are not enough."""
    row, missed = _row(caught_by={"a": "b"}), _row()
    assert combine_repetitions([row] * 9 + [missed]).is_caught
    assert not combine_repetitions([row] * 8 + [missed] * 2).is_caught


def test_bounds_that_no_fault_can_break_are_named() -> None:
    """A table for documents leaves out what could not be injected."""
    proof = _make_proof(_row(caught_by={"rows = 3": "4"}), _row(fault="cents", skipped="no number"))
    assert ("b",) == proof.idle
    assert "| `leak` | why | 100 % | `rows = 3` |  |" in format_markdown(proof)
    assert "cents" not in format_markdown(proof)


def _row(**changes: Any) -> FaultRow:
    return FaultRow(**{"fault": "leak", "meaning": "why", "dose": 1.0, **changes})


def _make_proof(*rows: FaultRow) -> Proof:
    return Proof(scenario="s", version="three", run_id="r", holding=("rows = 3", "b"), rows=rows)


def test_the_documents_list_every_fault() -> None:
    """In the order of the catalogue."""
    text = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    rows = text.partition("| fault | what is wrong | dose |\n|---|---|---|\n")[2].partition("\n\n")[0]
    assert list(FAULTS) == [row.split("`")[1] for row in rows.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dose", "3"), "--dose is 3: use a share of the added rows, above 0 and at most 1."),
        (("--seeds", "0"), "--seeds is 0: use 1 to 1000."),
        (("--json", "nowhere/proof.json"), "--json is nowhere/proof.json: use a file in an existing folder."),
        (("--fault", "leek"), "Unknown fault 'leek'. Did you mean 'leak'?"),
        (("--at", "january"), "'january' is the first trained version"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a run."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(app, ["prove", "three_versions", *arguments])
    assert isinstance(done.exception, UsageError), done.stderr
    assert done.exception.message.startswith(message)
    assert not (tmp_path / "home" / "runs").exists()


def test_a_table_of_the_stack_needs_spark() -> None:
    """Only its containers reach it, so the quick way is refused before anything runs."""
    account = SimpleNamespace(endpoint="azurite:10000")
    plan: Any = SimpleNamespace(
        table_uri="abfss://lake@a.dfs.core.windows.net/t",
        existing_table=None,
        environment=SimpleNamespace(accounts=(account,)),
    )
    with pytest.raises(UsageError, match="is elsewhere") as caught:
        require_table_here(plan)
    assert "on this machine" in (caught.value.remedy or "")
    account.endpoint = None
    require_table_here(plan)
