"""Small wheels for the tests of the stand-in; the same source gives the same file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(
    folder: Path,
    name: str,
    source: str,
    *,
    scripts: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
    requires_python: str = ">=3.11",
) -> Path:
    """Write a wheel with one module.

    Args:
        folder: Folder to write to.
        name: Name of the package and of the module.
        source: Source of the module.
        scripts: Console scripts: the name, and the function in the module.
        requires: Its dependencies.
        requires_python: Supported Python versions.
    """
    info = f"{name}-1.0.dist-info"
    header = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Python: {requires_python}\n"
    entry_points = "".join(f"{script} = {name}:{function}\n" for script, function in (scripts or {}).items())
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": header + "".join(f"Requires-Dist: {each}\n" for each in requires),
        f"{info}/WHEEL": _WHEEL,
        f"{info}/entry_points.txt": f"[console_scripts]\n{entry_points}",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            # The default time of an entry never changes.
            archive.writestr(zipfile.ZipInfo(file), text)
    return wheel
