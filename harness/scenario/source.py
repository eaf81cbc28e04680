"""The data that a scenario starts from: where it is, and the header that can be read without Spark."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import Location, Problem
from harness.scenario.model import Scenario, Source
from harness.scenario.suggest import did_you_mean

_JSON_LINES = 10_000
_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
_AT: Location = ("table", "source")


@dataclass(frozen=True)
class SourceFile:
    """A source that was found: its absolute path or URI, its format, and Spark's reader options."""

    uri: str
    format: str
    options: dict[str, str]

    @property
    def path(self) -> Path | None:
        """The local path; none where the source lies elsewhere."""
        return None if "://" in self.uri else Path(self.uri)


def locate_source(scenario: Scenario, folder: Path) -> tuple[SourceFile | None, list[Problem]]:
    """Find the source, and hold the columns that the scenario names against its header.

    A source elsewhere (a URI) can't be looked at from here: the job checks it.
    """
    source = scenario.table.source
    if "://" in source.path:
        return SourceFile(source.path, source.format or "delta", _options(source)), []
    path = (folder / source.path).resolve()
    if not path.exists():
        return None, [Problem(f"there is no source {source.path} ({path}).{_near(path)}", _AT)]
    kind = source.format or _format_of(path)
    if kind is None:
        return None, [
            Problem(f"can't tell the format of {path.name}; say format: csv, json, parquet or delta.", _AT)
        ]
    found = SourceFile(str(path), kind, _options(source))
    try:
        columns = _READERS[kind](path, found.options)
    except (OSError, ValueError, csv.Error) as error:
        return found, [Problem(f"can't read {path.name} as {kind}: {_first_line(error)}.", _AT)]
    if not columns:
        return found, [Problem(f"{path.name} is empty: it has no rows.", _AT)]
    return found, _missing_columns(scenario, columns, path.name)


def _missing_columns(scenario: Scenario, columns: list[str], file: str) -> list[Problem]:
    pipeline = scenario.pipeline
    wanted: list[tuple[str, Location]] = [
        *((name, ("table", "key", index)) for index, name in enumerate(scenario.table.key)),
        (pipeline.label.column, ("pipeline", "label", "column")),
        *((name, ("pipeline", "features", index)) for index, name in enumerate(pipeline.features)),
        *((name, ("pipeline", "categorical", index)) for index, name in enumerate(pipeline.categorical)),
    ]
    # Spark finds columns whatever their case.
    known = {name.lower() for name in [*columns, *pipeline.derive]}
    return [
        Problem(f"{file} has no column '{name}'.{did_you_mean(name, [*columns, *pipeline.derive])}", at)
        for name, at in wanted
        if name.lower() not in known
    ]


def _options(source: Source) -> dict[str, str]:
    return {"sep": "\t", **source.options} if source.path.endswith(".tsv") else dict(source.options)


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, [other.name for other in path.parent.iterdir()])


def _format_of(path: Path) -> str | None:
    if (path / "_delta_log").is_dir():
        return "delta"
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        name = file.with_suffix("") if file.suffix == ".gz" else file
        if name.suffix in _FORMATS:
            return _FORMATS[name.suffix]
    return None


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _first_file(path: Path) -> Path:
    """The file itself, or the first data file of a folder that Spark wrote."""
    if path.is_file():
        return path
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name[0] not in "._")
    for file in files:
        return file
    raise ValueError("the folder has no data files")


def _csv_columns(path: Path, options: dict[str, str]) -> list[str]:
    delimiter = options.get("sep", options.get("delimiter", ","))
    with _open(_first_file(path)) as file:
        rows = list(itertools.islice(csv.reader(file, delimiter=delimiter), 2))
    if options.get("header", "true").lower() != "true":
        return [f"_c{index}" for index in range(len(rows[0]))] if rows else []
    return rows[0] if len(rows) > 1 else []


def _json_columns(path: Path, options: dict[str, str]) -> list[str]:
    with _open(_first_file(path)) as file:
        if options.get("multiLine", "false").lower() == "true":
            content = json.load(file)
            rows = content if isinstance(content, list) else [content]
        else:
            rows = [json.loads(line) for line in itertools.islice(file, _JSON_LINES) if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("one JSON object per line is needed, or the option multiLine: 'true'")
    return list(dict.fromkeys(itertools.chain.from_iterable(rows)))


def _parquet_columns(path: Path, _options: dict[str, str]) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(_first_file(path)).names)


def _delta_columns(path: Path, _options: dict[str, str]) -> list[str]:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return [field.name for field in DeltaTable(path).schema().fields]
    except DeltaError as error:
        raise ValueError(str(error)) from error


_READERS: dict[str, Callable[[Path, dict[str, str]], list[str]]] = {
    "csv": _csv_columns,
    "json": _json_columns,
    "parquet": _parquet_columns,
    "delta": _delta_columns,
}


def _first_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else type(error).__name__
