"""How large the data is that a scenario starts from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.scenario.model import Scenario
from harness.scenario.places import local_path
from harness.scenario.source import SourceFile
from harness.scenario.steps import Loans, Rows

_BYTES_PER_MADE_ROW = 100
"""About what a made loan takes as text."""


def size_of(scenario: Scenario, sources: Mapping[str, SourceFile], existing_table: str | None) -> int | None:
    """Bytes of all files, of made rows, and of a table that is there already.

    Args:
        scenario: Whose data it is.
        sources: The files that were found.
        existing_table: URI or absolute path of a table that is there already.

    Returns:
        ``None`` where the size of something is not known.
    """
    paths = [source.path for source in sources.values()]
    if existing_table is not None:
        paths.append(local_path(existing_table, Path("/")))
    known = [_bytes_in(path) for path in paths if path is not None]
    if len(known) < len(paths):
        return None
    return sum(known) + _BYTES_PER_MADE_ROW * sum(made.rows for made in made_rows(scenario))


def made_rows(scenario: Scenario) -> Iterator[Loans]:
    """Rows that are made, each lot once however often it is named."""
    steps = [version.step for version in scenario.versions]
    own = [scenario.table.source, *(step.source for step in steps if isinstance(step, Rows))]
    lots = {
        source.generate.model_dump_json(): source.generate for source in own if source and source.generate
    }
    yield from lots.values()


def _bytes_in(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
