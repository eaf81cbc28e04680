"""The sources of a scenario: their locations, formats and headers."""

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
def test_headers_are_read_as_spark_reads_them(
    tmp_path: Path, name: str, content: str, options: dict[str, str]
) -> None:
    """Separators, letter case, line ends and byte order marks are read as Spark reads them."""
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert _problems(tmp_path, name, options=options) == []


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.tsv.gz"])
def test_a_compressed_file_is_read(tmp_path: Path, name: str) -> None:
    """The format of a gzip file is recognized by the ending before .gz."""
    text = ROWS if name == "rows.csv.gz" else ROWS.replace(",", "\t")
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert _problems(tmp_path, name) == []


def test_the_encoding_option_applies_to_the_header(tmp_path: Path) -> None:
    """The header of a CSV file is read with the encoding of Spark's option."""
    rows = "größe," + ROWS.replace("\n", "\n5,", 2)
    (tmp_path / "rows.csv").write_bytes(rows.encode("latin-1"))
    assert _problems(tmp_path, "rows.csv", options={"encoding": "ISO-8859-1"}) == []


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("id,amount,status\n1,100,late\n2,200\n", {}, "line 3 has 2 fields, but line 1 has 3 fields."),
        (
            'id,amount,status\n1,100,"late\n2,200,paid\n',
            {},
            'line 2: a quote (") is opened and never closed.',
        ),
        (
            'id,amount,status\n1,100,"late" 5\n',
            {},
            'line 2: a field goes on after its closing quote; double the quotes inside it ("").',
        ),
        (
            'id,amount,status\n1,100, "late, paid"\n',
            {},
            "line 2 has 4 fields, but line 1 has 3 fields; a space before a quote is part of the field",
        ),
        (ROWS, {"separator": ";"}, "unknown option 'separator' of a CSV source; use one of sep, encoding, "),
        (ROWS, {"encoding": "latin-99"}, "unknown encoding 'latin-99'; use one such as utf-8, "),
        (ROWS, {"header": "yes"}, "the option 'header' must be true or false (it is 'yes')."),
        (ROWS, {"quote": "''"}, "the option 'quote' must be one character (it is \"''\")."),
        (ROWS, {"decimal": ",", "thousands": ","}, "the options 'decimal' and 'thousands' are the same."),
        (ROWS, {"sep": ""}, "the option 'sep' is empty."),
    ],
)
def test_a_file_that_is_not_csv_is_reported(
    tmp_path: Path, content: str, options: dict[str, str], message: str
) -> None:
    """A malformed row is reported with its line, and an unknown or invalid option with the valid ones."""
    (tmp_path / "rows.csv").write_text(content)
    [problem] = _problems(tmp_path, "rows.csv", options=options)
    assert problem.message.startswith(f"can't read rows.csv as csv: {message}")


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ('id,amount,status\n1,100,"two\nlines"\n2,200,"say ""hi"", then"\n', {}),
        ('id, amount, status\n1, 100, "late, paid"\n', {"trim": "true"}),
        ("id;amount;status\n1;1.000,5;late\n", {"sep": ";", "decimal": ",", "thousands": "."}),
        ("id,amount,status\n1,NA,late\n2,?,paid\n3,7,paid\n", {"nulls": "NA, ?"}),
        ("# by us\nid,amount,status\n# the first\n1,100,late\n", {"comment": "#"}),
    ],
    ids=["quotes", "spaces", "decimal comma", "null words", "comments"],
)
def test_a_dialect_of_csv_is_read(tmp_path: Path, content: str, options: dict[str, str]) -> None:
    """Quotes follow RFC 4180, and options describe everything else."""
    (tmp_path / "rows.csv").write_text(content)
    assert [] == _problems(tmp_path, "rows.csv", options=options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ("1", "NA", "NA"),
            (
                "'NA' in line 3, and 1 more; if it stands for a missing value, name it in the source's "
                "options, as in options: { nulls: 'NA' }."
            ),
        ),
        (
            ("low", "high", "low"),
            "'low' in line 2, and 2 more; list it under 'categorical', or derive a number from it.",
        ),
    ],
)
def test_a_feature_that_is_text_is_reported(tmp_path: Path, values: tuple[str, ...], message: str) -> None:
    """A numeric feature whose column is text is reported with the first such value and the remedy."""
    rows = "".join(f"{index},{value},late\n" for index, value in enumerate(values))
    (tmp_path / "rows.csv").write_text(HEADER + rows)
    [problem] = _problems(tmp_path, "rows.csv")
    assert f"feature 'amount' is text in rows.csv: {message}" == problem.message
    assert ("pipeline", "features", 0) == problem.location


