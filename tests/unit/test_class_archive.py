"""The archive of classes that a job's JVM starts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.runtime.class_archive import ClassArchive
from harness.runtime.java import Java

JAVA = Java(Path("/opt/java"), "17.0.15", "JAVA_HOME")


def find(folder: Path, java: Java = JAVA) -> ClassArchive:
    return ClassArchive.find(folder / "jars", java, Path("/opt/spark"))


def test_the_first_jvm_writes_the_archive_and_the_next_one_uses_it(tmp_path: Path) -> None:
    """Without an archive, the JVM writes one; with one, it uses it, whatever characters its path has."""
    archive = find(tmp_path / "a folder's")
    archive.file.parent.mkdir()
    writes, _ = archive.options
    new = Path(writes.removeprefix("-XX:ArchiveClassesAtExit="))
    new.write_bytes(b"classes")
    archive.keep_new(is_complete=True)
    assert f"-XX:SharedArchiveFile={archive.file}" == archive.options[0]
    assert ([archive.file], b"classes") == (list(archive.file.parent.iterdir()), archive.file.read_bytes())


def test_an_incomplete_archive_is_removed(tmp_path: Path) -> None:
    """What a JVM wrote that was ended is not used; nor is it an error that it wrote nothing."""
    archive = find(tmp_path)
    archive.keep_new(is_complete=True)
    Path(archive.options[0].removeprefix("-XX:ArchiveClassesAtExit=")).write_bytes(b"cla")
    archive.keep_new(is_complete=False)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("other", [Java(Path("/opt/java"), "17.0.16", ""), Java(Path("/usr"), "17.0.15", "")])
def test_another_java_has_its_own_archive(tmp_path: Path, other: Java) -> None:
    """An archive belongs to one Java and its version."""
    assert find(tmp_path).file != find(tmp_path, other).file
    assert find(tmp_path).file == find(tmp_path, Java(JAVA.home, JAVA.version, "PATH")).file
