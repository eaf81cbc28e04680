"""The wheel of the harness, and the version that names its content."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from harness import wheel
from harness.errors import PrerequisiteError
from harness.wheel import DISTRIBUTION, build_wheel, compute_version
from tests.embedded.runner import ROOT

OTHERS = ("pyspark", "delta-spark", "numpy", "pandas", "pyarrow")


@pytest.fixture(name="package")
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide a package of one module in place of the harness."""
    package = tmp_path / "harness"
    package.mkdir()
    (tmp_path / "dataset_harness").mkdir()
    (package / "a.py").write_text("A = 1\n")
    monkeypatch.setattr(wheel, "_PACKAGE", package)
    compute_version.cache_clear()
    return package


@pytest.fixture(autouse=True)
def _clear_cache() -> None:
    compute_version.cache_clear()


def test_the_version_names_the_content(package: Path) -> None:
    """Every change of the code gives another version of the same release."""
    before = compute_version()
    compute_version.cache_clear()
    (package / "a.py").write_text("A = 2\n")
    released = metadata.version(DISTRIBUTION)
    assert [f"{released}+"] * 2 == [each[: len(released) + 1] for each in (before, compute_version())]
    assert before != compute_version()


def test_other_files_do_not_change_the_version(package: Path) -> None:
    """Files that Python writes next to the code do not change the version."""
    before = compute_version()
    compute_version.cache_clear()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    assert before == compute_version()


def test_the_wheel_requires_the_jobs_dependencies_only(tmp_path: Path) -> None:
    """The wheel's dependencies have two bounds or a pin, without Spark, Delta and numpy of the runtime."""
    plain = _list_requirements(tmp_path)
    assert all("==" in each or (">=" in each and "<" in each) for each in plain)
    assert not any(each.startswith(OTHERS) for each in plain)


def test_the_wheel_pins_what_a_runtime_lacks(tmp_path: Path) -> None:
    """The wheel requires the exact versions that the project lists for a cluster, besides the ranges."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = project["optional-dependencies"]["cluster"]
    assert sorted(map(Requirement, [*project["dependencies"], *pins]), key=str) == sorted(
        map(Requirement, _list_requirements(tmp_path)), key=str
    )
    assert all("==" in each for each in pins)


def test_the_docs_name_what_a_cluster_installs() -> None:
    """The docs list every package, with its version, that a cluster installs with the wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    exact = {each.partition(";")[0].replace("==", "` ") for each in pins if "==" in each}
    text = (ROOT / "docs" / "databricks.md").read_text(encoding="utf-8")
    assert exact == {each for each in exact if f"`{each}" in text}


def test_the_version_is_the_same_on_a_cluster(tmp_path: Path) -> None:
    """The job on a cluster computes the version that the wheel's name has, from its own requirements."""
    built = build_wheel(tmp_path)
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path / "installed")
    program = "from harness.wheel import compute_version; print(compute_version())"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert built.name.split("-")[1] == compute_version() == ended.stdout.strip()


def _list_requirements(folder: Path) -> list[str]:
    """Build the wheel, and return what it requires on a cluster."""
    with zipfile.ZipFile(build_wheel(folder)) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("METADATA")]
        lines = archive.read(name).decode().splitlines()
    asked = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist:")]
    return [each for each in asked if "extra ==" not in each]


def test_the_wheel_contains_its_entry_points(tmp_path: Path) -> None:
    """The wheel contains every module that its entry points name: pytest loads one of them."""
    with zipfile.ZipFile(build_wheel(tmp_path)) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        modules = re.findall(r"= ([\w.]+)", archive.read(name).decode())
        files = set(archive.namelist())
    assert 4 == len(modules)
    paths = [module.replace(".", "/") for module in modules]
    assert [] == [each for each in paths if not {f"{each}.py", f"{each}/__init__.py"} & files]


def test_a_wheel_is_built_once(tmp_path: Path) -> None:
    """An existing wheel of the same content is used; one of other content is removed."""
    (tmp_path / "dataset_harness-0.0.1+old-py3-none-any.whl").touch()
    built = build_wheel(tmp_path)
    stamp = built.stat().st_mtime_ns
    assert (built, stamp, [built]) == (
        build_wheel(tmp_path),
        built.stat().st_mtime_ns,
        list(tmp_path.iterdir()),
    )


def test_a_failed_build_is_reported(package: Path, tmp_path: Path) -> None:
    """A failed build shows the end of its output and leaves no file."""
    (package.parent / "pyproject.toml").write_text("[build-system\n")
    with pytest.raises(PrerequisiteError, match="Can't build the wheel:\n"):
        build_wheel(tmp_path / "wheels")
    assert not (tmp_path / "wheels").exists()
    assert (ROOT / "pyproject.toml").is_file()