def test_an_array_of_json_objects_is_read(tmp_path: Path) -> None:
    """A JSON file may be one array of objects in place of one object per line."""
    (tmp_path / "rows.json").write_text('\n[{"id": 1, "amount": 2},\n {"id": 2, "status": "paid"}]')
    assert [] == _problems(tmp_path, "rows.json")


def test_a_parquet_column_that_spark_can_not_read_is_reported(tmp_path: Path) -> None:
    """A column of a type that Spark doesn't have is reported by name."""
    columns = {"id": [1], "amount": [1.0], "status": ["late"], "at": pa.array([5], pa.time64("us"))}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    [problem] = _problems(tmp_path, "rows.parquet")
    assert "Spark can't read the type of 'at' (time64[us]); write such columns as text" in problem.message


def test_a_file_without_a_header_has_numbered_columns(tmp_path: Path) -> None:
    """The columns of a CSV file without a header have Spark's names, so a named column is missing."""
    (tmp_path / "rows.csv").write_text("1,2\n")
    expected = "rows.csv has no column 'id'."
    problems = _problems(tmp_path, "rows.csv", options={"header": "false"})
    assert expected == problems[0].message


def test_a_folder_of_parquet_files_is_read(tmp_path: Path) -> None:
    """The format and the columns of a folder are those of its first data file."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "_SUCCESS").touch()
    table = pa.table({"id": [1], "amount": [2], "status": ["late"]})
    pq.write_table(table, tmp_path / "rows" / "part-0.parquet")
    sources, problems = locate_sources(_scenario("rows"), tmp_path)
    assert ({"rows": SourceFile(str(tmp_path / "rows"), "parquet", {})}, []) == (sources, problems)


def test_a_delta_table_is_recognized_by_its_log(tmp_path: Path) -> None:
    """A folder with a _delta_log is a Delta table, whose schema is in that log."""
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
def test_a_remote_source_is_left_to_the_job(uri: str, kind: str) -> None:
    """A remote URI stays unchanged, and its format follows from its ending (default: delta)."""
    sources, problems = locate_sources(_scenario(uri), Path("/nowhere"))
    assert ({uri: SourceFile(uri, kind, {}, is_local=False)}, []) == (sources, problems)


@pytest.mark.parametrize("scheme", ["file:", "file://"])
def test_a_local_uri_is_a_path(tmp_path: Path, scheme: str) -> None:
    """The columns of a local file are checked even if the scenario names the file by a URI."""
    (tmp_path / "rows.csv").write_text("id,status\n1,late\n")
    problems = _problems(Path("/nowhere"), f"{scheme}{tmp_path}/rows.csv")
    assert ["rows.csv has no column 'amount'."] == [each.message for each in problems]


def test_a_derived_column_is_not_missing(tmp_path: Path) -> None:
    """A feature can be a column that the pipeline derives."""
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
        pytest.param("rows.json", b"[1]", {}, id="a list of numbers"),
        pytest.param("rows.parquet", b"", {}, id="empty"),
        pytest.param("rows.parquet", b"PAR1 and more PAR1", {}, id="no footer"),
    ],
)
def test_an_unreadable_file_is_reported(
    tmp_path: Path, name: str, content: bytes, options: dict[str, str]
) -> None:
    """Whatever error a reader raises, it becomes one problem that names the file."""
    (tmp_path / name).write_bytes(content)
    problems = _problems(tmp_path, name, options=options)
    assert [f"can't read {name}"] == [each.message.partition(" as ")[0] for each in problems]


@pytest.mark.parametrize("log", [None, "no JSON"], ids=["empty", "broken"])
def test_an_unreadable_delta_log_is_reported(tmp_path: Path, log: str | None) -> None:
    """An empty or broken Delta log is reported as one problem."""
    (tmp_path / "rows" / "_delta_log").mkdir(parents=True)
    if log is not None:
        (tmp_path / "rows" / "_delta_log" / f"{0:020}.json").write_text(log)
    assert [each.message.partition(" as ")[0] for each in _problems(tmp_path, "rows")] == ["can't read rows"]


def test_a_folder_without_data_files_is_reported(tmp_path: Path) -> None:
    """An empty folder is reported as unreadable, whatever its format option is."""
    (tmp_path / "rows").mkdir()
    expected = "can't read rows as csv: the folder has no data files."
    assert expected == _problems(tmp_path, "rows", format="csv")[0].message


def test_a_pipe_is_refused_as_a_source(tmp_path: Path) -> None:
    """A source that is neither a file nor a folder is reported without waiting for it."""
    os.mkfifo(tmp_path / "rows.csv")
    expected = f"the source {tmp_path / 'rows.csv'} is neither a file nor a folder."
    assert expected == _problems(tmp_path, "rows.csv")[0].message


@pytest.mark.parametrize(
    "name", ["a" * 5000 + ".csv", "loop.csv", "null\0.csv"], ids=["long", "loop", "null"]
)
def test_an_invalid_path_is_reported(tmp_path: Path, name: str) -> None:
    """A path that the system refuses is one problem, not a traceback."""
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    message = _problems(tmp_path, name)[0].message
    assert message.startswith(("can't access the source", f"the source {name} doesn't exist"))


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without read permission is reported with the system's reason."""
    (tmp_path / "rows").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    expected = "can't access the source 'rows': Permission denied."
    assert expected == _problems(tmp_path, "rows")[0].message


