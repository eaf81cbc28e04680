import gzip
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import Problem
from harness.loading.sources import SourceFile, locate_sources
from harness.scenario.model import Scenario

HEADER = "id,amount,status\n"
ROWS = HEADER + "1,100,late\n2,200,paid\n"
ROWS_GZ = gzip.compress(ROWS.encode(), mtime=0)


def _scenario(path: str, **source: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "sources",
            "table": {"name": "loans", "source": {"path": path, **source}, "key": "id"},
            "pipeline": {
                "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
                "features": ["amount"],
            },
            "versions": [{"name": "first", "append": {}}],
        }
    )


def _problems(folder: Path, name: str, **source: Any) -> list[Problem]:
    return locate_sources(_scenario(name, **source), folder)[1]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("rows.csv", ROWS, {}),
        ("rows.csv", "\ufeff" + ROWS, {}),
        ("rows.csv", ROWS.upper(), {}),
        ("rows.csv", ROWS.replace("\n", "\r\n"), {}),
        ("rows.csv", ROWS.replace(",", ";"), {"sep": ";"}),
        ("rows.csv", ROWS.replace(",", ";"), {"delimiter": ";"}),
        ("rows.csv", ROWS.replace(",", ";"), {"SEP": ";"}),
        ("rows.csv", ROWS.replace(",", "||"), {"sep": "||"}),
        ("rows.csv", ROWS.replace(",", "\t"), {"sep": "\\t"}),
        ("rows.csv", "# of May\n\n" + ROWS, {"comment": "#"}),
        ("rows.tsv", ROWS.replace(",", "\t"), {}),
        ("rows.json", '{"id": 1, "amount": 2}\n\n{"status": "late"}\n', {}),
        ("rows.json", '[{"id": 1, "amount": 2, "status": "late"}]', {"multiline": "true"}),
    ],
)
def test_a_header_that_spark_would_take_is_taken(
    tmp_path: Path, name: str, content: str, options: dict[str, str]
) -> None:
    """Separators, letter case, line ends and byte order marks are read as Spark reads them."""
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert _problems(tmp_path, name, options=options) == []


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.tsv.gz"])
def test_a_compressed_file_is_read(tmp_path: Path, name: str) -> None:
    """A gzip file is told by the ending before .gz."""
    text = ROWS if name == "rows.csv.gz" else ROWS.replace(",", "\t")
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert _problems(tmp_path, name) == []


def test_another_encoding_is_read_as_the_option_says(tmp_path: Path) -> None:
    """Spark's option encoding holds for the header too."""
    (tmp_path / "rows.csv").write_bytes(ROWS.replace("id", "größe,id", 1).encode("latin-1"))
    assert _problems(tmp_path, "rows.csv", options={"encoding": "ISO-8859-1"}) == []


def test_a_header_may_be_missing_on_purpose(tmp_path: Path) -> None:
    """Without a header the columns have Spark's names for them."""
    (tmp_path / "rows.csv").write_text("1,2\n")
    expected = "rows.csv has no column 'id'."
    problems = _problems(tmp_path, "rows.csv", options={"header": "false"})
    assert expected == problems[0].message


