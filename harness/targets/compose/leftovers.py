"""What the stack leaves on this machine, with sizes: volumes, images, secrets and Docker's build cache."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.targets.compose.docker import PROJECT, run_docker

_VOLUMES = {"azurite": "tables and models", "postgres": "MLflow's records"}
"""Volume to what its data is called; all others are small."""
_RUN = re.compile(r"^RUN ((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)
_MOUNT = re.compile(r"--mount=\S+\s+")
_SPACES = re.compile(r"[\s\\]+")
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)
_FACTORS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"([\d.]+) ?([kKMGT]?B)")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Leftover:
    """Something that can be deleted."""

    label: str
    size: str
    """Its size as Docker writes it; empty if it is small."""
    location: str


@dataclass(frozen=True)
class DiskUse:
    """Docker's list of everything that uses disk space."""

    volumes: Sequence[Row]
    images: Sequence[Row]
    cache: Sequence[Row]

    def list_volumes(self, stack: str) -> Iterator[Leftover]:
        """Yield the stack's volumes with data."""
        sizes = {row["Name"]: row["Size"] for row in self.volumes}
        for name, label in _VOLUMES.items():
            volume = f"{stack}_{name}"
            if volume in sizes:
                yield Leftover(label, sizes[volume], f"volume {volume}")

    def list_images(self, repositories: set[str]) -> Iterator[Leftover]:
        """Yield the images of these repositories."""
        for row in self.images:
            if row["Repository"] in repositories:
                yield Leftover("image", row["Size"], f"{row['Repository']}:{row['Tag']}")

    def find_build_cache(self) -> dict[str, int]:
        """Return the entries of the build cache that come from this project's Dockerfiles, with their bytes.

        An entry names the command that made it, or its parent if it was copied onto it.
        """
        commands = list_build_commands()
        sizes = {row["ID"].rstrip("*"): _count_bytes(row["Size"]) for row in self.cache}
        found = {
            row["ID"].rstrip("*")
            for row in self.cache
            if any(command in _SPACES.sub(" ", row["Description"]) for command in commands)
        }
        parents = {row["ID"].rstrip("*"): row.get("Parent", "") for row in self.cache}
        while more := {each for each, parent in parents.items() if parent in found} - found:
            found |= more
        return {each: sizes[each] for each in sorted(found)}


def read_disk_use() -> DiskUse:
    """Ask Docker what uses disk space; nothing if it doesn't answer."""
    answer = run_docker(["system", "df", "--verbose", "--format", "{{json .}}"])
    try:
        listed = json.loads(answer.stdout)
    except ValueError:
        listed = {}
    return DiskUse(*(listed.get(name) or () for name in ("Volumes", "Images", "BuildCache")))


def list_build_commands() -> set[str]:
    """Return the commands of the project's Dockerfiles as the build cache names them."""
    commands = set()
    for file in (PROJECT / "docker").glob("*/Dockerfile"):
        for command in _RUN.findall(_COMMENT.sub("", file.read_text(encoding="utf-8"))):
            commands.add(_SPACES.sub(" ", _MOUNT.sub("", command)).strip())
    return commands


def remove_build_cache(entries: Sequence[str]) -> None:
    """Remove entries of the build cache; one that is in use stays."""
    if entries:
        run_docker(["builder", "prune", "--force", "--filter", f"id=^({'|'.join(entries)})$"])


def find_leftovers(stack: str, repositories: set[str], files: Path) -> list[Leftover]:
    """Return everything that a stack leaves on this machine.

    Args:
        stack: Name of the stack.
        repositories: Names of its images, without tags.
        files: Folder of its secrets.
    """
    use = read_disk_use()
    rows = [*use.list_volumes(stack), *use.list_images(repositories)]
    if files.is_dir():
        rows.append(Leftover("secrets", "", str(files)))
    cache = use.find_build_cache()
    if cache:
        size = f"{sum(cache.values()) / 10**9:.1f}GB"
        rows.append(Leftover("build cache", size, f"{len(cache)} entries of Docker's build cache"))
    return rows


def _count_bytes(size: str) -> int:
    found = _SIZE.match(size)
    return int(float(found[1]) * _FACTORS[found[2].upper()]) if found else 0
