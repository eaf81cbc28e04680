"""Folders of data files: the files that Spark reads, and columns in the names of their folders."""

from __future__ import annotations

from pathlib import Path, PurePath
from urllib.parse import unquote

from harness.reading.file_names import find_format, find_unreadable_compression, has_known_ending

_NULL = "__HIVE_DEFAULT_PARTITION__"
"""Stands for null in the name of a folder."""


def list_data_files(path: Path) -> list[Path]:
    """Return the files of a folder that Spark reads, sorted; a file itself.

    Spark skips files and folders whose names begin with an underscore or a dot.

    Raises:
        OSError: The folder can't be read.
    """
    if not path.is_dir():
        return [path]
    next(path.iterdir(), None)  # Unlike 'rglob', it reports a folder that can't be read.
    return [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(_is_hidden(part) for part in file.relative_to(path).parts)
    ]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def find_source_format(path: Path) -> str | None:
    """Return the format of a file, or of the first data file of a folder; ``None`` if it is unknown."""
    kinds = (find_format(file.name) for file in list_data_files(path))
    return next((kind for kind in kinds if kind is not None), None)


def parse_partitions(file: PurePath) -> dict[str, str | None]:
    """Return the columns and values in a path, such as ``month`` and ``3`` of ``month=3/rows.csv``.

    Args:
        file: A file's path, relative to the folder of the source.
    """
    named = (folder.partition("=") for folder in file.parts[:-1])
    return {
        unquote(name): None if value == _NULL else unquote(value) for name, equals, value in named if equals
    }


def explain_unreadable_file(path: Path) -> str | None:
    """Return why a file of a folder can't be read, or would be skipped; ``None`` if there is none."""
    for file in sorted(path.rglob("*")):
        name = file.name
        if not file.is_file() or name.startswith("."):
            continue
        if ending := find_unreadable_compression(name):
            return f"Spark can't decompress {ending} files; decompress {name}, or use .gz"
        if ":" in name or not has_known_ending(file):
            return f"Spark can't read a file called {name} in a folder; rename it"
        if name.startswith("_") and find_format(name) is not None:
            return f"Spark skips files that begin with an underscore; rename {name}"
    return None
