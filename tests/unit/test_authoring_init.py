"""The first scenario from a data file: its key, label, features and versions."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.authoring.first_scenario import write_scenario
from harness.errors import UsageError
from harness.loading.loader import load_scenario
from harness.scenario.model import Scenario
from tests.unit.wine import ROWS, write_wines


def _write(
    file: Path, label: str = "quality", positive: tuple[str, ...] = (), key: str | None = None
) -> Path:
    return write_scenario("wine", file, label, positive, key, file.parent / "scenarios")


def _scenario(file: Path, **arguments: str) -> Scenario:
    return load_scenario(str(_write(file, **arguments))).scenario  # type: ignore[arg-type] # texts alone


def test_the_written_file_loads(tmp_path: Path) -> None:
    """Key, classes and features are detected; leaks and columns without information are excluded."""
    scenario = _scenario(write_wines(tmp_path))
    pipeline = scenario.pipeline
    expected = (("bottle_id",), ("good",), ("poor",), ("acidity", "alcohol"), ("color",))
    found = (
        scenario.table.key,
        pipeline.label.positive,
        pipeline.label.negative,
        pipeline.features,
        pipeline.categorical,
    )
    assert expected == found


def test_an_excluded_column_has_a_reason(tmp_path: Path) -> None:
    """Each excluded column is listed in a comment with the reason."""
    text = _write(write_wines(tmp_path)).read_text()
    assert "#   tasted: a date;" in text
    assert "#   maker: text with 97 values" in text
    assert "#   country: the same in every row" in text
    assert "#   stars: predicts the label perfectly" in text


@pytest.mark.parametrize(("dated", "column"), [(True, "tasted"), (False, "crc32")])
def test_versions_are_split_by_a_date_or_a_hash(tmp_path: Path, dated: bool, column: str) -> None:
    """A table is split into three versions by a date column, or by a hash of the key if it has none."""
    scenario = _scenario(write_wines(tmp_path, dated=dated))
    assert 3 == len(scenario.versions)
    assert all(version.append and column in (version.append.where or "") for version in scenario.versions)
    rows = [bounds[0].equals or 0 for version in scenario.versions if (bounds := version.expect.rows)]
    assert (sorted(rows), ROWS) == (rows, rows[-1])


def test_rows_without_a_key_get_one_from_their_content(tmp_path: Path) -> None:
    """The key is named so that it is no column of the file; the file's types are stated."""
    file = tmp_path / "wine.csv"
    lines = [f"{index % 9 / 4},{index % 5},{index % 2}" for index in range(300)]
    file.write_text("\n".join(["alcohol,Row_ID,quality", *lines]))
    table = _scenario(file).table
    assert (("row_id_2",), "content") == (table.key, table.key_from)
    assert {"alcohol": "double", "Row_ID": "int", "quality": "int"} == table.columns


def test_a_small_table_is_one_version_without_a_metric(tmp_path: Path) -> None:
    """If a class has too few rows, the scenario has one version and no bound on a metric."""
    file = tmp_path / "few.csv"
    file.write_text("id,x,y\n" + "".join(f"{row},{row % 7},{row % 2}\n" for row in range(40)))
    scenario = _scenario(file, label="y")
    assert (1, {}) == (len(scenario.versions), scenario.every.metrics)


