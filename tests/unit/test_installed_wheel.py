"""The wheel of an installed package: without a checkout, the installed files are packed again."""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import wheel
from harness.errors import PrerequisiteError
from harness.wheel import build_wheel, compute_version
from tests.environments import install_wheel

BUILD = """
import sys
from pathlib import Path
from harness.wheel import build_wheel
print(build_wheel(Path(sys.argv[1])))
"""


@dataclass(frozen=True)
class Laptop:
    """An environment that has the wheel and its dependencies, but no checkout."""

    folder: Path
    wheel: Path
    """The wheel that is installed."""

    @property
    def harness(self) -> Path:
        """The installed package."""
        [found] = self.folder.glob("venv/lib/python*/site-packages/harness")
        return found

    def build(self, name: str = "wheels") -> subprocess.CompletedProcess[str]:
        """Build the wheel there, in a process."""
        python, target = self.folder / "venv" / "bin" / "python", self.folder / name
        return subprocess.run(
            # Isolated, as pytest's processes have the checkout on the Python path.
            [str(python), "-I", "-c", BUILD, str(target)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(name="laptop")
def _laptop(tmp_path: Path) -> Laptop:
    compute_version.cache_clear()
    built = build_wheel(tmp_path / "built")
    install_wheel(tmp_path / "venv", built)
    return Laptop(tmp_path, built)


def _read(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_installed_package_packs_the_same_wheel(laptop: Laptop) -> None:
    """Without a checkout, the wheel has the same name, and the same files with the same content."""
    built = laptop.build()
    assert 0 == built.returncode, built.stderr
    packed = Path(built.stdout.strip())
    assert laptop.folder / "wheels" / laptop.wheel.name == packed
    here, there = _read(laptop.wheel), _read(packed)
    [record] = [name for name in here if name.endswith("/RECORD")]
    lists = [sorted(each.pop(record).decode().splitlines()) for each in (here, there)]
    assert lists[0] == lists[1]
    assert here == there


def test_a_packed_wheel_can_be_installed(laptop: Laptop) -> None:
    """A wheel that was packed from installed files can be installed and packed again, byte by byte."""
    first = Path(laptop.build().stdout.strip()).read_bytes()
    install_wheel(laptop.folder / "second" / "venv", laptop.folder / "wheels" / laptop.wheel.name)
    second = Laptop(laptop.folder / "second", laptop.wheel).build()
    assert 0 == second.returncode, second.stderr
    assert first == Path(second.stdout.strip()).read_bytes()


def test_a_changed_installed_file_gives_another_version(laptop: Laptop) -> None:
    """A file that was changed after the installation is packed as it is, under another version."""
    file = laptop.harness / "memory.py"
    file.write_text(file.read_text(encoding="utf-8") + "# Changed.\n", encoding="utf-8")
    packed = Path(laptop.build().stdout.strip())
    assert laptop.wheel.name != packed.name
    files = _read(packed)
    assert files["harness/memory.py"].endswith(b"# Changed.\n")
    [stated] = [text for name, text in files.items() if name.endswith("/METADATA")]
    assert f"\nVersion: {packed.name.split('-')[1]}\n".encode() in stated


def test_a_missing_installed_file_is_reported(laptop: Laptop) -> None:
    """A missing file is named, with how to install the package again; no wheel is left."""
    (laptop.harness / "scenario.schema.json").unlink()
    failed = laptop.build()
    assert 0 != failed.returncode
    assert "dataset-harness is incomplete: " in failed.stderr
    assert "scenario.schema.json: No such file" in failed.stderr
    assert not (laptop.folder / "wheels").exists()


def test_an_unknown_list_of_files_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that doesn't list its files, as a link to a checkout that is gone, can't be packed."""
    package = tmp_path / "harness"
    package.mkdir()
    monkeypatch.setattr(wheel, "_PACKAGE", package)
    compute_version.cache_clear()
    with pytest.raises(PrerequisiteError, match="the list of its files is missing"):
        build_wheel(tmp_path / "wheels")
    compute_version.cache_clear()
    assert not (tmp_path / "wheels").exists()
