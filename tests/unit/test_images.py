"""The names of the images, which change with their content."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

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
            paths = [word for word in words.split()[:-1] if not word.startswith("--")]
            yield from ((service, CONTEXTS[service] + path) for path in paths)


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


def test_modes_do_not_change_the_name(tmp_path: Path, project: Path) -> None:
    """A checkout with another umask has the same image names."""
    before = _images(tmp_path)
    for file in project.rglob("*"):
        file.chmod(file.stat().st_mode & 0o700)
    (project / "docker" / "azurite" / "start").chmod(0o600)
    assert before == _images(tmp_path)


@pytest.mark.parametrize("service", NAMES)
def test_images_set_the_modes_of_their_files(service: str) -> None:
    """Files of the checkout get their mode in an image from the Dockerfile."""
    dockerfile = (PROJECT / "docker" / NAMES[service] / "Dockerfile").read_text(encoding="utf-8")
    last_stage = dockerfile.rpartition("\nFROM ")[2]
    copied = re.findall(r"^(?:COPY|ADD) (?!--from)(\S+)", last_stage, re.MULTILINE)
    assert {"--chmod=755"} == set(copied)


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


@pytest.fixture(name="services", scope="module")
def _services() -> dict[str, dict[str, Any]]:
    """Return the services of compose.yaml, with everything that they get from its anchors."""
    loaded: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE_FILE.read_text(encoding="utf-8"))[
        "services"
    ]
    return loaded


def test_every_service_is_hardened(services: dict[str, dict[str, Any]]) -> None:
    """No service can write its image's files or has capabilities, and each has limits."""
    expected = {
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": "${HARNESS_CONTAINER_MEMORY:-0}",
        "pids_limit": "${HARNESS_CONTAINER_PROCESSES:-4096}",
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }
    for name, service in services.items():
        assert expected == {key: service.get(key) for key in expected}, name
        assert any(each.startswith("/tmp") for each in service["tmpfs"]), name  # noqa: S108 - in the container
        assert "cap_add" not in service, name


def test_services_restart_after_an_error(services: dict[str, dict[str, Any]]) -> None:
    """A service that ends with an error is started again, a limited number of times; a job never is."""
    policies = {name: service["restart"] for name, service in services.items()}
    assert {"job", "secrets"} == {name for name, policy in policies.items() if policy == "no"}
    assert {"no", "on-failure:3"} == set(policies.values())
    assert services["spark-worker"]["depends_on"]["spark-master"]["restart"] is True


def test_mlflow_is_healthy_only_with_its_database(services: dict[str, dict[str, Any]]) -> None:
    """The health check of MLflow makes a request that its database answers."""
    assert "/experiments/search" in services["mlflow"]["healthcheck"]["test"][-1]


def test_compose_by_hand_names_make_up() -> None:
    """A Compose command without the harness's variables ends with the command to use instead."""
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    images = re.findall(r"image: \$\{(\w+)(.*)\}", text)
    assert all(rest.startswith(":?run 'make up' instead") for _, rest in images), images