def test_partition_columns_are_read_from_folder_names(tmp_path: Path) -> None:
    """A folder named status=late adds the column status, as in Spark."""
    (tmp_path / "rows" / "status=late").mkdir(parents=True)
    pq.write_table(pa.table({"id": [1], "amount": [2]}), tmp_path / "rows" / "status=late" / "part-0.parquet")
    assert _problems(tmp_path, "rows", format="parquet") == []


def test_a_column_may_be_in_a_json_file_that_was_not_read(tmp_path: Path) -> None:
    """A column missing from the first of several JSON files is not reported, as a later file may have it."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "0.json").write_text('{"id": 1, "amount": 2}\n')
    assert ["rows has no column 'status'."] == [each.message for each in _problems(tmp_path, "rows")]
    (tmp_path / "rows" / "1.json").write_text('{"id": 2, "status": "late"}\n')
    assert _problems(tmp_path, "rows") == []


def test_a_delta_table_with_unsupported_features_is_left_to_the_job(tmp_path: Path) -> None:
    """A Delta table that only Spark can read is not reported as unreadable."""
    log = tmp_path / "rows" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text(
        '{"protocol": {"minReaderVersion": 9, "minWriterVersion": 9}}\n'
        '{"metaData": {"id": "1", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [], '
        '"schemaString": "{\\"type\\": \\"struct\\", \\"fields\\": [{\\"name\\": \\"id\\", '
        '\\"type\\": \\"long\\", \\"nullable\\": true, \\"metadata\\": {}}]}", "configuration": {}}}\n'
    )
    assert _problems(tmp_path, "rows") == []


def test_files_of_a_folder_must_have_the_same_columns(tmp_path: Path) -> None:
    """Spark takes the names from one file, so values would get into other columns."""
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.csv").write_text(ROWS)
    (folder / "b.csv").write_text("id,status,amount\n3,late,5\n")
    [problem] = _problems(tmp_path, "rows")
    assert (
        "can't read rows as csv: its files have different columns: a.csv has id, amount, status; "
        "b.csv has id, status, amount." == problem.message
    )


def test_a_value_in_a_folder_is_located_by_its_file(tmp_path: Path) -> None:
    """Text in a numeric feature is reported with its line and its file."""
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.csv").write_text(ROWS)
    (folder / "b.csv").write_text(HEADER + "3,NA,paid\n")
    [problem] = _problems(tmp_path, "rows")
    assert problem.message.startswith(
        "feature 'amount' is text in rows: 'NA' in line 2 of b.csv; if it stands"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("b.csv.zst", "Spark can't decompress .zst files; decompress b.csv.zst, or use .gz"),
        ("B.CSV.GZ", "Spark can't read a file called B.CSV.GZ in a folder; rename it"),
        ("12:30.csv", "Spark can't read a file called 12:30.csv in a folder; rename it"),
        ("_b.csv", "Spark skips files that begin with an underscore; rename _b.csv"),
    ],
)
def test_a_folder_with_a_file_that_would_be_lost_is_reported(tmp_path: Path, name: str, reason: str) -> None:
    """No file of a folder is skipped or misread in silence."""
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.csv").write_text(ROWS)
    (folder / name).write_text(ROWS)
    [problem] = _problems(tmp_path, "rows")
    assert f"the folder rows can't be read: {reason}." == problem.message
