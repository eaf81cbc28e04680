"""The Java that is chosen, and the message if there is none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.runtime.java import Java, find_java

NO_PACKAGE = "a_package_that_is_not_there"


def java_home(home: Path, version: str | None, script: str = "exit 1") -> Path:
    """Create a folder with a Java program and, if a version is given, a release file."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    if version is not None:
        (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\n')
    return home


def find(tmp_path: Path, explicit: str | None = None, **environ: str) -> Java:
    """Search only in the test's own folder."""
    return find_java(explicit, environ, jvm_folder=tmp_path / "jvm", package=NO_PACKAGE)


def test_an_explicit_java_wins(tmp_path: Path) -> None:
    """An explicit Java overrides JAVA_HOME."""
    mine = java_home(tmp_path / "mine", "17.0.1")
    other = java_home(tmp_path / "other", "17.0.2")

    assert find(tmp_path, str(mine), JAVA_HOME=str(other)) == Java(mine, "17.0.1", "HARNESS_JAVA_HOME")


def test_an_explicit_java_of_another_version_is_refused(tmp_path: Path) -> None:
    """An explicit Java of another version is refused, even if there is a Java 17 elsewhere."""
    java_home(tmp_path / "jvm" / "java-17", "17.0.1")
    old = java_home(tmp_path / "old", "11.0.22")

    with pytest.raises(PrerequisiteError, match=r"HARNESS_JAVA_HOME is .*old, which contains Java 11\.0\.22"):
        find(tmp_path, str(old))


def test_java_home_wins(tmp_path: Path) -> None:
    """JAVA_HOME overrides the PATH."""
    home = java_home(tmp_path / "home", "17.0.3")
    on_path = java_home(tmp_path / "other", "17.0.4")

    assert find(tmp_path, JAVA_HOME=str(home), PATH=str(on_path / "bin")).home == home


def test_a_link_on_the_path_is_followed(tmp_path: Path) -> None:
    """A link to java on the PATH leads to the folder that really contains it."""
    home = java_home(tmp_path / "real", "17.0.5")
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")

    assert find(tmp_path, PATH=str(links)) == Java(home, "17.0.5", "java on the PATH")


def test_the_system_folder_is_searched(tmp_path: Path) -> None:
    """A Java 17 in the system's folder is found if JAVA_HOME has another version."""
    newer = java_home(tmp_path / "newer", "25.0.1")
    home = java_home(tmp_path / "jvm" / "java-17-openjdk", "17.0.6")

    assert find(tmp_path, JAVA_HOME=str(newer)).home == home


def test_a_package_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the machine has no Java 17, the one in a Python package is used."""
    home = java_home(tmp_path / "carried", "17.0.9")
    (tmp_path / "carries_java.py").write_text(f"from pathlib import Path\nJAVA_HOME = Path({str(home)!r})\n")
    monkeypatch.syspath_prepend(tmp_path)

    java = find_java(None, {}, jvm_folder=tmp_path / "jvm", package="carries_java")

    assert java == Java(home, "17.0.9", "package carries_java")


def test_java_without_a_release_file_is_asked(tmp_path: Path) -> None:
    """A Java without a release file is asked for its version and its real home."""
    script = "echo '    java.home = /somewhere/else' >&2; echo '    java.version = 17.0.7' >&2"
    home = java_home(tmp_path / "shim", None, script)

    assert find(tmp_path, JAVA_HOME=str(home)) == Java(Path("/somewhere/else"), "17.0.7", "JAVA_HOME")


def test_a_broken_java_is_skipped(tmp_path: Path) -> None:
    """A Java that fails when it is asked for its version is skipped."""
    broken = java_home(tmp_path / "broken", None, "exit 127")
    home = java_home(tmp_path / "jvm" / "java-17", "17.0.8")

    assert find(tmp_path, JAVA_HOME=str(broken)).home == home


def test_a_file_that_is_not_a_program_is_skipped(tmp_path: Path) -> None:
    """A file that is not a program is skipped."""
    home = java_home(tmp_path / "garbage", None)
    (home / "bin" / "java").write_bytes(b"\x00\x01")

    with pytest.raises(PrerequisiteError, match="not a working Java"):
        find(tmp_path, JAVA_HOME=str(home))


def test_unsuitable_javas_are_listed(tmp_path: Path) -> None:
    """If no Java is suitable, the message lists each with its origin and version."""
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


def test_without_any_java_the_remedy_is_shown(tmp_path: Path) -> None:
    """On a machine without any Java, the message has the remedy."""
    with pytest.raises(PrerequisiteError, match="openjdk-17-jre-headless"):
        find(tmp_path)
