"""Wheel of the harness's code for a cluster, with a version that names its content.

A cluster does not install a version again that it has installed already, so every change of the code needs
its own version. It installs the wheel without a lock file, so the wheel itself pins what a runtime lacks.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath

from harness.errors import JobError, PrerequisiteError

_logger = logging.getLogger(__name__)

DISTRIBUTION = "dataset-harness"
_NAME = DISTRIBUTION.replace("-", "_")
_PACKAGE = Path(__file__).parent
_ENTRY_POINTS = "dataset_harness"
"""Package next to this one; without it, the wheel's command and pytest plugin could not be imported."""
_SUFFIXES = (".py", ".j2", ".lock", ".typed")
_METADATA = ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt", "licenses")
"""Files and folders of a wheel's metadata; an installer adds more."""
_SHOWN_LINES = 5
_CLUSTER = "cluster"
"""The extra with the pins of a cluster's wheel, which are requirements there."""
_CONDITION = re.compile(rf"(?: and|;) extra == \"{_CLUSTER}\"$")
_DEPENDENCIES = "dependencies = [\n"


@cache
def compute_version() -> str:
    """Return the version that names the code and its dependencies, such as ``0.1.0+c3f2a9c01b7de``."""
    digest = hashlib.sha256()
    digest.update("\n".join(_list_requirements()).encode())
    for file in sorted([*_PACKAGE.rglob("*"), *(_PACKAGE.parent / _ENTRY_POINTS).rglob("*")]):
        if file.suffix in _SUFFIXES and file.is_file():
            digest.update(f"\n{file.relative_to(_PACKAGE.parent).as_posix()}\n".encode())
            digest.update(file.read_bytes())
    # Starts with a letter, because leading zeros of a number are dropped from a version.
    return f"{metadata.version(DISTRIBUTION).partition('+')[0]}+c{digest.hexdigest()[:12]}"


def make_version_error(ran: str, planned: str) -> JobError:
    """Return the error for a cluster that has another version of the harness than the plan.

    Args:
        ran: Version that the cluster has; empty if that is unknown.
        planned: Version that made the plan, and was uploaded.
    """
    return JobError(
        f"The cluster ran another version of the harness ({ran or 'unknown'}) than the uploaded one "
        f"({planned}).",
        remedy="A running cluster keeps an installed library until it is restarted. Restart it, then run the "
        "scenario again.",
    )


def build_wheel(folder: Path) -> Path:
    """Return the wheel of this code, and make it if the folder does not contain it.

    In a checkout, it is built from the project's files. Without one, the installed files are packed again.

    Args:
        folder: Folder of the newest wheel.

    Raises:
        PrerequisiteError: A checkout has other dependencies than are installed, the build fails, or an
            installed file is missing.
    """
    require_installed_dependencies()
    version = compute_version()
    name = f"{_NAME}-{version}-py3-none-any.whl"
    if (folder / name).is_file():
        return folder / name
    with tempfile.TemporaryDirectory(prefix="harness-wheel-") as scratch:
        source, built = Path(scratch, "source"), Path(scratch, "built")
        project = _find_project()
        if project is None:
            _pack_installed(built / name, version)
        else:
            _copy_sources(project, source, version)
            _run_pip(source, built)
        folder.mkdir(parents=True, exist_ok=True)
        _move_into_place(built / name, folder / name)
        # Keep the one with this name: another process may have written it and be uploading it.
        for old in set(folder.glob(f"{_NAME}-*.whl")) - {folder / name}:
            old.unlink(missing_ok=True)
    return folder / name


def require_installed_dependencies() -> None:
    """Require that the dependencies of a checkout are those that are installed.

    Raises:
        PrerequisiteError: They have changed since, so that the wheel on a cluster would have another version.
    """
    project = _find_project()
    if project is not None and (changed := _find_changed_dependencies(project)):
        raise PrerequisiteError(
            f"The dependencies in {project} differ from the installed ones: {', '.join(changed)}.",
            remedy="Install them: make setup.",
        )


def _find_project() -> Path | None:
    """Return the project file of a checkout; ``None`` for an installed package."""
    project = _PACKAGE.parent / "pyproject.toml"
    return project if project.is_file() else None


