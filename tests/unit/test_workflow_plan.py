"""The plan of a scenario for a target: the locations of its rows and of its table."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from harness.errors import PrerequisiteError
from harness.files import sha256_of
from harness.loading.loader import load_scenario
from harness.loading.table_override import parse_table_override
from harness.plan import Plan
from harness.resolve import resolve_plan
from harness.settings import Settings, read_settings
from harness.targets.base import Target
from harness.targets.compose.compose_target import LAKE, Compose
from harness.targets.databricks.databricks_target import Databricks
from harness.targets.embedded.embedded_target import Embedded

VOLUME = "/Volumes/main/default/harness"
ELSEWHERE = "abfss://lake@dls.dfs.core.windows.net/loans"
HEAD = """\
name: loans
table: { name: loans, key: id, %s }
pipeline:
  label: { column: status, positive: [late], negative: [paid] }
  features: [amount]
"""
VERSIONS = """\
versions:
  - name: first
    append:
  - name: second
    append: { from: { path: more.tsv } }
"""
ROWS = {"id": [1, 2], "amount": [100, 200], "status": ["late", "paid"]}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return a folder with two source files and a table for the scenario."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "rows.csv").write_text("id,amount,status\n1,100,late\n")
    (folder / "more.tsv").write_text("id\tamount\tstatus\n2\t200\tpaid\n")
    write_deltalake(folder / "lake", pa.table(ROWS))
    return folder


def _settings(folder: Path) -> Settings:
    environ = {"HARNESS_HOME": str(folder / "home"), "HARNESS_TARGETS_DATABRICKS_FILES": VOLUME}
    return read_settings(folder=folder, environ=environ)


def _target(name: str, settings: Settings) -> Target:
    if name == "databricks":
        target = Databricks(settings, print)
        vars(target)["me"] = SimpleNamespace(user_name="jane@example.com")
        return target
    return Embedded(settings) if name == "embedded" else Compose(settings)


def _plan(folder: Path, table: str, target: str = "embedded", versions: str = VERSIONS) -> Plan:
    file = folder / "loans.yaml"
    file.write_text(HEAD % table + versions)
    settings = _settings(folder)
    return resolve_plan(load_scenario(str(file)), settings, _target(target, settings))


def test_the_embedded_target_reads_sources_in_place(folder: Path) -> None:
    """The embedded target's plan has each local source with its path, options and digest."""
    sources = _plan(folder, "source: rows.csv").sources
    assert {
        "rows.csv": (f"file://{folder}/rows.csv", {}, sha256_of(folder / "rows.csv")),
        "more.tsv": (f"file://{folder}/more.tsv", {"sep": "\t"}, sha256_of(folder / "more.tsv")),
    } == {name: (source.uri, source.options, source.sha256) for name, source in sources.items()}


@pytest.mark.parametrize("target", ["compose", "databricks"])
def test_every_local_source_is_copied_to_a_remote_target(folder: Path, target: str) -> None:
    """Other targets copy each local source to a folder named after its digest."""
    sources = _plan(folder, "source: rows.csv", target).sources
    for name, source in sources.items():
        assert source.uri.endswith(f"/sources/{source.sha256}/{name}")
        assert str(folder / name) == source.copied_from


@pytest.mark.parametrize("target", ["embedded", "compose", "databricks"])
def test_sources_and_tables_in_a_lake_are_not_copied(folder: Path, target: str) -> None:
    """A source or table with a URI of the lake is read there on every target."""
    lake = f"{LAKE}/loans"
    plan = _plan(folder, f"source: {lake}", target)
    assert (lake, None) == (plan.sources[lake].uri, plan.sources[lake].copied_from)
    existing = _plan(folder, f"uri: {lake}, versions: [latest]", target, versions="")
    assert (lake, lake, {}) == (existing.existing_table, existing.table_uri, existing.sources)


def test_the_path_of_a_local_table_becomes_a_uri(folder: Path) -> None:
    """A local table has a file URI in the plan, whatever the job's default file system is."""
    plan = _plan(folder, "uri: lake, versions: [0]", versions="")
    assert f"file://{folder}/lake" == plan.existing_table


@pytest.mark.parametrize("target", ["compose", "databricks"])
def test_a_local_table_needs_the_embedded_target(folder: Path, target: str) -> None:
    """Other targets refuse a local table, as it is not copied, and suggest the embedded target."""
    with pytest.raises(PrerequisiteError, match=f"can't reach the table {folder}/lake") as caught:
        _plan(folder, "uri: lake, versions: [0]", target, versions="")
    assert "--target embedded" in (caught.value.remedy or "")


