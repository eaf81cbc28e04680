"""The Git commit of a scenario's folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.loading.git_commit import find_git_commit


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=me", "-c", "user.email=me@example.com")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_of_a_work_tree_is_found(tmp_path: Path) -> None:
    """The commit is the one that is checked out, also from a folder inside the work tree."""
    _git(tmp_path, "init", "--quiet")
    assert find_git_commit(tmp_path) is None
    _git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    (tmp_path / "scenarios").mkdir()
    assert _git(tmp_path, "rev-parse", "HEAD") == find_git_commit(tmp_path / "scenarios")


def test_nothing_fails_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no commit outside of a work tree, in a missing folder, or without Git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert find_git_commit(tmp_path) is None
    assert find_git_commit(tmp_path / "missing") is None
    monkeypatch.setenv("PATH", "")
    assert find_git_commit(Path(__file__).parent) is None