def test_a_folder_of_parquet_files_is_read(tmp_path: Path) -> None:
    """A folder's format and columns are those of its first data file."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "_SUCCESS").touch()
    table = pa.table({"id": [1], "amount": [2], "status": ["late"]})
    pq.write_table(table, tmp_path / "rows" / "part-0.parquet")
    sources, problems = locate_sources(_scenario("rows"), tmp_path)
    assert ({"rows": SourceFile(str(tmp_path / "rows"), "parquet", {})}, []) == (sources, problems)


def test_a_delta_table_is_known_by_its_log(tmp_path: Path) -> None:
    """A folder with a _delta_log is a Delta table, and its schema is read from there."""
    from deltalake import write_deltalake

    write_deltalake(tmp_path / "rows", pa.table({"id": [1], "amount": [2]}))
    assert [each.message for each in _problems(tmp_path, "rows")] == ["rows has no column 'status'."]


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("abfss://lake@account/loans", "delta"),
        ("abfss://lake@account/loans.csv.gz", "csv"),
        ("/Volumes/main/default/raw/loans.parquet", "parquet"),
        ("dbfs:/loans", "delta"),
    ],
)
def test_a_source_elsewhere_is_left_to_the_job(uri: str, kind: str) -> None:
    """A URI is handed on as it is, by its ending, or as a Delta table."""
    sources, problems = locate_sources(_scenario(uri), Path("/nowhere"))
    assert ({uri: SourceFile(uri, kind, {}, is_local=False)}, []) == (sources, problems)


@pytest.mark.parametrize("scheme", ["file:", "file://"])
def test_a_local_uri_is_a_path(tmp_path: Path, scheme: str) -> None:
    """What lies on this machine is looked at however it is named."""
    (tmp_path / "rows.csv").write_text("id,status\n1,late\n")
    problems = _problems(Path("/nowhere"), f"{scheme}{tmp_path}/rows.csv")
    assert ["rows.csv has no column 'amount'."] == [each.message for each in problems]


def test_a_derived_column_counts_as_there(tmp_path: Path) -> None:
    """A feature may be a column that the pipeline derives."""
    (tmp_path / "rows.csv").write_text("id,loan,status\n1,2,late\n")
    scenario = _scenario("rows.csv")
    pipeline = scenario.pipeline.model_copy(update={"derive": {"amount": "loan * 2"}})
    assert locate_sources(scenario.model_copy(update={"pipeline": pipeline}), tmp_path)[1] == []


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        pytest.param("rows.csv", b"id,\xff\n", {}, id="not utf-8"),
        pytest.param("rows.csv", b'id,"' + b"a" * 200_000, {}, id="an endless field"),
        pytest.param("rows.csv", ROWS.encode(), {"encoding": "no-such-encoding"}, id="no such encoding"),
        pytest.param("rows.csv", ROWS.encode(), {"sep": ""}, id="no separator"),
        pytest.param("rows.csv.gz", b"this is not compressed", {}, id="not compressed"),
        pytest.param("rows.csv.gz", ROWS_GZ[:20], {}, id="cut off"),
        pytest.param("rows.csv.gz", ROWS_GZ[:10] + b"\xff" * 20, {}, id="damaged"),
        pytest.param("rows.json", b"[" * 100_000, {}, id="nested too deep"),
        pytest.param("rows.json", b"1\n", {}, id="a number"),
        pytest.param("rows.json", b'{"id": ' + b"9" * 5000 + b"}", {}, id="a huge number"),
        pytest.param("rows.json", b'[{"id": 1}]', {}, id="a list"),
        pytest.param("rows.parquet", b"", {}, id="empty"),
        pytest.param("rows.parquet", b"PAR1 and more PAR1", {}, id="no footer"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_as_such(
    tmp_path: Path, name: str, content: bytes, options: dict[str, str]
) -> None:
    """Whatever a reader raises becomes one problem that names the file."""
    (tmp_path / name).write_bytes(content)
    problems = _problems(tmp_path, name, options=options)
    assert [f"can't read {name}"] == [each.message.partition(" as ")[0] for each in problems]


@pytest.mark.parametrize("log", [None, "no JSON"], ids=["empty", "broken"])
def test_a_delta_log_that_cannot_be_read_is_told(tmp_path: Path, log: str | None) -> None:
    """An empty or a broken Delta log is one problem."""
    (tmp_path / "rows" / "_delta_log").mkdir(parents=True)
    if log is not None:
        (tmp_path / "rows" / "_delta_log" / f"{0:020}.json").write_text(log)
    assert [each.message.partition(" as ")[0] for each in _problems(tmp_path, "rows")] == ["can't read rows"]


def test_a_folder_without_data_is_told(tmp_path: Path) -> None:
    """A folder with nothing in it can't be read, whatever format is said."""
    (tmp_path / "rows").mkdir()
    expected = "can't read rows as csv: the folder has no data files."
    assert expected == _problems(tmp_path, "rows", format="csv")[0].message


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    """What is neither a file nor a folder is told, and not waited for."""
    os.mkfifo(tmp_path / "rows.csv")
    expected = f"the source {tmp_path / 'rows.csv'} is neither a file nor a folder."
    assert expected == _problems(tmp_path, "rows.csv")[0].message


@pytest.mark.parametrize(
    "name", ["a" * 5000 + ".csv", "loop.csv", "null\0.csv"], ids=["long", "loop", "null"]
)
def test_a_path_that_leads_nowhere_is_told(tmp_path: Path, name: str) -> None:
    """A path that the system refuses is a problem like any other."""
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    message = _problems(tmp_path, name)[0].message
    assert message.startswith(("can't access the source", f"the source {name} doesn't exist"))


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without read permission is one problem with the system's reason."""
    (tmp_path / "rows").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    expected = "can't access the source 'rows': Permission denied."
    assert expected == _problems(tmp_path, "rows")[0].message


def test_columns_in_the_names_of_folders_count(tmp_path: Path) -> None:
    """Spark takes the column status from a folder named status=late."""
    (tmp_path / "rows" / "status=late").mkdir(parents=True)
    pq.write_table(pa.table({"id": [1], "amount": [2]}), tmp_path / "rows" / "status=late" / "part-0.parquet")
    assert _problems(tmp_path, "rows", format="parquet") == []


def test_json_may_have_columns_that_were_not_looked_at(tmp_path: Path) -> None:
    """A column may come first in a later file: its lack is not told, and the job sees."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "0.json").write_text('{"id": 1, "amount": 2}\n')
    assert ["rows has no column 'status'."] == [each.message for each in _problems(tmp_path, "rows")]
    (tmp_path / "rows" / "1.json").write_text('{"id": 2, "status": "late"}\n')
    assert _problems(tmp_path, "rows") == []


def test_a_delta_table_of_tomorrow_is_left_to_the_job(tmp_path: Path) -> None:
    """What this library can't read Spark may."""
    log = tmp_path / "rows" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text(
        '{"protocol": {"minReaderVersion": 9, "minWriterVersion": 9}}\n'
        '{"metaData": {"id": "1", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [], '
        '"schemaString": "{\\"type\\": \\"struct\\", \\"fields\\": [{\\"name\\": \\"id\\", '
        '\\"type\\": \\"long\\", \\"nullable\\": true, \\"metadata\\": {}}]}", "configuration": {}}}\n'
    )
    assert _problems(tmp_path, "rows") == []
