"""The Git commit of a scenario, if it is in a work tree."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_TIMEOUT_S = 10
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def find_git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder; ``None`` without Git, a work tree or a commit."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    commit = done.stdout.strip()
    return commit if done.returncode == 0 and _COMMIT.fullmatch(commit) else None
