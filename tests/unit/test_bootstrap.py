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
    """Start the set-up as make does, without any network."""
    return subprocess.run(
        [sys.executable, "-I", bootstrap.__file__, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""},
    )


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of one package that is nowhere."""
    path = tmp_path / "some.lock"
    path.write_text(ABSENT)
    return path


def test_old_syntax() -> None:
    """Python 3.6 can read it, and so can say that it is too old."""
    source = Path(bootstrap.__file__).read_text()

    ast.parse(source, feature_version=(3, 6))
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]


def test_wrong_python(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Python that won't do gives its version, the remedy and exit code 3."""
    monkeypatch.setattr(bootstrap, "SUPPORTED", ((3, 4),))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--venv", "x", "--lock", str(lock)])

    assert bootstrap.main() == 3
    said = capsys.readouterr().err
    assert bootstrap.version_text(sys.version_info) in said
    assert "make PYTHON=" in said


def test_without_venv(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Python without venv gives the package to install and exit code 3."""
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--venv", "x", "--lock", str(lock)])

    assert bootstrap.main() == 3
    version = ".".join(str(part) for part in sys.version_info[:2])
    assert f"sudo apt-get install python{version}-venv" in capsys.readouterr().err


def test_foreign_folder(tmp_path: Path, lock: Path) -> None:
    """A folder with something else in it is refused and not touched."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")

    result = run("--venv", str(folder), "--lock", str(lock))

    assert result.returncode == 3
    assert "is not a virtual environment" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_second_run(tmp_path: Path, lock: Path) -> None:
    """With the stamp of the very same inputs nothing is done and nothing is said."""
    folder = tmp_path / "venv"
    folder.mkdir()
    (folder / ".ready-some").write_text(bootstrap.digest_of(str(lock)))

    result = run("--venv", str(folder), "--lock", str(lock))

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [path.name for path in folder.iterdir()] == [".ready-some"]


def test_changed_lock(lock: Path) -> None:
    """Another lock has another digest, so that the stamp of the old one does not count."""
    before = bootstrap.digest_of(str(lock))
    lock.write_text(ABSENT.replace("0.0.0", "0.0.1"))

    assert bootstrap.digest_of(str(lock)) != before


def test_failed_download(tmp_path: Path, lock: Path) -> None:
    """A download that fails gives pip's last words, the log and exit code 3, and leaves no stamp."""
    folder = tmp_path / "venv"

    result = run("--venv", str(folder), "--lock", str(lock))

    assert result.returncode == 3
    assert "No matching distribution found for setuptools==0.0.0" in result.stderr
    assert "setup.log" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(folder.glob(".ready-*"))


def test_block_of() -> None:
    """A package's lines end with its last hash."""
    text = "a==1 \\\n    --hash=sha256:1\nb==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\nc==4\n"

    assert bootstrap.block_of("b", text) == "b==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\n"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_locks_are_hashed_and_name_no_host(path: Path) -> None:
    """Every line of a lock pins a version or a hash; none names a place to download from."""
    lines = path.read_text().splitlines()
    pin_or_hash = re.compile(r"[A-Za-z0-9._-]+==\S+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")

    assert [line for line in lines if not pin_or_hash.fullmatch(line)] == []


def test_development_needs_all_that_a_run_needs() -> None:
    """The development lock has every pin of the run lock, so that both fit into one environment."""
    pins = {path.stem: set(re.findall(r"^\S+==\S+", path.read_text(), re.MULTILINE)) for path in LOCKS}

    assert pins["run"] <= pins["dev"]
