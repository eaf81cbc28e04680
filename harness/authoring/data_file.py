"""The data file of a first scenario, read completely, with the values that the job reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.authoring.csv_detection import detect_dialect
from harness.errors import UsageError, did_you_mean
from harness.reading.csv_columns import CsvColumns
from harness.reading.file_names import find_format
from harness.reading.json_rows import choose_json_type, convert_json, read_json_rows
from harness.reading.parquet_columns import require_readable

if TYPE_CHECKING:
    import pandas as pd

_PANDAS_TYPES = {"int": "Int64", "bigint": "Int64", "double": "float64", "boolean": "boolean"}
"""Types of columns to those of pandas, for columns with missing values, too."""


@dataclass(frozen=True)
class Data:
    """The rows of a file, with the same values that Spark reads."""

    path: Path
    frame: pd.DataFrame
    options: dict[str, str] = field(default_factory=dict)
    """Options of the source."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why each option is needed."""
    csv: CsvColumns | None = None
    """The columns as text; ``None`` if the file has types."""

    def with_key(self, key: str) -> Data:
        """Return the rows with the values that the key has in the table: text unless it is a whole number."""
        if self.csv is None:
            return self
        return replace(self, frame=_make_csv_frame(self.csv, [key]))

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


def read_data(path: Path) -> Data:
    """Read a CSV, JSON, Parquet or Delta file or folder.

    Raises:
        UsageError: The file is missing, unreadable, empty or of an unknown format.
    """
    if not path.exists():
        siblings = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        raise UsageError(f"The data file {path} doesn't exist.{did_you_mean(path.name, siblings)}")
    try:
        data = _choose_reader(path)(path)
    except UsageError:
        raise
    except Exception as error:  # The readers of four formats raise different errors for invalid files.
        first = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise UsageError(f"Can't read {path}: {first}.") from error
    if data.frame.empty:
        raise UsageError(f"{path} has no rows.")
    return data


def _choose_reader(path: Path) -> Callable[[Path], Data]:
    if (path / "_delta_log").is_dir():
        return _read_delta
    readers = {"csv": _read_csv, "json": _read_json, "parquet": _read_parquet}
    kind = find_format(path.name)
    if kind is None:
        raise UsageError(
            f"Unknown data format: {path}.",
            remedy="Use a .csv, .tsv, .json, .jsonl or .parquet file (text also as .gz or .bz2), or the "
            "folder of a Delta table.",
        )
    return readers[kind]


def _read_csv(path: Path) -> Data:
    detection = detect_dialect(path)
    columns = detection.columns
    return Data(path, _make_csv_frame(columns, []), detection.options, detection.reasons, columns)


def _make_csv_frame(columns: CsvColumns, key: list[str]) -> pd.DataFrame:
    import pandas as pd

    kinds = columns.find_kinds(key)
    series = {
        name: pd.Series(values, dtype=_PANDAS_TYPES.get(kind, "object"))
        for name, kind, values in zip(columns.names, kinds, columns.convert(kinds), strict=True)
    }
    return pd.DataFrame(series)


def _read_json(path: Path) -> Data:
    import pandas as pd

    content = read_json_rows(path, {})
    series = {}
    for name in content.names:
        values = [row.get(name) for row in content.rows]
        kind = choose_json_type(values)
        series[name] = pd.Series(
            [convert_json(value, kind) for value in values], dtype=_PANDAS_TYPES.get(kind or "", "object")
        )
    return Data(path, pd.DataFrame(series))


def _read_parquet(path: Path) -> Data:
    import pyarrow.parquet as pq

    require_readable(pq.read_schema(path) if path.is_file() else pq.ParquetDataset(path).schema)
    return Data(path, _make_frame(pq.read_table(path)))


def _read_delta(path: Path) -> Data:
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    # Unlike the table's own reader, the query engine knows deletion vectors and renamed columns.
    query = QueryBuilder().register("data", DeltaTable(path)).execute("SELECT * FROM data")
    return Data(path, _make_frame(pa.table(query)))


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
