"""Sources of a scenario's rows: their locations, formats and headers, without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Location, Problem, did_you_mean
from harness.loading import existing_table, required_columns
from harness.loading.headers import Header, UnknownHeaderError, read_header
from harness.loading.rules.approve_rules import check_approved_table
from harness.reading.data_folders import explain_unreadable_file, find_source_format
from harness.reading.file_names import find_format, find_unreadable_compression, is_tsv
from harness.scenario.model import Scenario
from harness.scenario.row_source import LOANS, Loans, Source
from harness.scenario.rows import Rows
from harness.scenario.text_checks import is_secret_name
from harness.storage.uris import describe_password, explain_unusable, find_local_path, find_table_folder
from harness.table_names import is_full_table_name, is_table_name, normalize_table_name


@dataclass(frozen=True)
class SourceFile:
    """A source with its absolute path or URI, its format, and the options of Spark's reader."""

    uri: str
    format: str
    options: dict[str, str]
    is_local: bool = True
    """Whether it is located on this machine."""

    @property
    def path(self) -> Path | None:
        """The local path; ``None`` if the source is not on this machine."""
        return Path(self.uri) if self.is_local else None


def locate_sources(scenario: Scenario, folder: Path) -> tuple[dict[str, SourceFile], list[Problem]]:
    """Locate every source of a scenario.

    Sources that are not on this machine are checked by the job.

    Args:
        scenario: The scenario.
        folder: Folder that paths are relative to.

    Returns:
        The existing files by their paths as written in the scenario, and everything that is wrong with
        sources, columns, and an existing table.
    """
    search = _LocatedSources(folder, {}, {}, set())
    problems = [problem for source, at in _list_sources(scenario) for problem in search.check(source, at)]
    problems += required_columns.check_required_columns(scenario, search.header_of)
    problems += existing_table.check_existing_table(scenario, folder)
    problems += check_approved_table(scenario, folder)
    return search.found, problems


def _list_sources(scenario: Scenario) -> Iterator[tuple[Source, Location]]:
    """Yield every source with a path, with its location in the scenario."""
    own = scenario.table.source
    if own is not None and own.generate is None:
        yield own, ("table", "source")
    for index, version in enumerate(scenario.versions):
        for kind, step in version.steps.items():
            if isinstance(step, Rows) and step.source is not None and step.source.generate is None:
                yield step.source, ("versions", index, kind, "from")


@dataclass(frozen=True)
class _LocatedSources:
    """The sources that were located so far, by their paths as written in the scenario."""

    folder: Path
    found: dict[str, SourceFile]
    headers: dict[str, Header]
    missing: set[str]
    """Paths that are reported already."""

    def check(self, source: Source, at: Location) -> list[Problem]:
        """Find one source, read its header, and return everything that is wrong with it.

        Args:
            source: The source.
            at: Its location in the scenario.
        """
        if secrets := list(_check_secrets(source, at)):
            return secrets
        if source.path in self.missing or not source.path.strip():
            return []
        try:
            file = _locate(source, self.folder)
            if self.found.setdefault(source.path, file) != file:
                return [Problem(_TWO_READINGS.format(path=source.path), at)]
            if file.path is not None and source.path not in self.headers:
                self.headers[source.path] = _read_header(file.path, file)
        except UnknownHeaderError:
            pass
        except _WrongSourceError as error:
            self.missing.add(source.path)
            return [Problem(str(error), at)]
        return []

    def header_of(self, source: Source) -> Header | None:
        """Return a source's columns; ``None`` if they are not known here."""
        if source.generate is not None:
            return Header(f"generate: {source.generate.kind}", tuple(LOANS))
        return self.headers.get(source.path)


_TWO_READINGS = (
    "the source {path} is used twice, with different formats or options; use the same ones, "
    "or write one of the paths differently, such as ./{path}."
)


class _WrongSourceError(Exception):
    """A missing or unusable source; the message is for the scenario's author."""


