"""Values on make's command line, which reach the commands as they were typed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_docker import NO_DOCKER, NO_ENGINE

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RECIPES = "\n".join(re.findall(r"^\t.*", MAKEFILE, re.MULTILINE))
FAKE = """#!{python}
import sys
from pathlib import Path
Path({record!r}).write_text("\\0".join(sys.argv[1:]))
"""
HOSTILE = """-x `touch {0}1` $(touch {0}2) $$(touch {0}3) $(shell touch {0}4) ${{HOME}} $HOME $@ ; touch {0}5
&& touch {0}6 | touch {0}7 # "double" 'single' \\ * ? ~ {{a,b}}\t(Y/N) % é -- ARGS {1}"""
TARGETS = {
    "asset-bundle": "asset-bundle --table TABLE --versions VERSIONS -- NAME",
    "attach": "attach -- RUN",
    "bisect": "bisect --target TARGET --table TABLE --versions VERSIONS -- NAME",
    "calibrate": "calibrate --target TARGET --table TABLE --versions VERSIONS -- NAME",
    "check": "check -- NAME",
    "clean-runs": "clean --keep-runs KEEP_RUNS",
    "compare": "compare --html HTML -- A B",
    "doctor": "doctor --target TARGET",
    "history": "history -- TABLE",
    "init": "init --data DATA --label LABEL -- NAME",
    "plan": "plan --table TABLE --versions VERSIONS -- NAME",
    "publish": "publish --to TO -- RUN",
    "replay": "replay --target TARGET -- RUN_ID",
    "report": "report -- RUN",
    "resume": "resume -- RUN",
    "retain": "retain -- TABLE",
    "rollback": "rollback --target TARGET -- MODEL",
    "runs": "runs --target TARGET --scenario NAME --table TABLE --version VERSION",
    "scenario": "scenario --target TARGET --table TABLE --versions VERSIONS -- NAME",
    "trace": "trace --target TARGET -- RUN",
    "ui": "ui --target TARGET",
    "up": "up --workers WORKERS",
    "watch": "watch --target TARGET --table TABLE --versions VERSIONS -- NAME",
    "validate": "validate --target TARGET --table TABLE --versions VERSIONS -- NAME",
}
"""Targets of the harness that take values, to the arguments of the command; capitals stand for a value."""


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> Path:
    """Return a virtual environment whose commands only record their arguments."""
    commands = tmp_path / "an environment" / "bin"
    commands.mkdir(parents=True)
    (commands / "python").symlink_to(sys.executable)
    for name in ("harness", "pytest"):
        (commands / name).write_text(FAKE.format(python=sys.executable, record=str(tmp_path / "record")))
        (commands / name).chmod(0o755)
    return commands.parent


