"""Names of data files: their formats, their compression, and names that Spark would take for patterns."""

from __future__ import annotations

import re
from pathlib import PurePath

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
"""Ending of a file, in lower case, to its format."""
COMPRESSIONS = (".gz", ".bz2")
"""Endings of compressed text files that can be read."""
_OTHER_COMPRESSIONS = (".zst", ".zstd", ".xz", ".lzma", ".lz4", ".snappy", ".zip", ".7z", ".z", ".br")
_PLAIN_PATH = re.compile(r"[^*?\[\]{}\\:%#]+")


def find_format(name: str) -> str | None:
    """Return the format of a file by its name, in any case; ``None`` if the ending is unknown."""
    return FORMATS.get(PurePath(_remove_compression(name)).suffix.lower())


def is_tsv(name: str) -> bool:
    """Return whether a file's name says that tabs separate its fields."""
    return _remove_compression(name).lower().endswith(".tsv")


def find_unreadable_compression(name: str) -> str | None:
    """Return the ending of a compressed file that can't be read; ``None`` for any other file."""
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix in _OTHER_COMPRESSIONS else None


def is_plain_path(path: PurePath) -> bool:
    """Return whether no character of a path is taken for a pattern or a part of a URI."""
    return _PLAIN_PATH.fullmatch(str(path)) is not None


def has_plain_name(path: PurePath) -> bool:
    """Return whether Spark reads a file by its path.

    It takes some characters for a pattern or a part of a URI, ignores files whose names begin with an
    underscore or a dot, and knows the endings of compressed files in lower case only.
    """
    return is_plain_path(path) and not path.name.startswith(("_", ".")) and has_known_ending(path)


def has_known_ending(path: PurePath) -> bool:
    """Return whether a file is not compressed, or has the ending by which Spark knows that it is."""
    return path.suffix.lower() not in COMPRESSIONS or path.suffix in COMPRESSIONS


def make_plain_name(name: str) -> str:
    """Return a name by which Spark can read a file: its own, or one with the same endings."""
    if has_plain_name(PurePath(name)):
        return name
    endings = [suffix.lower() for suffix in PurePath(name).suffixes]
    return "source" + "".join(each for each in endings if each in (*FORMATS, *COMPRESSIONS))


def _remove_compression(name: str) -> str:
    suffix = PurePath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in COMPRESSIONS else name