@pytest.mark.parametrize("table", ["source: %s.csv", "uri: %s, versions: [0]"])
@pytest.mark.parametrize("target", ["embedded", "compose"])
def test_only_databricks_can_read_a_volume(folder: Path, target: str, table: str) -> None:
    """A source or table in a volume is refused on every target except Databricks."""
    versions = "versions: [{ name: first, append: }]\n" if "source" in table else ""
    location = f"{VOLUME}/raw/loans"
    with pytest.raises(PrerequisiteError, match="it is in a volume of a workspace"):
        _plan(folder, table % location, target, versions)
    plan = _plan(folder, table % location, "databricks", versions)
    assert location in [
        plan.existing_table,
        *(each.uri.removesuffix(".csv") for each in plan.sources.values()),
    ]


@pytest.mark.parametrize("table", [f"source: {ELSEWHERE}", f"uri: {ELSEWHERE}, versions: [0]"])
def test_the_stack_refuses_other_storage_accounts(folder: Path, table: str) -> None:
    """The Compose target refuses a URI with a storage account that is not the stack's."""
    versions = "versions: [{ name: first, append: }]\n" if "source" in table else ""
    with pytest.raises(PrerequisiteError, match="the stack has no account 'dls'"):
        _plan(folder, table, "compose", versions)


def test_a_table_of_the_command_line_is_in_the_plan(folder: Path) -> None:
    """The plan has the table of ``--table`` with its versions, and no sources that are not read."""
    file = folder / "loans.yaml"
    file.write_text(HEAD % "source: rows.csv" + VERSIONS)
    settings = _settings(folder)
    loaded = load_scenario(str(file), parse_table_override(str(folder / "lake"), "0,latest"))
    plan = Plan.model_validate_json(
        resolve_plan(loaded, settings, Embedded(settings)).model_dump_json(by_alias=True)
    )
    assert (f"file://{folder}/lake", {}) == (plan.existing_table, plan.sources)
    assert {"table.uri": f"{folder}/lake", "table.versions": "v0, latest"} == plan.parameters
    assert [0, "latest"] == [each.read.version for each in plan.scenario.versions if each.read]


def _is_small(plan: Plan) -> bool:
    return "spark.sql.shuffle.partitions" in plan.environment.spark


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("source: rows.csv", True),
        ("source: { generate: { kind: loans, rows: 1000 } }", True),
        ("source: { generate: { kind: loans, rows: 10000000 } }", False),
        (f"source: {ELSEWHERE}", False),
    ],
)
def test_the_size_of_the_data_determines_the_spark_settings(folder: Path, table: str, expected: bool) -> None:
    """Little data gets fewer shuffle partitions; large or unknown sizes, also of generated rows, do not."""
    label = "status, positive: [late], negative: [paid] }\n  features: [amount]"
    generated = "loan_status, positive: [Charged Off], negative: [Fully Paid] }\n  features: [dti]"
    file = folder / "loans.yaml"
    text = HEAD % table + "versions: [{ name: first, append: }]\n"
    file.write_text(text.replace(label, generated) if "generate" in table else text)
    settings = _settings(folder)
    assert expected == _is_small(resolve_plan(load_scenario(str(file)), settings, Embedded(settings)))


def test_rows_that_several_steps_generate_count_once(folder: Path) -> None:
    """Rows that two steps generate alike count once: 400,000 are small, twice as many would not be."""
    generated = "{ generate: { kind: loans, rows: 400000 } }"
    file = folder / "loans.yaml"
    label = "{ column: loan_status, positive: [Charged Off], negative: [Fully Paid] }"
    file.write_text(
        f"name: generated\ntable: {{ name: loans, key: id, source: {generated} }}\n"
        f"pipeline: {{ label: {label}, features: [dti] }}\n"
        f"versions:\n  - name: a\n    append:\n  - name: b\n    merge: {{ from: {generated} }}\n"
    )
    settings = _settings(folder)
    assert _is_small(resolve_plan(load_scenario(str(file)), settings, Embedded(settings)))


@pytest.mark.parametrize(("uri", "expected"), [("lake", True), (ELSEWHERE, False)])
def test_the_size_of_a_local_table_is_that_of_its_files(folder: Path, uri: str, expected: bool) -> None:
    """The size of a local table is known from its files, that of a remote one is not."""
    assert expected == _is_small(_plan(folder, f"uri: {uri}, versions: [0]", versions=""))


def test_an_existing_table_is_not_removed_with_a_run(folder: Path) -> None:
    """Removing a run removes its folder in the lake, and not the existing table that it read."""
    plan = _plan(folder, "uri: lake, versions: [0]", versions="")
    (folder / "home" / "lake" / "runs" / plan.run_id).mkdir(parents=True)
    Embedded(_settings(folder)).remove_run(plan.run_id)
    assert [False, True] == [
        path.exists() for path in (folder / "home/lake/runs" / plan.run_id, folder / "lake/_delta_log")
    ]
