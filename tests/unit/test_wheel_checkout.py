"""A wheel is that of its checkout: what it asks for is what is installed, and nobody sees half of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import wheel
from harness.errors import ExitCode, PrerequisiteError
from harness.settings import read_settings
from harness.targets.databricks.databricks_target import Databricks
from harness.wheel import build_wheel, content_version, require_checkout
from tests.embedded.runner import ROOT


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of another checkout, of a package with one module."""
    package = tmp_path / "checkout" / "harness"
    package.mkdir(parents=True)
    (package / "a.py").write_text("A = 1\n", encoding="utf-8")
    monkeypatch.setattr(wheel, "_PACKAGE", package)
    content_version.cache_clear()
    yield Path(shutil.copy(ROOT / "pyproject.toml", package.parent))
    content_version.cache_clear()


def _change(project: Path, old: str, new: str) -> None:
    text = project.read_text(encoding="utf-8")
    assert old in text
    project.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_checkout_that_is_set_up_is_told_by_its_file(project: Path) -> None:
    """Also where a dependency is written in other words for the same."""
    _change(project, '"pydantic==', '"Pydantic == ')
    assert project == require_checkout()


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
    """A cluster would find a wheel of another version after the whole run: the message has what differs."""
    _change(project, old, new)
    with pytest.raises(PrerequisiteError, match=f"differ from the installed ones: {named}\\.\n") as caught:
        build_wheel(project.parent / "wheels")
    assert (ExitCode.PREREQUISITE_MISSING, "Install them: make setup.") == (
        caught.value.exit_code,
        caught.value.remedy,
    )
    assert str(project) in caught.value.message


def test_a_wheel_of_before_does_not_stand_for_the_changed_one(project: Path) -> None:
    """It is there by its name, and asks for what was installed then."""
    build_wheel(project.parent / "wheels")
    _change(project, '"synapseml==1.1.3"', '"synapseml==1.1.4"')
    with pytest.raises(PrerequisiteError, match="synapseml"):
        build_wheel(project.parent / "wheels")


def test_a_changed_checkout_is_refused_before_the_workspace_is_asked(project: Path) -> None:
    """Nothing is uploaded, and no local run is waited for."""
    _change(project, '"synapseml==1.1.3"', '"synapseml==1.1.4"')
    target = Databricks(read_settings(folder=project.parent, environ={}), print)
    with pytest.raises(PrerequisiteError, match="synapseml"):
        target.require_ready()
    assert "workspace" not in vars(target)


def test_extras_are_no_matter_of_the_wheel(project: Path) -> None:
    """A cluster installs none of them."""
    _change(project, '"ruamel.yaml"', '"ruamel.yaml>=0.18"')
    assert project == require_checkout()


def test_a_wheel_that_another_process_has_built_stays(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be on its way to a workspace: at no moment is there none of its name."""
    folder = project.parent / "wheels"
    built = build_wheel(folder)
    content = built.read_bytes()
    built.unlink()
    run_pip, unlink, removed = wheel._run_pip, Path.unlink, list[str]()

    def run(source: Path, target: Path) -> None:
        run_pip(source, target)
        built.write_bytes(content)  # The other one is quicker.

    def remove(self: Path, missing_ok: bool = False) -> None:
        removed.append(self.name)
        unlink(self, missing_ok)

    monkeypatch.setattr(wheel, "_run_pip", run)
    monkeypatch.setattr(Path, "unlink", remove)
    assert (built, content) == (build_wheel(folder), built.read_bytes())
    assert built.name not in removed


def test_a_wheel_is_there_as_a_whole_or_not_at_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle leaves nothing that the next run would send."""
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
