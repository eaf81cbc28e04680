"""The content of the lock files."""

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
def test_a_lock_has_no_addresses(file: Path) -> None:
    """A lock has only versions and hashes, as everybody's own tools decide where to download from."""
    addresses = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if "://" in line]
    assert [] == addresses
