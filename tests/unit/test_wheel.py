import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from harness import wheel
from harness.errors import PrerequisiteError
from harness.wheel import DISTRIBUTION, build_wheel, content_version
from tests.embedded.runner import ROOT

OTHERS = ("pyspark", "delta-spark", "numpy", "pandas", "pyarrow")


@pytest.fixture(name="package")
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one module in the harness's place."""
    package = tmp_path / "harness"
    package.mkdir()
    (package / "a.py").write_text("A = 1\n")
    monkeypatch.setattr(wheel, "_PACKAGE", package)
    content_version.cache_clear()
    return package


@pytest.fixture(autouse=True)
def _forget() -> None:
    content_version.cache_clear()


def test_the_version_names_the_content(package: Path) -> None:
    """Every change of the code is another version of the released one."""
    before = content_version()
    content_version.cache_clear()
    (package / "a.py").write_text("A = 2\n")
    released = metadata.version(DISTRIBUTION)
    assert [f"{released}+"] * 2 == [each[: len(released) + 1] for each in (before, content_version())]
    assert before != content_version()


def test_what_is_no_code_is_no_other_version(package: Path) -> None:
    """What Python leaves beside the code does not make another wheel."""
    before = content_version()
    content_version.cache_clear()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    assert before == content_version()


def test_the_wheel_pins_what_the_job_needs_and_leaves_the_runtime_its_own(tmp_path: Path) -> None:
    """Direct dependencies have one version each; Spark, Delta and numpy are not among them."""
    built = build_wheel(tmp_path)
    with zipfile.ZipFile(built) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("METADATA")]
        lines = archive.read(name).decode().splitlines()
    asked = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist:")]
    plain = [each for each in asked if "extra ==" not in each]
    assert f"Version: {content_version()}" in lines
    assert all("==" in each for each in plain)
    assert not any(each.startswith(OTHERS) for each in plain)


def test_a_wheel_is_built_once(tmp_path: Path) -> None:
    """The one that is there is taken; one of other content goes."""
    (tmp_path / "dataset_harness-0.0.1+old-py3-none-any.whl").touch()
    built = build_wheel(tmp_path)
    stamp = built.stat().st_mtime_ns
    assert (built, stamp, [built]) == (
        build_wheel(tmp_path),
        built.stat().st_mtime_ns,
        list(tmp_path.iterdir()),
    )


def test_without_a_checkout_there_is_no_wheel(package: Path, tmp_path: Path) -> None:
    """An installed package does not have what a wheel is built from."""
    assert package.is_dir()
    with pytest.raises(PrerequisiteError, match=r"pyproject\.toml does not exist"):
        build_wheel(tmp_path / "wheels")


def test_a_wheel_that_cannot_be_built_is_told(package: Path, tmp_path: Path) -> None:
    """The message has what the builder said last, and nothing is left in the folder."""
    (package.parent / "pyproject.toml").write_text("[build-system\n")
    with pytest.raises(PrerequisiteError, match="Can't build the wheel:\n"):
        build_wheel(tmp_path / "wheels")
    assert not (tmp_path / "wheels").exists()
    assert (ROOT / "pyproject.toml").is_file()
