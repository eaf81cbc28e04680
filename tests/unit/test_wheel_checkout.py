"""Wheels of a checkout: they require the installed dependencies and appear atomically."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import wheel
from harness.errors import ExitCode, PrerequisiteError
from harness.settings import read_settings
from harness.targets.databricks.databricks_target import Databricks
from harness.wheel import build_wheel, compute_version, require_installed_dependencies
from tests.embedded.runner import ROOT


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide the project file of another checkout, with packages of one module each."""
    package = tmp_path / "checkout" / "harness"
    package.mkdir(parents=True)
    package.with_name("dataset_harness").mkdir()
    (package.with_name("dataset_harness") / "__init__.py").touch()
    (package / "a.py").write_text("A = 1\n", encoding="utf-8")
    monkeypatch.setattr(wheel, "_PACKAGE", package)
    compute_version.cache_clear()
    yield Path(shutil.copy(ROOT / "pyproject.toml", package.parent))
    compute_version.cache_clear()


def _change(project: Path, old: str, new: str) -> None:
    text = project.read_text(encoding="utf-8")
    assert old in text
    project.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_checkout_with_installed_dependencies_is_accepted(project: Path) -> None:
    """A checkout is accepted, even if a dependency is spelled in another way."""
    _change(project, '"pydantic>=', '"Pydantic >= ')
    require_installed_dependencies()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"synapseml==1.1.3"', '"synapseml==1.1.4"', "synapseml==1.1.3, synapseml==1.1.4"),
        ('"synapseml==1.1.3",\n', "", "synapseml==1.1.3"),
        ('"synapseml==1.1.3"', '"synapseml==1.1.3",\n    "tqdm"', "tqdm"),
    ],
    ids=["another version", "one less", "one more"],
)
def test_dependencies_that_are_not_installed_are_refused(
    project: Path, old: str, new: str, named: str
) -> None:
    """The message lists the differing dependencies, before a cluster would find them."""
    _change(project, old, new)
    with pytest.raises(PrerequisiteError, match=f"differ from the installed ones: {named}\\.\n") as caught:
        build_wheel(project.parent / "wheels")
    assert (ExitCode.PREREQUISITE_MISSING, "Install them: make setup.") == (
        caught.value.exit_code,
        caught.value.remedy,
    )
    assert str(project) in caught.value.message


def test_an_outdated_wheel_is_not_used(project: Path) -> None:
    """An existing wheel is not used after the dependencies in the project file have changed."""
    build_wheel(project.parent / "wheels")
    _change(project, '"synapseml==1.1.3"', '"synapseml==1.1.4"')
    with pytest.raises(PrerequisiteError, match="synapseml"):
        build_wheel(project.parent / "wheels")


def test_a_changed_checkout_is_refused_before_any_request(project: Path) -> None:
    """A changed checkout is refused before anything is uploaded or run locally."""
    _change(project, '"synapseml==1.1.3"', '"synapseml==1.1.4"')
    target = Databricks(read_settings(folder=project.parent, environ={}), print)
    with pytest.raises(PrerequisiteError, match="synapseml"):
        target.require_ready()
    assert "workspace" not in vars(target)


def test_extras_do_not_matter_to_the_wheel(project: Path) -> None:
    """Changed extras do not matter, because a cluster installs none of them."""
    _change(project, '"ruamel.yaml"', '"ruamel.yaml>=0.18"')
    require_installed_dependencies()


def test_a_wheel_of_another_process_is_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that another process may be uploading exists at every moment."""
    folder = project.parent / "wheels"
    built = build_wheel(folder)
    content = built.read_bytes()
    built.unlink()
    run_pip, unlink, removed = wheel._run_pip, Path.unlink, list[str]()

    def run(source: Path, target: Path) -> None:
        run_pip(source, target)
        built.write_bytes(content)  # The other process is faster.

    def remove(self: Path, missing_ok: bool = False) -> None:
        removed.append(self.name)
        unlink(self, missing_ok)

    monkeypatch.setattr(wheel, "_run_pip", run)
    monkeypatch.setattr(Path, "unlink", remove)
    assert (built, content) == (build_wheel(folder), built.read_bytes())
    assert built.name not in removed


def test_an_incomplete_wheel_is_not_left(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves no incomplete wheel that the next run would upload."""
    copy = shutil.copyfile

    def half(source: Path, target: Path, **how: bool) -> Path:
        if not str(target).endswith(".whl"):
            return copy(source, target, **how)
        Path(target).write_bytes(Path(source).read_bytes()[:9])
        assert not list(folder.glob("*.whl"))
        raise OSError("The disk is full.")

    folder = project.parent / "wheels"
    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(OSError, match="full"):
        build_wheel(folder)
    assert [] == list(folder.iterdir())