def _find_changed_dependencies(project: Path) -> list[str]:
    """Return the dependencies that are only in the project file or only in the installed package."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        content = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        stated = [*content["dependencies"], *content["optional-dependencies"][_CLUSTER]]
        return sorted(map(str, set(map(Requirement, stated)) ^ set(map(Requirement, _list_requirements()))))
    except (tomllib.TOMLDecodeError, KeyError, InvalidRequirement):
        return []  # Building the wheel gives a better message about the file.


def _move_into_place(built: Path, wheel: Path) -> None:
    """Move a file into a folder atomically, even if the folder is on another disk."""
    with tempfile.TemporaryDirectory(dir=wheel.parent, prefix=".wheel-") as aside:
        shutil.copyfile(built, Path(aside, wheel.name))
        Path(aside, wheel.name).replace(wheel)


def _list_requirements() -> list[str]:
    """Return what the installed harness requires on every target, and what it pins on a cluster."""
    everywhere = {each for each in metadata.requires(DISTRIBUTION) or () if "extra" not in each}
    return sorted(everywhere.union(_list_pins()))


def _list_pins() -> list[str]:
    """Return what the installed harness pins on a cluster, as a cluster's wheel requires it."""
    pins = (each for each in metadata.requires(DISTRIBUTION) or () if _CONDITION.search(each))
    return [_CONDITION.sub("", each) for each in pins]


def _copy_sources(project: Path, source: Path, version: str) -> None:
    """Copy the sources, replace the version of the release, and require what a runtime lacks."""
    released = f'version = "{metadata.version(DISTRIBUTION).partition("+")[0]}"'
    text = project.read_text(encoding="utf-8").replace(released, f'version = "{version}"', 1)
    pins = "".join(f"{json.dumps(each)},\n" for each in _list_pins())
    text = text.replace(_DEPENDENCIES, _DEPENDENCIES + pins, 1)
    for name in (_PACKAGE.name, _ENTRY_POINTS):
        shutil.copytree(project.parent / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / project.name).write_text(text, encoding="utf-8")
    # The file is required, but its content must not change the wheel.
    (source / "README.md").touch()


def _pack_installed(wheel: Path, version: str) -> None:
    """Pack the files that were installed into a wheel: the same content, and the version that names it.

    Raises:
        PrerequisiteError: A file is missing, or it is not known which files were installed.
    """
    info = f"{_NAME}-{version}.dist-info"
    files: dict[str, bytes] = {}
    installed = metadata.distribution(DISTRIBUTION)
    # Not 'files', which leaves out missing ones on Python 3.12.
    for line in csv.reader((installed.read_text("RECORD") or "").splitlines()):
        file = PurePosixPath(line[0])
        location = Path(str(installed.locate_file(file)))
        top, *below = file.parts
        try:
            if top in (_PACKAGE.name, _ENTRY_POINTS) and file.suffix != ".pyc":
                files[file.as_posix()] = location.read_bytes()
            elif top.endswith(".dist-info") and below[0] in _METADATA:
                files["/".join((info, *below))] = location.read_bytes()
        except OSError as error:
            raise _make_incomplete_error(f"{location}: {error.strerror}") from error
    if f"{_PACKAGE.name}/__init__.py" not in files:
        raise _make_incomplete_error("the list of its files is missing")
    stated = f"{info}/METADATA"
    files[stated] = re.sub(rb"(?m)^Version: .*$", f"Version: {version}".encode(), files[stated], count=1)
    record = f"{info}/RECORD"
    files[record] = "".join((*map(_make_record, files, files.values()), f"{record},,\n")).encode()
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # Its default time never changes.
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _make_record(name: str, content: bytes) -> str:
    """Return the line about a file in a wheel's list of files."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def _make_incomplete_error(reason: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"The installed package {DISTRIBUTION} is incomplete: {reason}.",
        remedy="Install it again: pip install --force-reinstall --no-deps WHEEL.",
    )


def _run_pip(source: Path, built: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        [*command, "--wheel-dir", str(built), str(source)],
        # The time makes the same content give the same bytes.
        env={**environ, "PYTHONSAFEPATH": "1", "SOURCE_DATE_EPOCH": "315532800"},
        capture_output=True,
        text=True,
        check=False,
    )
    _logger.debug("%s: exit code %d", shlex.join(ended.args), ended.returncode)
    if ended.returncode != 0:
        output = (ended.stdout + ended.stderr).strip().splitlines()[-_SHOWN_LINES:]
        raise PrerequisiteError("Can't build the wheel:\n" + "\n".join(f"    {line}" for line in output))
