"""The data file of a first scenario, read completely, with the values that the job reads."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.authoring.csv_detection import detect_dialect
from harness.errors import UsageError, did_you_mean
from harness.reading.csv_columns import CsvColumns, combine_forms
from harness.reading.csv_dialect import parse_dialect
from harness.reading.data_folders import (
    explain_unreadable_file,
    find_source_format,
    list_data_files,
    parse_partitions,
)
from harness.reading.json_rows import choose_json_type, convert_json, read_json_rows
from harness.reading.parquet_columns import require_readable
from harness.reading.row_content import number_rows
from harness.reading.value_typing import TypedValue, choose_type, convert
from harness.storage.delta_tables import read_all_rows

if TYPE_CHECKING:
    import pandas as pd

_PANDAS_TYPES = {"int": "Int64", "bigint": "Int64", "double": "float64", "boolean": "boolean"}
"""Types of columns to those of pandas, for columns with missing values, too."""
_ARROW_FLOATS = {"float": "float", "double": "double"}
"""Arrow's types of numbers with a fraction to Spark's."""


CopyTable = Callable[[Path, Path], None]
"""Copies a Delta table to a new folder of Parquet files."""


@dataclass(frozen=True)
class Data:
    """The rows of a file, with the same values that Spark reads."""

    path: Path
    frame: pd.DataFrame
    types: Mapping[str, str | None]
    """Columns to their types, as Spark writes them; ``None`` for types that only the job reads."""
    read_values: Callable[[], Mapping[str, Sequence[Any]]]
    """Returns the values of each column as the job reads them."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the source."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why each option is needed."""
    csv: CsvColumns | None = None
    """The columns as text; ``None`` if the file is not CSV."""
    states_types: bool = False
    """Whether the file states the types of its columns, as Parquet does."""

    def with_key(self, key: str) -> Data:
        """Return the rows with the values that the key has in the table: text unless it is a whole number."""
        if self.csv is None:
            return self
        typed = _make_csv_data(self.path, self.csv, [key])
        return replace(typed, options=self.options, reasons=self.reasons)

    def with_content_key(self, key: str) -> Data | None:
        """Return the rows with a key from their content; ``None`` if only the job can compute it."""
        values = number_rows(self.read_values(), self.types)
        return None if values is None else replace(self, frame=self.frame.assign(**{key: values}))

    def column(self, name: str, what: str) -> pd.Series:
        """Return a column by name.

        Raises:
            UsageError: There is no such column.
        """
        if name not in self.frame.columns:
            columns = ", ".join(str(each) for each in self.frame.columns)
            suggestion = did_you_mean(name, map(str, self.frame.columns))
            message = f"{self.path.name} has no column '{name}' for {what}.{suggestion}"
            raise UsageError(message, remedy=f"Its columns: {columns}.")
        return self.frame[name]


def read_data(path: Path, copy_table: CopyTable | None = None) -> Data:
    """Read a CSV, JSON, Parquet or Delta file or folder.

    Args:
        path: The file or folder.
        copy_table: Reads a Delta table that can't be read without Spark.

    Raises:
        UsageError: The file is missing, unreadable, empty or of an unknown format.
    """
    if not path.exists():
        siblings = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        raise UsageError(f"The data file {path} doesn't exist.{did_you_mean(path.name, siblings)}")
    try:
        data = _read_delta(path, copy_table) if _is_delta(path) else _choose_reader(path)(path)
    except UsageError:
        raise
    except Exception as error:  # The readers of four formats raise different errors for invalid files.
        first = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise UsageError(f"Can't read {path}: {first}.") from error
    if data.frame.empty:
        raise UsageError(f"{path} has no rows.")
    return data


def _is_delta(path: Path) -> bool:
    return (path / "_delta_log").is_dir()


def _choose_reader(path: Path) -> Callable[[Path], Data]:
    readers = {"csv": _read_csv, "json": _read_json, "parquet": _read_parquet}
    if path.is_dir() and (reason := explain_unreadable_file(path)):
        raise UsageError(f"The folder {path} can't be read: {reason}.")
    kind = find_source_format(path)
    if kind is None:
        raise UsageError(
            f"Unknown data format: {path}.",
            remedy="Use a .csv, .tsv, .json, .jsonl or .parquet file (text also as .gz or .bz2), a folder of "
            "such files, or the folder of a Delta table.",
        )
    return readers[kind]


def _read_csv(path: Path) -> Data:
    detection = detect_dialect(path)
    data = _make_csv_data(path, detection.columns, [])
    return replace(data, options=detection.options, reasons=detection.reasons)


def _make_csv_data(path: Path, columns: CsvColumns, key: list[str]) -> Data:
    types = dict(zip(columns.names, columns.find_kinds(key), strict=True))
    values = dict(zip(columns.names, columns.convert(types.values()), strict=True))
    return replace(_make_typed_data(path, values, types), csv=columns)


def _make_typed_data(path: Path, values: Mapping[str, list[Any]], types: Mapping[str, str | None]) -> Data:
    import pandas as pd

    series = {
        name: pd.Series(values[name], dtype=_PANDAS_TYPES.get(kind or "", "object"))
        for name, kind in types.items()
    }
    return Data(path, pd.DataFrame(series), types, lambda: values)


def _read_json(path: Path) -> Data:
    files = list_data_files(path)
    parts = [read_json_rows(file, {}).rows for file in files]
    rows = list(itertools.chain.from_iterable(parts))
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(itertools.chain(*rows))}
    types = {name: choose_json_type(values) for name, values in columns.items()}
    typed = {name: [convert_json(value, types[name]) for value in values] for name, values in columns.items()}
    for name, kind, values in _list_partitions(path, files, [len(part) for part in parts]):
        types[name], typed[name] = kind, values
    return _make_typed_data(path, typed, types)


def _list_partitions(
    path: Path, files: Sequence[Path], rows: Sequence[int]
) -> Iterator[tuple[str, str, list[TypedValue]]]:
    """Yield the columns in the names of folders, with their types and a value for each row."""
    partitions = [parse_partitions(file.relative_to(path)) for file in files]
    for name in dict.fromkeys(itertools.chain.from_iterable(partitions)):
        texts = [each.get(name) for each in partitions]
        kind = choose_type(combine_forms(texts, parse_dialect({})))
        yield (
            name,
            kind,
            [convert(text, kind) for text, count in zip(texts, rows, strict=True) for _ in range(count)],
        )


def _read_parquet(path: Path) -> Data:
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = list_data_files(path)
    for file in files:
        require_readable(pq.read_schema(file))
    tables = [pq.read_table(file, partitioning=None) for file in files]
    table = pa.concat_tables(tables, promote_options="default")
    for name, _, values in _list_partitions(path, files, [part.num_rows for part in tables]):
        table = table.append_column(name, pa.array(values))
    return _make_arrow_data(path, table)


def _read_delta(path: Path, copy_table: CopyTable | None) -> Data:
    from deltalake import DeltaTable

    try:
        return _make_arrow_data(path, read_all_rows(DeltaTable(path)))
    except Exception:  # Errors of the table, of its log and of Arrow, which have no class in common.
        if copy_table is None:
            raise
        # Spark knows more features of Delta, such as columns whose types have been widened.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy.parquet"
            copy_table(path, copy)
            return replace(_read_parquet(copy), path=path)


def _make_arrow_data(path: Path, table: Any) -> Data:
    types = {each.name: _ARROW_FLOATS.get(str(each.type)) for each in table.schema}
    return Data(path, _make_frame(table), types, lambda: _list_values(table), states_types=True)


def _list_values(table: Any) -> dict[str, list[Any]]:
    """Return the values of each column as Python's own; timestamps in microseconds, as in the job."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        typed = column
        if pa.types.is_timestamp(kind) and kind.unit == "ns":
            typed = pc.floor_temporal(column, unit="microsecond").cast(pa.timestamp("us", tz=kind.tz))
        values[name] = typed.to_pylist()
    return values


def _make_frame(table: Any) -> pd.DataFrame:
    """Return a table of Arrow with pandas' types; columns that pandas would use as an index stay columns."""
    import pandas as pd
    import pyarrow as pa

    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        elif pa.types.is_decimal(kind):
            kind = pa.float64()
        values = column.cast(kind)
        nullable = "Int64" if pa.types.is_integer(kind) else "boolean" if pa.types.is_boolean(kind) else None
        series = values.to_pandas()
        columns[name] = series if nullable is None or not values.null_count else series.astype(nullable)
    return pd.DataFrame(columns)