def _check_secrets(source: Source, at: Location) -> Iterator[Problem]:
    """Report secrets: a scenario is copied to plans, to MLflow and to version control."""
    if password := describe_password(source.path):
        yield Problem(f"the source's URI contains {password}; remove it.", at)
    for name in source.options:
        if is_secret_name(name):
            yield Problem(f"option '{name}' looks like a secret; don't put secrets into a scenario.", at)


def _locate(source: Source, folder: Path) -> SourceFile:
    options = _choose_options(source)
    try:
        path = find_local_path(source.path, folder)
        if reason := explain_unusable(source.path):
            raise _WrongSourceError(reason)
        if path is not None and not path.exists() and _is_table(source):
            return SourceFile(normalize_table_name(source.path), "delta", options, is_local=False)
        if path is None:
            # A folder without an ending is assumed to be a Delta table.
            remote_kind = source.format or find_format(source.path) or "delta"
            return SourceFile(source.path, remote_kind, options, is_local=False)
        if not path.exists():
            raise _WrongSourceError(
                f"the source {source.path} doesn't exist ({path}).{_suggest_sibling(path)}"
            )
        kind = source.format or _find_format(path)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _WrongSourceError(f"can't access the source {source.path!r}: {reason}.") from error
    if not (path.is_file() or path.is_dir()):
        raise _WrongSourceError(f"the source {path} is neither a file nor a folder.")
    if path.is_file() and (ending := find_unreadable_compression(path.name)):
        raise _WrongSourceError(
            f"{path.name} can't be read: Spark can't decompress {ending} files; decompress it, or use .gz."
        )
    if path.is_dir() and kind != "delta" and (reason := explain_unreadable_file(path)):
        raise _WrongSourceError(f"the folder {path.name} can't be read: {reason}.")
    if kind is None:
        raise _WrongSourceError(f"unknown format of {path.name}; add format: csv, json, parquet or delta.")
    return SourceFile(str(path), kind, options)


def _is_table(source: Source) -> bool:
    """Return whether a source that is not a file is a table in a catalog.

    A name with two parts looks like that of a file: it needs 'format: delta'.
    """
    if source.format is not None:
        return source.format == "delta" and is_table_name(source.path)
    return is_full_table_name(source.path) and find_format(source.path) is None


def _read_header(path: Path, file: SourceFile) -> Header:
    try:
        header = read_header(path, file.format, file.options)
    except ValueError as error:
        raise _WrongSourceError(f"can't read {path.name} as {file.format}: {error}.") from error
    if not header.columns:
        raise _WrongSourceError(f"{path.name} is empty: it has no rows.")
    return header


def _choose_options(source: Source) -> dict[str, str]:
    return {"sep": "\t", **source.options} if is_tsv(source.path) else dict(source.options)


def _suggest_sibling(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, [other.name for other in path.parent.iterdir()])


def _find_format(path: Path) -> str | None:
    if (path / "_delta_log").is_dir():
        return "delta"
    return find_source_format(path)


_BYTES_PER_LOAN = 100
"""Approximate size of a synthetic loan as text."""


def measure_size(scenario: Scenario, sources: Mapping[str, SourceFile], folder: Path) -> int | None:
    """Return the size of a scenario's data in bytes; ``None`` if a size is not known.

    Args:
        scenario: The scenario.
        sources: Its files.
        folder: Folder that the path of an existing table is relative to.
    """
    paths = [source.path for source in sources.values()]
    if scenario.table.uri is not None:
        paths.append(find_table_folder(scenario.table.uri, folder))
    known = [_count_bytes(path) for path in paths if path is not None]
    if len(known) < len(paths):
        return None
    return sum(known) + _BYTES_PER_LOAN * sum(loans.rows for loans in list_synthetic_rows(scenario))


def list_synthetic_rows(scenario: Scenario) -> Iterator[Loans]:
    """Yield the specification of each set of synthetic loans in a scenario, without duplicates."""
    steps = [version.step for version in scenario.versions]
    sources = [scenario.table.source, *(step.source for step in steps if isinstance(step, Rows))]
    sets = {
        source.generate.model_dump_json(): source.generate for source in sources if source and source.generate
    }
    yield from sets.values()


def _count_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
