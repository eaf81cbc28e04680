"""The data file of a first scenario, read completely with pandas."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Data:
    """The rows of a file, with the same values that Spark reads."""

    path: Path
    frame: pd.DataFrame
    options: dict[str, str] = field(default_factory=dict)
    """Options for Spark's reader."""

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
        raise UsageError(f"No data found at {path}.{did_you_mean(path.name, siblings)}")
    try:
        data = _reader_of(path)(path)
    except UsageError:
        raise
    except Exception as error:  # The readers of four formats raise different errors for invalid files.
        first = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise UsageError(f"Can't read {path}: {first}.") from error
    if data.frame.empty:
        raise UsageError(f"{path} has no rows.")
    return data


def _reader_of(path: Path) -> Callable[[Path], Data]:
    if (path / "_delta_log").is_dir():
        return _delta
    readers = {
        ".csv": _csv,
        ".tsv": _csv,
        ".json": _json,
        ".jsonl": _json,
        ".ndjson": _json,
        ".parquet": _parquet,
    }
    name = path.with_suffix("") if path.suffix == ".gz" else path
    if name.suffix not in readers:
        raise UsageError(
            f"Unknown data format: {path}.",
            remedy="Use a .csv, .tsv, .json (one row per line) or .parquet file, or a Delta table's folder.",
        )
    return readers[name.suffix]


def _csv(path: Path) -> Data:
    import pandas as pd

    head = _first_line(path)
    separator = max(_SEPARATORS, key=head.count)
    # For Spark, only empty fields are null; "NA" and "None" are text.
    frame = pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""], low_memory=False)
    is_default = separator == "," or (separator == "\t" and ".tsv" in path.suffixes)
    return Data(path, frame, {} if is_default else {"sep": separator})


def _first_line(path: Path) -> str:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig") as packed:
            return packed.readline()
    with path.open(encoding="utf-8-sig") as file:
        return file.readline()


def _json(path: Path) -> Data:
    import pandas as pd

    return Data(path, pd.read_json(path, lines=True, convert_dates=False))


def _parquet(path: Path) -> Data:
    import pandas as pd

    return Data(path, pd.read_parquet(path))


def _delta(path: Path) -> Data:
    from deltalake import DeltaTable

    return Data(path, DeltaTable(path).to_pyarrow_table().to_pandas())
