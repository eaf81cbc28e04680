"""Python environments as on a cluster: one for each runtime, and one for each submitted wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from uv import find_uv_bin

from harness.files import exclusive_lock, sha256_of
from harness.runtime.jars import choose_cache_folder

LOCKS = Path(__file__).with_name("runtimes")
DBR_15_4, DBR_16_4 = "15.4.x-cpu-ml-scala2.12", "16.4.x-cpu-ml-scala2.12"
_KEPT = 6
_TIMEOUT_S = 540
_LINES_SHOWN = 12
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


class InstallError(Exception):
    """The last lines of the installer's output."""


def families() -> tuple[str, ...]:
    """Return the known runtimes, such as 16.4."""
    return tuple(sorted(lock.stem for lock in LOCKS.glob("*.lock")))


def family_of(runtime: str) -> str:
    """Return 16.4 for 16.4.x-cpu-ml-scala2.12.

    Raises:
        ValueError: The runtime is unknown.
    """
    found = re.match(r"(\d+\.\d+)\.x-", runtime)
    if found is None or found[1] not in families():
        raise ValueError(f"Unknown runtime {runtime!r}; known ones: {', '.join(families())}.")
    return found[1]


def read_locked_version(runtime: str, package: str) -> str:
    """Return the version of a package in a runtime, for this Python."""
    text = _lock(runtime).read_text(encoding="utf-8")
    found = map(Requirement, re.findall(rf"^{package}==[^\\\n]+", text, re.MULTILINE))
    [pin] = [each for each in found if each.marker is None or each.marker.evaluate()]
    return next(iter(pin.specifier)).version


@dataclass(frozen=True)
class Environments:
    """Folder of all environments.

    A wheel's environment starts as a copy of its runtime's, as hard links. The wheel is then installed into
    it, so that the installer sees the runtime's packages, as on a cluster: it keeps those that fit, and
    replaces the others for this wheel only.
    """

    root: Path = field(default_factory=lambda: choose_cache_folder(os.environ) / "runtimes")

    def folder(self, runtime: str, wheel: Path) -> Path:
        """Return the folder of the wheel's environment, which exists only if it is complete."""
        return self.root / "wheels" / f"{self._base(runtime).name}-{sha256_of(wheel)[:16]}"

    def make(self, runtime: str, wheel: Path) -> None:
        """Install the wheel unless it is installed already.

        Raises:
            InstallError: The installer refuses it.
        """
        folder = self.folder(runtime, wheel)
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(self.root / "lock"):
                base = self._base(runtime)
                _create_once(base, lambda aside: _install_runtime(aside, _lock(runtime)))
                _create_once(folder, lambda aside: _install_wheel(aside, base, wheel))
                _remove_oldest(folder.parent)
        os.utime(folder)

    def _base(self, runtime: str) -> Path:
        return self.root / f"{family_of(runtime)}-{_PYTHON}-{sha256_of(_lock(runtime))[:16]}"


def python_of(environment: Path) -> Path:
    """Return the environment's Python."""
    return environment / "bin" / "python"


def _lock(runtime: str) -> Path:
    return LOCKS / f"{family_of(runtime)}.lock"


def _create_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Create a folder under another name and rename it, unless it exists."""
    if folder.is_dir():
        return
    aside = folder.with_name(f"{folder.name}.partial")
    # A process that was killed may have left one.
    shutil.rmtree(aside, ignore_errors=True)
    try:
        make(aside)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _install_runtime(environment: Path, lock: Path) -> None:
    _create(environment)
    # Compiled only here: the wheels' environments link to the compiled files, too.
    _install(environment, "--require-hashes", "--compile-bytecode", "-r", str(lock))


def _install_wheel(environment: Path, base: Path, wheel: Path) -> None:
    _create(environment)
    shutil.copytree(
        _packages(base),
        _packages(environment),
        copy_function=_link,
        dirs_exist_ok=True,
        # These files are specific to an environment.
        ignore=shutil.ignore_patterns("_virtualenv*"),
    )
    _install(environment, str(wheel))


def _create(environment: Path) -> None:
    # Relocatable, because it is renamed when it is complete.
    _uv("venv", "--relocatable", "--python", sys.executable, str(environment))


def _install(environment: Path, *arguments: str) -> None:
    _uv("pip", "install", "--python", str(python_of(environment)), *arguments)


def _uv(*arguments: str) -> None:
    result = subprocess.run(
        [find_uv_bin(), "--no-progress", "--color", "never", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if result.returncode != 0:
        raise InstallError("\n".join(result.stderr.splitlines()[-_LINES_SHOWN:]))


def _packages(environment: Path) -> Path:
    return environment / "lib" / _PYTHON / "site-packages"


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:  # The file system has no hard links.
        shutil.copy2(source, target)


def _remove_oldest(wheels: Path) -> None:
    """Remove all but the most recently used environments."""
    by_age = sorted(wheels.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in by_age[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
