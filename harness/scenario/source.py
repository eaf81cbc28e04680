"""The data that a scenario starts from: where it is, and the header that can be read without Spark."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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
    secrets = list(_secrets(source))
    if secrets:
        return None, secrets
    if "://" in source.path:
        return SourceFile(source.path, source.format or "delta", _options(source)), []
    found = _find(source, folder)
    if isinstance(found, Problem):
        return None, [found]
    return found, _compare(scenario, found)


def _secrets(source: Source) -> Iterator[Problem]:
    """What a scenario says ends up in plans, in MLflow and in version control."""
    if re.match(r"\w+://[^/@]*:[^/@]*@", source.path):
        yield Problem("the source's URI holds a password; leave it out.", _AT)
    for name in source.options:
        if re.search(r"password|passwd|secret|token|credential|account[._]?key", name, re.IGNORECASE):
            yield Problem(f"option '{name}' looks like a secret; a scenario is no place for one.", _AT)


def _find(source: Source, folder: Path) -> SourceFile | Problem:
    try:
        path = (folder / source.path).resolve()
        if not path.exists():
            return Problem(f"there is no source {source.path} ({path}).{_near(path)}", _AT)
        kind = source.format or _format_of(path)
    except (OSError, ValueError, RuntimeError) as error:
        return Problem(f"can't look for the source {source.path!r}: {_first_line(error)}.", _AT)
    if not (path.is_file() or path.is_dir()):
        return Problem(f"the source {path} is neither a file nor a folder.", _AT)
    if kind is None:
        return Problem(f"can't tell the format of {path.name}; say format: csv, json, parquet or delta.", _AT)
    return SourceFile(str(path), kind, _options(source))


def _compare(scenario: Scenario, found: SourceFile) -> list[Problem]:
    path = Path(found.uri)
    try:
        columns = _READERS[found.format](path, found.options)
    except _UNREADABLE as error:
        return [Problem(f"can't read {path.name} as {found.format}: {_first_line(error)}.", _AT)]
    if not columns:
        return [Problem(f"{path.name} is empty: it has no rows.", _AT)]
    return _missing_columns(scenario, columns, path.name)


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
    is_tsv = source.path.endswith((".tsv", ".tsv.gz"))
    return {"sep": "\t", **source.options} if is_tsv else dict(source.options)


def _option(options: dict[str, str], *names: str, default: str) -> str:
    """An option by any of its names; Spark knows them whatever their case."""
    given = {name.lower(): value for name, value in options.items()}
    return next((given[name] for name in names if name in given), default)


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, [other.name for other in path.parent.iterdir()])


def _format_of(path: Path) -> str | None:
    if (path / "_delta_log").is_dir():
        return "delta"
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        name = file.with_suffix("") if file.suffix == ".gz" else file
        if name.suffix in _FORMATS:
            return _FORMATS[name.suffix]
    return None


def _open(path: Path, options: dict[str, str]) -> IO[str]:
    encoding = _option(options, "encoding", "charset", default="utf-8")
    encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _first_file(path: Path) -> Path:
    """The file itself, or the first data file of a folder that Spark wrote."""
    if path.is_file():
        return path
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name[0] not in "._")
    for file in files:
        return file
    raise ValueError("the folder has no data files")


def _csv_columns(path: Path, options: dict[str, str]) -> list[str]:
    delimiter = _option(options, "sep", "delimiter", default=",").replace("\\t", "\t")
    if not delimiter:
        raise ValueError("the option 'sep' is empty")
    with _open(_first_file(path), options) as file:
        # Spark takes separators of several characters, Python's csv does not.
        lines = (line.rstrip("\r\n").split(delimiter) for line in file)
        reader = csv.reader(file, delimiter=delimiter) if len(delimiter) == 1 else lines
        rows = list(itertools.islice(reader, 2))
    if _option(options, "header", default="true").lower() != "true":
        return [f"_c{index}" for index in range(len(rows[0]))] if rows else []
    return rows[0] if len(rows) > 1 else []


def _json_columns(path: Path, options: dict[str, str]) -> list[str]:
    with _open(_first_file(path), options) as file:
        if _option(options, "multiline", default="false").lower() == "true":
            content = json.load(file)
            rows = content if isinstance(content, list) else [content]
        else:
            rows = list(_json_lines(itertools.islice(file, _JSON_LINES)))
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("one JSON object per line is needed, or the option multiLine: 'true'")
    return list(dict.fromkeys(itertools.chain.from_iterable(rows)))


def _json_lines(lines: Iterable[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{error.msg} in line {number}") from error


def _parquet_columns(path: Path, _options: dict[str, str]) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(_first_file(path)).names)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _delta_columns(path: Path, _options: dict[str, str]) -> list[str]:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return [field.name for field in DeltaTable(path).schema().fields]
    except DeltaError as error:
        raise ValueError(str(error)) from error


_UNREADABLE = (OSError, ValueError, LookupError, EOFError, RecursionError, csv.Error, zlib.error)
_READERS: dict[str, Callable[[Path, dict[str, str]], list[str]]] = {
    "csv": _csv_columns,
    "json": _json_columns,
    "parquet": _parquet_columns,
    "delta": _delta_columns,
}


def _first_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else type(error).__name__