def _make(environment: Path, target: str, **values: str) -> subprocess.CompletedProcess[str]:
    settings = {"VENV": str(environment), "PYTHON": "true", **values}
    words = [f"{name}={value}" for name, value in settings.items()]
    return subprocess.run(["make", target, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def _record(environment: Path, target: str, **values: str) -> list[str]:
    """Call make, and return the arguments of the command that it started."""
    done = _make(environment, target, **values)
    assert (0, "") == (done.returncode, done.stderr)
    return (environment.parent / "record").read_text().split("\0")


@pytest.mark.parametrize("target", TARGETS)
def test_values_reach_the_command_unchanged(environment: Path, target: str) -> None:
    """Each value is one argument of the command, with every character; nothing in it is executed."""
    mark = environment.parent / "executed"
    words = TARGETS[target].split()
    values = {name: HOSTILE.format(mark, name) for name in words if name.isupper()}
    expected = [values.get(word, word) for word in words]
    assert expected == _record(environment, target, **values)
    assert [] == list(environment.parent.glob(f"{mark.name}*"))


def test_every_value_of_a_recipe_is_tested() -> None:
    """A recipe that takes another value needs a test, and takes it from the environment, as the others do."""
    tested = {word for words in TARGETS.values() for word in words.split() if word.isupper()}
    definitions = "\n".join(re.findall(r"^ON_.*", MAKEFILE, re.MULTILINE))
    taken = set(re.findall(r'"\$\$([A-Z_]+)"', RECIPES + definitions)) - {"KEEP"}
    assert tested == taken
    names = "|".join(re.findall(r"^([A-Z_]+) =$", MAKEFILE, re.MULTILINE))
    without_conditions = re.sub(r"\$\(if (\$\(and (\$\(\w+\),?)+\)|\$\(\w+\)),", "", RECIPES)
    assert [] == re.findall(rf"\$[({{](?:{names})[)}}]", without_conditions)


def test_args_are_several_words(environment: Path) -> None:
    """ARGS are split as in a shell, with quotes, but nothing in them is expanded or executed."""
    mark = environment.parent / "executed"
    text = f"""--positive "Charged Off" '$(touch {mark})' `touch {mark}` ; * $HOME ''"""
    words = ["--positive", "Charged Off", f"$(touch {mark})", "`touch", f"{mark}`", ";", "*", "$HOME", ""]
    assert ["check", *words, "--", "ARGS"] == _record(environment, "check", NAME="ARGS", ARGS=text)
    assert ["check"] == _record(environment, "check")
    assert words == _record(environment, "test-unit", ARGS=text)[-len(words) - 1 : -1]
    assert not mark.exists()


def test_an_open_quote_in_args_is_reported(environment: Path) -> None:
    """ARGS with an open quote is one message, and the command does not start."""
    done = _make(environment, "list", ARGS="--target 'x")
    assert "ARGS=--target 'x: No closing quotation.\n  Close the quotation.\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (environment.parent / "record").exists()


def test_other_variables_are_not_expanded_either(environment: Path) -> None:
    """A variable that no target uses, such as a mistyped one, is not executed when make passes it on."""
    mark = environment.parent / "executed"
    assert ["list"] == _record(environment, "list", OTHER=f"$(shell touch {mark})")
    assert not mark.exists()


def test_the_setup_gets_its_values_unchanged(tmp_path: Path) -> None:
    """PYTHON and VENV can be paths with spaces and other odd characters."""
    python = tmp_path / "a 'python' $x"
    python.write_text(FAKE.format(python=sys.executable, record=str(tmp_path / "record")))
    python.chmod(0o755)
    arguments = _record(tmp_path / "v $(x) #", "run-ready", PYTHON=str(python))
    assert str(tmp_path / "v $(x) #") == arguments[arguments.index("--venv") + 1]


STACK_TARGETS = ("build", "up", "down", "restart", "ps", "logs", "clean")


def _make_without_engine(tmp_path: Path, target: str, docker: str | None) -> str:
    """Call make where the setup only records that it was called; return what it reports."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "tail").symlink_to(shutil.which("tail") or "")
    if docker is not None:
        (commands / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (commands / "docker").chmod(0o755)
    setup = tmp_path / "python"
    setup.write_text(FAKE.format(python=sys.executable, record=str(tmp_path / "record")))
    setup.chmod(0o755)
    done = subprocess.run(
        [shutil.which("make") or "make", target, f"PYTHON={setup}"],
        cwd=ROOT,
        env={"PATH": str(commands)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (2, False) == (done.returncode, (tmp_path / "record").exists())
    return done.stderr.rpartition("make: ***")[0].replace("TARGET=embedded", "--target embedded")


@pytest.mark.parametrize("target", STACK_TARGETS)
def test_without_docker_nothing_is_set_up(tmp_path: Path, target: str) -> None:
    """A missing Docker is reported, as by the command itself, before anything is downloaded for it."""
    assert f"{NO_DOCKER}\n" == _make_without_engine(tmp_path, target, None)


def test_without_an_engine_nothing_is_set_up(tmp_path: Path) -> None:
    """An engine that doesn't answer is reported with Docker's reason, as by the command itself."""
    docker = "echo '20.10'; echo 'warning' >&2; echo 'Cannot connect.' >&2; exit 1"
    assert f"{NO_ENGINE.format('Cannot connect.')}\n" == _make_without_engine(tmp_path, "up", docker)


def test_clean_asks_unless_forced(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE=1 deletes the stack without a question."""
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert ["clean", "--stack"] == _record(environment, "clean")
    assert ["clean", "--stack", "--force"] == _record(environment, "clean", FORCE="1")
