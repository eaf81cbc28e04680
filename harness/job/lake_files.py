"""Files that the job lists, reads, writes and removes itself, at URIs.

Those on this machine and in volumes, which clusters mount as folders, are accessed by their paths: Unity
Catalog denies access to Hadoop. All others are accessed through Hadoop, because
Spark has no public way to list or remove files.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyspark.sql import SparkSession

from harness.storage.uris import VOLUMES

_LOCAL = re.compile(r"(?:file:|dbfs:(?=/+Volumes/))?/*(?=/)")
"""What can stand before the path of a file on this machine, or in a volume."""


@dataclass(frozen=True)
class ListedFile:
    """A file in a listing."""

    uri: str
    name: str
    bytes: int
    modified_ms: int
    """When it was written last, in milliseconds since 1970."""


class LakeFiles(Protocol):
    """Files at URIs with the same storage."""

    def list_files(self, folder: str, *, below: bool = False) -> Iterator[ListedFile]:
        """Yield the files in a folder; nothing if it doesn't exist.

        Args:
            folder: URI of the folder.
            below: Whether to list the files in all folders below it, too.
        """

    def exists(self, uri: str) -> bool:
        """Return whether a file or folder exists."""

    def read_text(self, uri: str) -> str:
        """Return the content of a file in UTF-8.

        Raises:
            OSError: The file doesn't exist, or can't be read.
            Py4JJavaError: The same, in storage that isn't mounted.
        """

    def write_text(self, uri: str, text: str) -> None:
        """Write a file in UTF-8, replacing an existing one."""

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with its content, if it exists."""

    def remove_if_empty(self, folder: str) -> None:
        """Remove a folder if it exists and is empty."""


def open_lake_files(spark: SparkSession, uri: str) -> LakeFiles:
    """Return access to the files of the storage that a URI is in."""
    return HadoopFiles(spark) if _find_path(uri) is None else MountedFiles()


def encode_uri(spark: SparkSession, uri: str) -> str:
    """Return a path or URI as a URI with its special characters encoded, as Delta's log has it."""
    scheme = "dbfs:" if uri.startswith(VOLUMES) else "file:" if uri.startswith("/") else ""
    return str(_make_path(spark, f"{scheme}{uri}").toUri().toString())


def _find_path(uri: str) -> Path | None:
    """Return the path of a URI on this machine or in a volume; ``None`` if it is in other storage."""
    found = _LOCAL.match(uri)
    return None if found is None else Path(uri[found.end() :])


class MountedFiles:
    """Files on this machine or in a mounted volume."""

    def list_files(self, folder: str, *, below: bool = False) -> Iterator[ListedFile]:
        """Yield the files in a folder; nothing if it doesn't exist."""
        for path in _locate(folder).rglob("*") if below else _locate(folder).glob("*"):
            if path.is_file() and path != _find_checksum(path):
                status = path.stat()
                yield ListedFile(str(path), path.name, status.st_size, status.st_mtime_ns // 1_000_000)

    def exists(self, uri: str) -> bool:
        """Return whether a file or folder exists."""
        return _locate(uri).exists()

    def read_text(self, uri: str) -> str:
        """Return the content of a file in UTF-8."""
        return _locate(uri).read_bytes().decode()

    def write_text(self, uri: str, text: str) -> None:
        """Write a file in UTF-8, replacing an existing one."""
        path = _locate(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        _find_checksum(path).unlink(missing_ok=True)
        path.write_bytes(text.encode())

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with its content, if it exists."""
        path = _locate(uri)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
            _find_checksum(path).unlink(missing_ok=True)

    def remove_if_empty(self, folder: str) -> None:
        """Remove a folder if it exists and is empty."""
        path = _locate(folder)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _locate(uri: str) -> Path:
    path = _find_path(uri)
    if path is None:
        raise ValueError(f"{uri} is not mounted")
    return path


def _find_checksum(path: Path) -> Path:
    """Return the file in which Spark keeps a file's checksum; if it is wrong, Spark refuses the file."""
    return path if re.fullmatch(r"\..*\.crc", path.name) else path.with_name(f".{path.name}.crc")


class HadoopFiles:
    """Files in storage that only Hadoop's file systems can access."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def list_files(self, folder: str, *, below: bool = False) -> Iterator[ListedFile]:
        """Yield the files in a folder; nothing if it doesn't exist."""
        files, path = self._locate(folder)
        if not files.exists(path):
            return
        listing = files.listFiles(path, below)
        while listing.hasNext():
            status = listing.next()
            found = status.getPath()
            yield ListedFile(
                uri=found.toString(),
                name=found.getName(),
                bytes=int(status.getLen()),
                modified_ms=int(status.getModificationTime()),
            )

    def exists(self, uri: str) -> bool:
        """Return whether a file or folder exists."""
        files, path = self._locate(uri)
        return bool(files.exists(path))

    def read_text(self, uri: str) -> str:
        """Return the content of a file in UTF-8."""
        files, path = self._locate(uri)
        stream = files.open(path)
        try:
            context: Any = self._spark.sparkContext
            return str(context._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))  # noqa: SLF001
        finally:
            stream.close()

    def write_text(self, uri: str, text: str) -> None:
        """Write a file in UTF-8, replacing an existing one."""
        files, path = self._locate(uri)
        stream = files.create(path, True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with its content, if it exists."""
        files, path = self._locate(uri)
        files.delete(path, True)

    def remove_if_empty(self, folder: str) -> None:
        """Remove a folder if it exists and is empty."""
        files, path = self._locate(folder)
        if files.exists(path) and not files.listStatus(path):
            files.delete(path, False)

    def _locate(self, uri: str) -> tuple[Any, Any]:
        """Return Hadoop's file system and path of a URI."""
        context: Any = self._spark.sparkContext
        path = _make_path(self._spark, uri)
        return path.getFileSystem(context._jsc.hadoopConfiguration()), path  # noqa: SLF001


def _make_path(spark: SparkSession, uri: str) -> Any:
    context: Any = spark.sparkContext
    return context._jvm.org.apache.hadoop.fs.Path(uri)  # noqa: SLF001