@pytest.mark.parametrize(
    ("values", "positive"), [((0, 1), (1,)), (("yes", "no"), ("yes",)), ((True, False), (True,))]
)
def test_usual_classes_are_detected(
    tmp_path: Path, values: tuple[object, object], positive: tuple[object]
) -> None:
    """The positive class of 0/1, yes/no and true/false labels is detected."""
    file = tmp_path / "rows.jsonl"
    rows = [{"id": row, "x": row % 7, "y": values[row % 2]} for row in range(100)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert positive == _scenario(file, label="y").pipeline.label.positive


def test_parquet_and_odd_names_are_supported(tmp_path: Path) -> None:
    """Names with spaces, and names with another meaning in YAML, are quoted."""
    file = tmp_path / "odd.parquet"
    rows = range(200)
    frame = pd.DataFrame({"row id": rows, "on": [r % 7 for r in rows], "a: b": [r % 5 for r in rows]})
    frame.assign(y=[r % 2 for r in rows]).to_parquet(file)
    scenario = _scenario(file, label="y")
    assert (("row id",), ("on", "a: b")) == (scenario.table.key, scenario.pipeline.features)


def test_a_separator_is_recognized(tmp_path: Path) -> None:
    """A CSV file with semicolons is read, and the separator is passed to Spark."""
    file = write_wines(tmp_path)
    file.write_text(file.read_text().replace(",", ";"))
    source = _scenario(file).table.source
    assert source is not None
    assert {"sep": ";"} == source.options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "qualiti"}, "has no column 'qualiti' for the label. Did you mean 'quality'?"),
        ({"label": "country"}, "The label 'country' has only one class: there."),
        ({"label": "maker"}, "The label 'maker' has 97 values: "),
        ({"positive": ("goood",)}, "has no such value. Did you mean 'good'?\n  Its values: "),
        ({"positive": ("good", "poor")}, "All values of the label are positive"),
        ({"key": "bottle"}, "has no column 'bottle' for the key."),
        ({"key": "color"}, "can't be the key: 598 rows with the value of an earlier row."),
    ],
)
def test_an_invalid_argument_is_reported(tmp_path: Path, arguments: dict[str, str], message: str) -> None:
    """An invalid argument leads to one message with a suggestion, and no file is written."""
    file = write_wines(tmp_path)
    with pytest.raises(UsageError) as caught:
        _write(file, **arguments)  # type: ignore[arg-type] # as the cases have them
    assert message in str(caught.value)
    assert not (tmp_path / "scenarios").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wine.csv", None, "wine.csv doesn't exist."),
        ("wine.xls", "x", "Unknown data format: "),
        ("wine.parquet", "no parquet", "Can't read"),
        ("wine.csv", "", "has no rows"),
        ("wine.csv", "a,quality\n", "has no rows"),
        ("wine.jsonl", '{"a": [1], "quality": "x"}\n{"a": [1], "quality": "y"}\n', "can be the key"),
        ("wine.csv", "id,quality\n1,x\n2,y\n", "can be a feature"),
    ],
)
def test_unsuitable_data_is_reported(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    """A missing, unreadable, empty or unsuitable data file leads to one message."""
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=message):
        _write(file)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An existing scenario file is not overwritten."""
    file = write_wines(tmp_path)
    written = _write(file)
    written.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        _write(file)
    assert "mine" == written.read_text()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("three versions", "use letters, digits and underscores, starting with a letter."),
        ("1st", "use letters, digits and underscores, starting with a letter."),
        ("", "use letters, digits and underscores, starting with a letter."),
        ("a" * 65, "use at most 64 characters."),
    ],
)
def test_an_invalid_name_is_reported(tmp_path: Path, name: str, advice: str) -> None:
    """A name that a scenario can't have is refused before the data is read."""
    with pytest.raises(UsageError) as caught:
        write_scenario(name, tmp_path / "absent.csv", "quality", (), None, tmp_path)
    assert f"Invalid name '{name}': {advice}" == caught.value.message


def _write_lines(folder: Path, header: str, lines: list[str], name: str = "rows.csv") -> Path:
    file = folder / name
    file.write_text("\n".join([header, *lines]) + "\n")
    return file


def test_row_numbers_and_repeated_ids_are_no_features(tmp_path: Path) -> None:
    """A column without a name numbers the rows, and an id may occur in several rows."""
    lines = [f"{row},{1000 - row},p{row // 2},{row * 7 % 100},{row % 2}" for row in range(400)]
    text = _write(_write_lines(tmp_path, ",id,patient_id,age,y", lines), label="y").read_text()
    assert "key: id" in text
    assert '#   "Unnamed: 0": identifies rows' in text
    assert "#   patient_id: identifies rows, or groups of few rows" in text


def test_a_measurement_is_not_taken_for_the_key(tmp_path: Path) -> None:
    """Numbers that happen to be distinct are the last choice: names or row numbers come first."""
    lines = [f"{row * 7919 % 100_003},{row},n{row},{row % 2}" for row in range(400)]
    file = _write_lines(tmp_path, "population,number,name,y", lines)
    assert ("number",) == _scenario(file, label="y").table.key


def test_an_unsuitable_date_is_named(tmp_path: Path) -> None:
    """If the parts by date would lack a class, the reason says so."""
    lines = [f"{row},2024-{1 + row // 34:02d}-01,{row % 9},{int(row > 300)}" for row in range(400)]
    text = _write(_write_lines(tmp_path, "id,opened,x,y", lines), label="y").read_text()
    assert "as the parts by 'opened' would have too few rows of a class" in text


def test_all_columns_with_null_words_are_named(tmp_path: Path) -> None:
    """The comment names each column in which a word stands for a missing value, up to five."""
    lines = [f"{row},{'NA' if row % 9 else row},{'NA' if row % 7 else row},{row % 2}" for row in range(400)]
    text = _write(_write_lines(tmp_path, "id,age,size,y", lines), label="y").read_text()
    assert 'nulls: "NA" # these words stand for missing values in age, size' in text


def test_spaces_separate_fields_if_nothing_else_does(tmp_path: Path) -> None:
    """A file whose fields are separated by single spaces is read."""
    lines = [f"{row} {row * 7 % 50} {row % 2}" for row in range(400)]
    scenario = _scenario(_write_lines(tmp_path, "id age y", lines), label="y")
    assert (("id",), ("age",)) == (scenario.table.key, scenario.pipeline.features)


def test_equally_frequent_classes_have_a_reason(tmp_path: Path) -> None:
    """Neither of two equally frequent classes is called the rarer one."""
    lines = [f"{row},{row * 7 % 50},{'ab'[row % 2]}" for row in range(400)]
    text = _write(_write_lines(tmp_path, "id,age,y", lines), label="y").read_text()
    assert "# one of two equally frequent classes; swap the lists" in text
