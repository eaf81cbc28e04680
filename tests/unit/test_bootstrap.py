"""The setup of a machine, started as make does."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.runtime import bootstrap

ROOT = Path(bootstrap.__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
ABSENT = "setuptools==0.0.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start the setup as make does, without network."""
    return subprocess.run(
        [sys.executable, "-I", bootstrap.__file__, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""},
    )


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Return a lock file of a package that doesn't exist."""
    path = tmp_path / "some.lock"
    path.write_text(ABSENT)
    return path


def test_old_syntax() -> None:
    """Python 3.6 can parse the setup, so that it can report that it is too old."""
    source = Path(bootstrap.__file__).read_text()

    ast.parse(source, feature_version=(3, 6))
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]


def test_wrong_python(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unsupported Python is reported with its version, the remedy and exit code 3."""
    monkeypatch.setattr(bootstrap, "SUPPORTED", ((3, 4),))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--venv", "x", "--lock", str(lock)])

    assert bootstrap.main() == 3
    errors = capsys.readouterr().err
    assert bootstrap.version_text(sys.version_info) in errors
    assert "make PYTHON=" in errors


def test_without_venv(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Python without venv is reported with the package to install and exit code 3."""
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--venv", "x", "--lock", str(lock)])

    assert bootstrap.main() == 3
    version = ".".join(str(part) for part in sys.version_info[:2])
    assert f"sudo apt-get install python{version}-venv" in capsys.readouterr().err


def test_foreign_folder(tmp_path: Path, lock: Path) -> None:
    """A folder with other files is refused and left unchanged."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")

    result = run("--venv", str(folder), "--lock", str(lock))

    assert result.returncode == 3
    assert "is not a virtual environment" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_second_run(tmp_path: Path, lock: Path) -> None:
    """If the inputs are unchanged, the setup does nothing and prints nothing."""
    folder = tmp_path / "venv"
    folder.mkdir()
    (folder / ".ready-some").write_text(bootstrap.digest_of(str(lock)))

    result = run("--venv", str(folder), "--lock", str(lock))

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [path.name for path in folder.iterdir()] == [".ready-some"]


def test_changed_lock(lock: Path) -> None:
    """A changed lock file has another digest, so the old stamp doesn't count."""
    before = bootstrap.digest_of(str(lock))
    lock.write_text(ABSENT.replace("0.0.0", "0.0.1"))

    assert bootstrap.digest_of(str(lock)) != before


def test_failed_download(tmp_path: Path, lock: Path) -> None:
    """A failed download shows pip's last lines and the log, exits with 3 and writes no stamp."""
    folder = tmp_path / "venv"

    result = run("--venv", str(folder), "--lock", str(lock))

    assert result.returncode == 3
    assert "No matching distribution found for setuptools==0.0.0" in result.stderr
    assert "setup.log" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(folder.glob(".ready-*"))


def test_block_of() -> None:
    """The lines of a package end with its last hash."""
    text = "a==1 \\\n    --hash=sha256:1\nb==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\nc==4\n"

    assert bootstrap.block_of("b", text) == "b==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\n"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_locks_are_hashed_and_name_no_host(path: Path) -> None:
    """Every line of a lock file is a pinned version or a hash; none has an address."""
    lines = path.read_text().splitlines()
    pin_or_hash = re.compile(r"[A-Za-z0-9._-]+==\S+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")

    assert [line for line in lines if not pin_or_hash.fullmatch(line)] == []


def test_the_development_lock_contains_the_run_lock() -> None:
    """The development lock has every pin of the run lock, so both fit one environment."""
    pins = {path.stem: set(re.findall(r"^\S+==\S+", path.read_text(), re.MULTILINE)) for path in LOCKS}

    assert pins["run"] <= pins["dev"]
