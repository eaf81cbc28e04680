"""What the lock files hold."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [
    *ROOT.glob("requirements/*.lock"),
    *ROOT.glob("harness/runtime/*.lock"),
    *ROOT.glob("docker/*/*.lock"),
    *ROOT.glob("docker/*/package-lock.json"),
    *ROOT.glob("tests/databricks/standin/runtimes/*.lock"),
]


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_lock_names_no_address(file: Path) -> None:
    """Versions and hashes alone: where to fetch from is up to everybody's own tools."""
    named = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if "://" in line]
    assert [] == named
