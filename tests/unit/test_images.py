"""The names of the images, which change with their content."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.settings import read_settings
from harness.targets.compose import docker as module
from harness.targets.compose.docker import COMPOSE_FILE, PROJECT, Image, list_images

PACKAGES = ("harness", "dataset_harness")
FILES = ("compose.yaml", "docker", *PACKAGES, "requirements", "pyproject.toml", "README.md", "LICENSE")
NAMES = {"azurite": "azurite", "postgres": "postgres", "mlflow": "mlflow", "spark-master": "spark"}
"""Service to the name of its image and folder."""
CONTEXTS = {"azurite": "docker/azurite/", "postgres": "docker/postgres/", "mlflow": "", "spark-master": ""}
"""Build context of each service, as in compose.yaml."""


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Yield a copy of the files that images are built from, for changes."""
    copy = tmp_path / "project"
    for name in FILES:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(PROJECT / name, copy / name)
    monkeypatch.setattr(module, "PROJECT", copy)
    monkeypatch.setattr(module, "COMPOSE_FILE", copy / COMPOSE_FILE.name)
    return copy


def _images(folder: Path, **settings: str) -> dict[str, Image]:
    return {image.service: image for image in list_images(read_settings(settings, folder=folder, environ={}))}


def _changed_services(before: dict[str, Image], after: dict[str, Image]) -> set[str]:
    return {service for service, image in before.items() if image != after[service]}


def _copied_paths() -> Iterator[tuple[str, str]]:
    """Yield each service with each project path that its Dockerfile copies."""
    for service, name in NAMES.items():
        dockerfile = (PROJECT / "docker" / name / "Dockerfile").read_text(encoding="utf-8")
        for words in re.findall(r"^(?:COPY|ADD) (?!--from)(.+)", dockerfile, re.MULTILINE):
            yield from ((service, CONTEXTS[service] + path) for path in words.split()[:-1])


COPIES = tuple(_copied_paths())


def test_an_image_is_named_after_its_content(tmp_path: Path) -> None:
    """Each image has a tag of twelve hex digits, and a variable through which compose.yaml gets it."""
    images = {(each.service, each.variable, each.name[:-12], each.own) for each in _images(tmp_path).values()}
    assert images == {
        (service, f"HARNESS_{name.upper()}_IMAGE", f"dataset-harness-{name}:", True)
        for service, name in NAMES.items()
    }


def test_compose_uses_these_images(tmp_path: Path) -> None:
    """compose.yaml uses exactly these images."""
    asked = re.findall(r"image: \$\{(\w+):", COMPOSE_FILE.read_text(encoding="utf-8"))
    assert set(asked) == {image.variable for image in _images(tmp_path).values()}


def test_the_same_content_has_the_same_name(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the project has the same image names, whatever Python has left in its folders."""
    (project / "harness" / "__pycache__").mkdir()
    (project / "harness" / "__pycache__" / "left.pyc").touch()
    copied = _images(tmp_path)
    monkeypatch.setattr(module, "PROJECT", PROJECT)
    assert copied == _images(tmp_path)


@pytest.mark.parametrize(("service", "path"), COPIES, ids=map(" ".join, COPIES))
def test_a_changed_file_changes_the_name(tmp_path: Path, project: Path, service: str, path: str) -> None:
    """A change of any file that a Dockerfile copies changes the image's name."""
    before = _images(tmp_path)
    copied = project / path
    file = max(copied.rglob("*.py")) if copied.is_dir() else copied
    file.write_bytes(file.read_bytes() + b"\n")
    assert service in _changed_services(before, _images(tmp_path))


@pytest.mark.parametrize("service", NAMES)
def test_a_dockerfile_changes_only_its_own_image(tmp_path: Path, project: Path, service: str) -> None:
    """A changed Dockerfile leaves the names of the other images unchanged."""
    before = _images(tmp_path)
    with (project / "docker" / NAMES[service] / "Dockerfile").open("a") as file:
        file.write("# changed\n")
    assert {service} == _changed_services(before, _images(tmp_path))


@pytest.mark.parametrize("how", ["added", "renamed", "removed"])
def test_an_added_or_removed_file_changes_the_name(tmp_path: Path, project: Path, how: str) -> None:
    """An added, removed or renamed file changes the image's name."""
    before = _images(tmp_path)
    start = project / "docker" / "azurite" / "start"
    if how == "added":
        start.with_name("more").touch()
    elif how == "renamed":
        start.rename(start.with_name("begin"))
    else:
        start.unlink()
    assert {"azurite"} == _changed_services(before, _images(tmp_path))


def test_another_base_is_another_image(tmp_path: Path) -> None:
    """Every image is built from the base image of the settings."""
    assert set(NAMES) == _changed_services(
        _images(tmp_path), _images(tmp_path, base_image="debian:trixie-slim")
    )


def test_an_image_of_the_settings_is_used_unchanged(tmp_path: Path) -> None:
    """A Postgres image of the settings keeps its name, is not built, and affects no other image."""
    images = _images(tmp_path, postgres_image="postgres:15")
    expected = Image("postgres", "HARNESS_POSTGRES_IMAGE", "postgres:15", own=False)
    assert (expected, {"postgres"}) == (images["postgres"], _changed_services(_images(tmp_path), images))


def test_a_package_without_the_project_is_reported(tmp_path: Path, project: Path) -> None:
    """An installed package without the project's files is refused with what to do instead."""
    (project / "compose.yaml").unlink()
    with pytest.raises(PrerequisiteError) as caught:
        _images(tmp_path)
    assert str(caught.value) == (
        f"The Compose target needs the project's files, but {project}/compose.yaml doesn't exist.\n"
        "  Run it from a checkout of the project, or use --target embedded."
    )
