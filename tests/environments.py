"""Python environments with only the wheel, as on a machine without a checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from uv import find_uv_bin


def install_wheel(environment: Path, built: Path) -> None:
    """Create an environment with only this wheel; its dependencies are those of the tests' environment."""
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--python", str(python), "--no-deps", str(built)], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    # A folder in such a file is searched for modules; its own such files, as ours for the checkout, are not.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
