"""Paths and names on the pages for contributors."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("CONTRIBUTING.md", "docs/architecture.md")
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)*/?")
_FILE = re.compile(r"\.(py|md|toml|yaml|lock|in|json|j2|mjs)$")
_NAME = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)(?:\(\))?")
_OUTPUT = {"plan.json", "result.json", "report.html", "report.md", "junit.xml", "parity.json", "harness.toml"}
"""Files that a run or a user writes."""


@cache
def _tracked() -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).exists())


@cache
def _words() -> frozenset[str]:
    """Return every word of the tree's code and configuration."""
    code = [
        ROOT / name
        for name in _tracked()
        if re.search(r"(\.(py|yaml|toml|json|j2)|Makefile|Dockerfile|\.ci/run)$", name)
    ]
    code = [file for file in code if "unit/bad" not in file.as_posix() and file != Path(__file__)]
    return frozenset(word for file in code for word in re.findall(r"\w+", file.read_text(encoding="utf-8")))


def _exists(path: str) -> bool:
    """Return whether the tree has a path, or one that ends like it; ``*`` stands for any part of a name."""
    wanted = re.escape(path.rstrip("/")).replace(re.escape("*"), "[^/]*")
    pattern = re.compile(f"(.*/)?{wanted}(/.*)?")
    return any(pattern.fullmatch(name) for name in _tracked())


def missing_names(text: str) -> list[str]:
    """Return the paths and names in backquotes that the tree does not have."""
    return [code for code in _CODE.findall(_FENCE.sub("", text)) if code not in _OUTPUT and _is_missing(code)]


def _is_missing(code: str) -> bool:
    if _PATH.fullmatch(code) and ("/" in code or _FILE.search(code)) and not code.startswith("."):
        return not _exists(code)
    name = _NAME.fullmatch(code)
    is_identifier = name is not None and ("_" in code or re.search("[a-z][A-Z]|[.(]", code) is not None)
    return name is not None and is_identifier and name[1] not in _words()


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_name_of_a_page_exists(page: str) -> None:
    """Each path and name in backquotes on a contributor's page exists in the tree."""
    assert [] == missing_names((ROOT / page).read_text(encoding="utf-8"))


def test_missing_paths_and_names_are_found() -> None:
    """A renamed file or function fails the check until the page follows."""
    text = "See `harness/no_such.py`, `no_such_function()`, `harness/workflow.py` and `open_session`."
    assert ["harness/no_such.py", "no_such_function()"] == missing_names(text)
