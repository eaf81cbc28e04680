from __future__ import annotations

import stat
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.runtime.java import Java, find_java

NO_PACKAGE = "a_package_that_is_not_there"


def java_home(home: Path, version: str | None, script: str = "exit 1") -> Path:
    """A folder that looks like a Java: a program, and a release file unless the version is None."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    if version is not None:
        (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\n')
    return home


def find(tmp_path: Path, explicit: str | None = None, **environ: str) -> Java:
    """Look only below the test's own folder."""
    return find_java(explicit, environ, jvm_folder=tmp_path / "jvm", package=NO_PACKAGE)


def test_explicit_first(tmp_path: Path) -> None:
    """An explicit Java wins over JAVA_HOME."""
    mine = java_home(tmp_path / "mine", "17.0.1")
    other = java_home(tmp_path / "other", "17.0.2")

    assert find(tmp_path, str(mine), JAVA_HOME=str(other)) == Java(mine, "17.0.1", "HARNESS_JAVA_HOME")


def test_explicit_of_another_version(tmp_path: Path) -> None:
    """An explicit Java of another version is refused, though another place has a 17."""
    java_home(tmp_path / "jvm" / "java-17", "17.0.1")
    old = java_home(tmp_path / "old", "11.0.22")

    with pytest.raises(PrerequisiteError, match=r"HARNESS_JAVA_HOME is .*old, which contains Java 11\.0\.22"):
        find(tmp_path, str(old))


def test_java_home(tmp_path: Path) -> None:
    """JAVA_HOME wins over the PATH."""
    home = java_home(tmp_path / "home", "17.0.3")
    on_path = java_home(tmp_path / "other", "17.0.4")

    assert find(tmp_path, JAVA_HOME=str(home), PATH=str(on_path / "bin")).home == home


def test_path_through_link(tmp_path: Path) -> None:
    """A java on the PATH that is a link leads to the folder it lies in."""
    home = java_home(tmp_path / "real", "17.0.5")
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")

    assert find(tmp_path, PATH=str(links)) == Java(home, "17.0.5", "java on the PATH")


def test_system_folder(tmp_path: Path) -> None:
    """A 17 in the system's folder is found when JAVA_HOME holds another version."""
    newer = java_home(tmp_path / "newer", "25.0.1")
    home = java_home(tmp_path / "jvm" / "java-17-openjdk", "17.0.6")

    assert find(tmp_path, JAVA_HOME=str(newer)).home == home


def test_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has none, the one that a Python package carries is taken."""
    home = java_home(tmp_path / "carried", "17.0.9")
    (tmp_path / "carries_java.py").write_text(f"from pathlib import Path\nJAVA_HOME = Path({str(home)!r})\n")
    monkeypatch.syspath_prepend(tmp_path)

    found = find_java(None, {}, jvm_folder=tmp_path / "jvm", package="carries_java")

    assert found == Java(home, "17.0.9", "package carries_java")


def test_asks_without_release_file(tmp_path: Path) -> None:
    """A Java without a release file is asked for its version and its true home."""
    told = "echo '    java.home = /somewhere/else' >&2; echo '    java.version = 17.0.7' >&2"
    home = java_home(tmp_path / "shim", None, told)

    assert find(tmp_path, JAVA_HOME=str(home)) == Java(Path("/somewhere/else"), "17.0.7", "JAVA_HOME")


def test_broken_java(tmp_path: Path) -> None:
    """A Java that fails when it is asked is passed over."""
    broken = java_home(tmp_path / "broken", None, "exit 127")
    home = java_home(tmp_path / "jvm" / "java-17", "17.0.8")

    assert find(tmp_path, JAVA_HOME=str(broken)).home == home


def test_garbage_instead_of_a_program(tmp_path: Path) -> None:
    """A file that is no program at all is passed over."""
    home = java_home(tmp_path / "garbage", None)
    (home / "bin" / "java").write_bytes(b"\x00\x01")

    with pytest.raises(PrerequisiteError, match="not a working Java"):
        find(tmp_path, JAVA_HOME=str(home))


def test_nothing_fits(tmp_path: Path) -> None:
    """When nothing fits, the message lists each Java, where it was found and its version."""
    old = java_home(tmp_path / "old", "1.8.0_402")
    newer = java_home(tmp_path / "newer", "25.0.1")

    with pytest.raises(PrerequisiteError) as caught:
        find(tmp_path, JAVA_HOME=str(old), PATH=str(newer / "bin"))

    assert str(caught.value).splitlines()[:3] == [
        "No Java 17 found.",
        f"  JAVA_HOME: {old} (Java 1.8.0_402)",
        f"  java on the PATH: {newer} (Java 25.0.1)",
    ]
    assert "make setup" in str(caught.value)


def test_nothing_at_all(tmp_path: Path) -> None:
    """A machine without any Java gets the remedy."""
    with pytest.raises(PrerequisiteError, match="openjdk-17-jre-headless"):
        find(tmp_path)
