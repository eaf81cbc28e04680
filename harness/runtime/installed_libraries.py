"""The Python and the packages that are installed beside the harness, as one digest."""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from pathlib import Path

_DIGITS = 16


def identify_libraries(*others: str) -> str:
    """Return a digest that changes with the version of Python or of any installed package.

    Args:
        others: What else the libraries depend on, such as the version of Java.
    """
    # Their folders' names have the versions: reading the metadata of all takes half a second.
    folders = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    packages = sorted({each.stem for folder in folders for each in folder.glob("*.dist-info")})
    text = "\n".join((platform.python_version(), *packages, *others))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
