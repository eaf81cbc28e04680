"""Images of the stack, each named after the content that it is built from."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.setting_types import Settings

PROJECT = Path(__file__).parents[3]
"""Folder with compose.yaml and docker/."""
COMPOSE_FILE = PROJECT / "compose.yaml"
_NAME = "dataset-harness"


@dataclass(frozen=True)
class Image:
    """An image of this version of the project."""

    service: str
    """Service that builds it."""
    variable: str
    """Variable by which compose.yaml gets its name."""
    name: str
    own: bool = True
    """Whether it is built here rather than named by a setting."""


def images(settings: Settings) -> tuple[Image, ...]:
    """Return every image of the stack.

    Raises:
        PrerequisiteError: This is an installed package without the project's files.
    """
    if not COMPOSE_FILE.is_file():
        raise PrerequisiteError(
            f"The Compose target needs the project's files, but {COMPOSE_FILE} doesn't exist.",
            remedy="Run it from a checkout of the project, or use --target embedded.",
        )
    base = settings["base_image"]
    postgres = settings["postgres_image"]
    package = ("harness", "pyproject.toml")
    locks = ("requirements/spark.lock", "requirements/wheel.lock")
    return (
        _image("azurite", "azurite", base, ("docker/azurite",)),
        Image("postgres", "HARNESS_POSTGRES_IMAGE", postgres, own=False)
        if postgres
        else _image("postgres", "postgres", base, ("docker/postgres",)),
        _image("mlflow", "mlflow", base, ("docker/mlflow", "requirements/mlflow.lock")),
        _image("spark-master", "spark", base, ("docker/spark", *package, *locks)),
    )


def _image(service: str, name: str, base: str, contents: tuple[str, ...]) -> Image:
    digest = hashlib.sha256(base.encode())
    for content in contents:
        for file in _files(PROJECT / content):
            runs = bool(file.stat().st_mode & stat.S_IXUSR)
            digest.update(f"\n{file.relative_to(PROJECT)} {runs}\n".encode())
            digest.update(file.read_bytes())
    return Image(service, f"HARNESS_{name.upper()}_IMAGE", f"{_NAME}-{name}:{digest.hexdigest()[:12]}")


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file
