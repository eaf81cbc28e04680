"""The harness's own code as a wheel, with a version that names its content.

A cluster that has a version of a package installed does not install the same version again: every change
of the code is a version of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

from harness.errors import NotThereError

DISTRIBUTION = "dataset-harness"
_PACKAGE = Path(__file__).parent
_SUFFIXES = (".py", ".j2", ".lock", ".typed")
_SHOWN_LINES = 5


@cache
def content_version() -> str:
    """The version that names the code and what it asks for, such as ``0.1.0+c3f2a9c01b7de``."""
    digest = hashlib.sha256()
    asked = sorted(each for each in metadata.requires(DISTRIBUTION) or () if "extra" not in each)
    digest.update("\n".join(asked).encode())
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
        NotThereError: This is no checkout, or the wheel can't be built.
    """
    version = content_version()
    package = DISTRIBUTION.replace("-", "_")
    name = f"{package}-{version}-py3-none-any.whl"
    if (folder / name).is_file():
        return folder / name
    project = _PACKAGE.parent / "pyproject.toml"
    if not project.is_file():
        raise NotThereError(
            f"The wheel is built from the project's own files; there is no {project}.",
            remedy="Run it from a checkout of the project.",
        )
    with tempfile.TemporaryDirectory(prefix="harness-wheel-") as scratch:
        source, built = Path(scratch, "source"), Path(scratch, "built")
        _copy(project, source, version)
        _run_pip(source, built)
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{package}-*.whl"):
            old.unlink(missing_ok=True)
        aside = folder / f".{name}.{os.getpid()}"
        shutil.copyfile(built / name, aside)
        aside.replace(folder / name)
    return folder / name


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
    if ended.returncode != 0:
        said = (ended.stdout + ended.stderr).strip().splitlines()[-_SHOWN_LINES:]
        raise NotThereError("Can't build the wheel:\n" + "\n".join(f"    {line}" for line in said))
