"""What deleting a stack deletes: the list, the question and the build cache."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app, stack_commands
from harness.errors import ExitCode
from harness.targets.compose import leftovers as module
from harness.targets.compose.docker import PROJECT
from harness.targets.compose.leftovers import DiskUse, find_leftovers, list_build_commands, remove_build_cache
from harness.targets.compose.stack import Stack

RUN = "mount / from exec /bin/sh -c "
CACHE = [
    {"ID": "a1*", "Parent": "", "Size": "1.2GB", "Description": RUN + "touch /build/source/README.md"},
    {"ID": "b2", "Parent": "a1", "Size": "300MB", "Description": "fileop target"},
    {"ID": "c3", "Parent": "b2", "Size": "20kB", "Description": "fileop target"},
    {"ID": "d4", "Parent": "", "Size": "5GB", "Description": RUN + "make of another project"},
    {"ID": "e5", "Parent": "d4", "Size": "5GB", "Description": "fileop target"},
]
USE = {
    "Volumes": [
        {"Name": "mine_azurite", "Size": "3.1MB"},
        {"Name": "mine_postgres", "Size": "51MB"},
        {"Name": "mine_job-secrets", "Size": "176B"},
        {"Name": "other_azurite", "Size": "9GB"},
    ],
    "Images": [
        {"Repository": "dataset-harness-spark", "Tag": "0123", "Size": "1.31GB"},
        {"Repository": "debian", "Tag": "bookworm-slim", "Size": "126MB"},
    ],
    "BuildCache": CACHE,
}


@pytest.fixture(name="engine")
def _engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a Docker command that lists this disk use; return the file with the calls."""
    (tmp_path / "use.json").write_text(json.dumps(USE))
    command = tmp_path / "docker"
    command.write_text(
        f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\n[ "$1" = system ] && cat "{tmp_path}/use.json"\ntrue\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "calls"


def test_everything_is_listed_with_its_size(engine: Path, tmp_path: Path) -> None:
    """The list has this stack's data, this project's images and caches, and nothing of others."""
    found = find_leftovers("mine", {"dataset-harness-spark"}, tmp_path)
    assert engine.exists()
    assert [(each.label, each.size, each.location) for each in found] == [
        ("tables and models", "3.1MB", "volume mine_azurite"),
        ("MLflow's records", "51MB", "volume mine_postgres"),
        ("image", "1.31GB", "dataset-harness-spark:0123"),
        ("secrets", "", str(tmp_path)),
        ("build cache", "1.5GB", "3 entries of Docker's build cache"),
    ]


def test_an_engine_without_an_answer_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Docker can't list its disk use, only the files of this machine are listed."""
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert [] == find_leftovers("mine", {"dataset-harness-spark"}, tmp_path / "none")


def test_the_build_cache_of_this_project_is_found() -> None:
    """The cache of each command of a Dockerfile is found, and what was copied onto it."""
    dockerfiles = "".join(file.read_text() for file in (PROJECT / "docker").glob("*/Dockerfile"))
    commands = list_build_commands()
    assert len(set(re.findall(r"^RUN .*", dockerfiles, re.MULTILINE))) <= len(commands) + 2
    assert not any("--mount" in command or "\\" in command or "# " in command for command in commands)
    cache = [
        {"ID": f"id{number}", "Size": "1B", "Description": RUN + command.replace("&&", "    &&")}
        for number, command in enumerate(sorted(commands))
    ]
    assert len(commands) == len(DiskUse((), (), cache).find_build_cache())
    assert {"a1": 1_200_000_000, "b2": 300_000_000, "c3": 20_000} == DiskUse((), (), CACHE).find_build_cache()


def test_only_these_entries_of_the_build_cache_are_removed(engine: Path) -> None:
    """The build cache of other projects stays."""
    remove_build_cache(["a1", "b2"])
    remove_build_cache([])
    assert "builder prune --force --filter id=^(a1|b2)$\n" == engine.read_text()


@pytest.fixture(name="removed")
def _removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the stacks that a command removes."""
    removed: list[str] = []
    monkeypatch.setattr(Stack, "remove", lambda stack: removed.append(stack.name))
    rows = [module.Leftover("MLflow's records", "51MB", "volume x_postgres")]
    monkeypatch.setattr(Stack, "find_leftovers", lambda _stack: rows)
    return removed


LINES = "This deletes the stack 'dataset-harness':\n  MLflow's records         51MB  volume x_postgres\n"


@pytest.mark.parametrize(
    ("answer", "code", "count"), [("y\n", 0, 1), ("n\n", ExitCode.WRONG_INPUT, 0), ("\n", 2, 0)]
)
def test_a_person_is_asked(
    removed: list[str], monkeypatch: pytest.MonkeyPatch, answer: str, code: int, count: int
) -> None:
    """On a terminal, the stack is deleted after a yes only."""
    monkeypatch.setattr(stack_commands, "is_terminal", lambda: True)
    done = CliRunner().invoke(app, ["clean", "--stack"], input=answer)
    assert (code, count) == (done.exit_code, len(removed))
    assert done.stdout.startswith(LINES)
    assert ("Nothing was deleted." in done.stdout) == (count == 0)


def test_nobody_is_asked_without_a_terminal(removed: list[str]) -> None:
    """Without a terminal, nothing is deleted unless the command line says so."""
    done = CliRunner().invoke(app, ["clean", "--stack"])
    assert ([], True) == (
        removed,
        "Nothing was deleted: the confirmation needs a terminal" in str(done.exception),
    )
    done = CliRunner().invoke(app, ["clean", "--stack", "--force"])
    assert (0, 1, True) == (done.exit_code, len(removed), done.stdout.startswith(LINES))
