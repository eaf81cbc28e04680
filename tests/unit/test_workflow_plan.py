"""A scenario resolved for a target: where its rows and its table are for the job there."""

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
    """Two files and a table beside the scenario."""
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


def test_every_source_is_read_where_it_is(folder: Path) -> None:
    """On this machine; each by its path in the scenario, with its own reading."""
    sources = _plan(folder, "source: rows.csv").sources
    assert {
        "rows.csv": (f"file://{folder}/rows.csv", {}, sha256_of(folder / "rows.csv")),
        "more.tsv": (f"file://{folder}/more.tsv", {"sep": "\t"}, sha256_of(folder / "more.tsv")),
    } == {name: (source.uri, source.options, source.sha256) for name, source in sources.items()}


@pytest.mark.parametrize("target", ["compose", "databricks"])
def test_every_source_is_copied(folder: Path, target: str) -> None:
    """Each under its content's name, beside others of this name."""
    sources = _plan(folder, "source: rows.csv", target).sources
    for name, source in sources.items():
        assert source.uri.endswith(f"/sources/{source.sha256}/{name}")
        assert str(folder / name) == source.copied_from


@pytest.mark.parametrize("target", ["embedded", "compose", "databricks"])
def test_what_lies_in_a_lake_is_read_there(folder: Path, target: str) -> None:
    """Sources and tables alike; nothing is copied."""
    lake = f"{LAKE}/loans"
    plan = _plan(folder, f"source: {lake}", target)
    assert (lake, None) == (plan.sources[lake].uri, plan.sources[lake].copied_from)
    there = _plan(folder, f"uri: {lake}, versions: [latest]", target, versions="")
    assert (lake, lake, {}) == (there.existing_table, there.table_uri, there.sources)


def test_a_table_beside_the_scenario_is_named_in_full(folder: Path) -> None:
    """Whatever file system is the job's default."""
    plan = _plan(folder, "uri: lake, versions: [0]", versions="")
    assert f"file://{folder}/lake" == plan.existing_table


@pytest.mark.parametrize("target", ["compose", "databricks"])
def test_a_table_of_this_machine_is_out_of_reach_elsewhere(folder: Path, target: str) -> None:
    """It is not copied: its versions are in its log."""
    with pytest.raises(PrerequisiteError, match=f"can't reach the table {folder}/lake") as caught:
        _plan(folder, "uri: lake, versions: [0]", target, versions="")
    assert "--target embedded" in (caught.value.remedy or "")


@pytest.mark.parametrize("table", ["source: %s.csv", "uri: %s, versions: [0]"])
@pytest.mark.parametrize("target", ["embedded", "compose"])
def test_a_volume_is_in_reach_of_the_workspace_alone(folder: Path, target: str, table: str) -> None:
    """Whoever names one is told where it can be read."""
    versions = "versions: [{ name: first, append: }]\n" if "source" in table else ""
    place = f"{VOLUME}/raw/loans"
    with pytest.raises(PrerequisiteError, match="it is in a volume of a workspace"):
        _plan(folder, table % place, target, versions)
    plan = _plan(folder, table % place, "databricks", versions)
    assert place in [plan.existing_table, *(each.uri.removesuffix(".csv") for each in plan.sources.values())]


@pytest.mark.parametrize("table", [f"source: {ELSEWHERE}", f"uri: {ELSEWHERE}, versions: [0]"])
def test_the_stack_has_no_accounts_but_its_own(folder: Path, table: str) -> None:
    """A lake's URI leads to the stack's own storage there."""
    versions = "versions: [{ name: first, append: }]\n" if "source" in table else ""
    with pytest.raises(PrerequisiteError, match="the stack has no account 'dls'"):
        _plan(folder, table, "compose", versions)


def test_a_table_of_the_command_line_is_in_the_plan(folder: Path) -> None:
    """With its versions; the sources that are not read are left out."""
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
def test_what_is_read_and_made_decides_how_spark_is_set(folder: Path, table: str, expected: bool) -> None:
    """Data of unknown size is not small, and made rows have a size, too."""
    label = "status, positive: [late], negative: [paid] }\n  features: [amount]"
    made = "loan_status, positive: [Charged Off], negative: [Fully Paid] }\n  features: [dti]"
    file = folder / "loans.yaml"
    text = HEAD % table + "versions: [{ name: first, append: }]\n"
    file.write_text(text.replace(label, made) if "generate" in table else text)
    settings = _settings(folder)
    assert expected == _is_small(resolve_plan(load_scenario(str(file)), settings, Embedded(settings)))


def test_rows_that_several_steps_make_alike_count_once(folder: Path) -> None:
    """400,000 rows are some 40 MB; twice that would not be small."""
    made = "{ generate: { kind: loans, rows: 400000 } }"
    file = folder / "loans.yaml"
    label = "{ column: loan_status, positive: [Charged Off], negative: [Fully Paid] }"
    file.write_text(
        f"name: made\ntable: {{ name: loans, key: id, source: {made} }}\n"
        f"pipeline: {{ label: {label}, features: [dti] }}\n"
        f"versions:\n  - name: a\n    append:\n  - name: b\n    merge: {{ from: {made} }}\n"
    )
    settings = _settings(folder)
    assert _is_small(resolve_plan(load_scenario(str(file)), settings, Embedded(settings)))


@pytest.mark.parametrize(("uri", "expected"), [("lake", True), (ELSEWHERE, False)])
def test_a_table_s_files_are_its_size(folder: Path, uri: str, expected: bool) -> None:
    """Of one elsewhere it is not known."""
    assert expected == _is_small(_plan(folder, f"uri: {uri}, versions: [0]", versions=""))


def test_a_run_on_a_table_that_is_there_removes_nothing_of_it(folder: Path) -> None:
    """What a run leaves in the lake goes; the table was there before."""
    plan = _plan(folder, "uri: lake, versions: [0]", versions="")
    (folder / "home" / "lake" / "runs" / plan.run_id).mkdir(parents=True)
    Embedded(_settings(folder)).remove_run(plan.run_id)
    assert [False, True] == [
        path.exists() for path in (folder / "home/lake/runs" / plan.run_id, folder / "lake/_delta_log")
    ]
