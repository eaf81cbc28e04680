"""The harness's own code as a wheel, with a version that names its content.

A cluster that has a version of a package installed does not install the same version again: every change
of the code is a version of its own.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

from harness.errors import NotThereError

_logger = logging.getLogger(__name__)

DISTRIBUTION = "dataset-harness"
_PACKAGE = Path(__file__).parent
_SUFFIXES = (".py", ".j2", ".lock", ".typed")
_SHOWN_LINES = 5


@cache
def content_version() -> str:
    """The version that names the code and what it asks for, such as ``0.1.0+c3f2a9c01b7de``."""
    digest = hashlib.sha256()
    digest.update("\n".join(_asked()).encode())
    for file in sorted(_PACKAGE.rglob("*")):
        if file.suffix in _SUFFIXES and file.is_file():
            digest.update(f"\n{file.relative_to(_PACKAGE).as_posix()}\n".encode())
            digest.update(file.read_bytes())
    # With a letter first: a number's leading zeros are no part of a version.
    return f"{metadata.version(DISTRIBUTION).partition('+')[0]}+c{digest.hexdigest()[:12]}"


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout; built where the folder does not hold it yet.

    Args:
        folder: Holds the newest wheel.

    Raises:
        NotThereError: This is no checkout, its dependencies are not those that are installed, or the wheel
            can't be built.
    """
    project = require_checkout()
    version = content_version()
    package = DISTRIBUTION.replace("-", "_")
    name = f"{package}-{version}-py3-none-any.whl"
    if (folder / name).is_file():
        return folder / name
    with tempfile.TemporaryDirectory(prefix="harness-wheel-") as scratch:
        source, built = Path(scratch, "source"), Path(scratch, "built")
        _copy(project, source, version)
        _run_pip(source, built)
        folder.mkdir(parents=True, exist_ok=True)
        _put(built / name, folder / name)
        # Never the one of this name: another process may have put it there, and be sending it by now.
        for old in set(folder.glob(f"{package}-*.whl")) - {folder / name}:
            old.unlink(missing_ok=True)
    return folder / name


def require_checkout() -> Path:
    """See that a wheel can be built here that asks for what its version says, and give the project's file.

    Raises:
        NotThereError: This is no checkout, or its dependencies have changed since they were installed: the
            version of a wheel on a cluster would be another one.
    """
    project = _PACKAGE.parent / "pyproject.toml"
    if not project.is_file():
        raise NotThereError(
            f"The wheel is built from the project's own files; there is no {project}.",
            remedy="Run it from a checkout of the project.",
        )
    if changed := _changed(project):
        raise NotThereError(
            f"{project} has other dependencies than were installed with the harness: {', '.join(changed)}.",
            remedy="'make setup' installs them.",
        )
    return project


def _changed(project: Path) -> list[str]:
    """The dependencies that only the project states, or only what is installed."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        stated = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
        return sorted(map(str, set(map(Requirement, stated)) ^ set(map(Requirement, _asked()))))
    except (tomllib.TOMLDecodeError, KeyError, InvalidRequirement):
        return []  # Who builds the wheel says best what is wrong with the file.


def _put(built: Path, wheel: Path) -> None:
    """Put a file into its place at once, in a folder that may be on another disk."""
    with tempfile.TemporaryDirectory(dir=wheel.parent, prefix=".wheel-") as aside:
        shutil.copyfile(built, Path(aside, wheel.name))
        Path(aside, wheel.name).replace(wheel)


def _asked() -> list[str]:
    """What the installed harness needs wherever its job runs."""
    return sorted(each for each in metadata.requires(DISTRIBUTION) or () if "extra" not in each)


def _copy(project: Path, source: Path, version: str) -> None:
    """The sources, with the version in place of the one that releases bear."""
    released = f'version = "{metadata.version(DISTRIBUTION).partition("+")[0]}"'
    text = project.read_text(encoding="utf-8").replace(released, f'version = "{version}"', 1)
    shutil.copytree(_PACKAGE, source / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / project.name).write_text(text, encoding="utf-8")
    # The page that describes the package is asked for; no change of it makes another wheel.
    (source / "README.md").touch()


def _run_pip(source: Path, built: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    ended = subprocess.run(
        [*command, "--wheel-dir", str(built), str(source)],
        # The same content gives the same bytes.
        env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"},
        capture_output=True,
        text=True,
        check=False,
    )
    _logger.debug("%s: exit code %d", shlex.join(ended.args), ended.returncode)
    if ended.returncode != 0:
        said = (ended.stdout + ended.stderr).strip().splitlines()[-_SHOWN_LINES:]
        raise NotThereError("Can't build the wheel:\n" + "\n".join(f"    {line}" for line in said))
