"""Write a list of parts (SBOM, in CycloneDX's JSON) of the wheel and of each image, from the lock files.

The same lock files give the same lists: they contain no time and no random number. ``make lock`` writes them.
"""

from __future__ import annotations

import base64
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]

ROOT = Path(__file__).parents[1]
PROJECT = "dataset-harness"
_PIN = re.compile(r"([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)(?:\s*;\s*(.+?))?\s*\\?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_JAR = re.compile(r"([0-9a-f]{64})  ([^_]+)_(.+)-(\d[^-]*)\.jar")
_BASE = re.compile(r"^ARG BASE=(\w+):(\S+)$", re.MULTILINE)
_INSTALL = re.compile(r"apt-get install -y --no-install-recommends ((?:[a-z0-9.+-]+ ?)+)")
_UNPINNED = "newest of the release when the image is built, as for all packages that it depends on"


def render_sboms(root: Path) -> dict[str, str]:
    """Return the content of every list, by its path in the repository.

    Args:
        root: Folder of the repository.
    """
    requirements, docker = root / "requirements", root / "docker"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wheel = _make_component("application", PROJECT, project["version"], f"pypi/{PROJECT}")
    jars = list(_list_jars(root / "harness" / "runtime" / "jars.lock"))

    def python(name: str, **more: str) -> list[Component]:
        return [part | more for part in _list_packages(requirements / f"{name}.lock")]

    azurite = docker / "azurite"
    images = {
        "spark": [wheel, *python("spark"), *jars, *python("wheel", scope="excluded")],
        "mlflow": python("mlflow"),
        "azurite": [*_list_packages(azurite / "requirements.lock"), *_list_modules(azurite)],
        "postgres": [],
    }
    rendered = {
        f"requirements/{PROJECT}.cdx.json": _render(
            wheel, [*python("run"), *python("java", scope="optional"), *jars], "complete"
        )
    }
    for name, parts in images.items():
        image = {"type": "container", "bom-ref": f"image/{name}", "name": f"{PROJECT}-{name}"}
        system = _list_system(docker / name / "Dockerfile")
        # Debian's packages bring others, which no lock file lists.
        rendered[f"docker/{name}/sbom.cdx.json"] = _render(image, [*system, *parts], "incomplete")
    return rendered


def _render(subject: Component, parts: Iterable[Component], aggregate: str) -> str:
    unique = {part["bom-ref"]: part for part in sorted(parts, key=lambda part: str(part["bom-ref"]))}
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": [],
        "compositions": [{"aggregate": aggregate, "assemblies": [subject["bom-ref"]]}],
    }
    # A part a line, so that a change of the lock files is readable in its commit.
    lines = ",\n".join(f"  {json.dumps(part)}" for part in unique.values())
    empty = '"components": []'
    return json.dumps(content, indent=1).replace(empty, f"{empty[:-1]}\n{lines}\n ]") + "\n"


def _make_component(
    kind: str, name: str, version: str, purl: str, hashes: Iterable[tuple[str, str]] = ()
) -> Component:
    address = f"pkg:{purl}@{quote(version)}"
    component = {"type": kind, "bom-ref": address, "name": name, "version": version, "purl": address}
    listed = [{"alg": algorithm, "content": content} for algorithm, content in hashes]
    return component | ({"hashes": listed} if listed else {})


def _list_packages(lock: Path) -> Iterator[Component]:
    """Yield the packages of a lock file of Python, with the hash of each file that may be installed."""
    for entry in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip()):
        found = _PIN.fullmatch(entry.partition("\n")[0])
        if found is None:
            raise ValueError(f"{lock.name}: not a pinned package: {entry.partition(chr(10))[0]}")
        name, version, marker = found.groups()
        hashes = (("SHA-256", digest) for digest in _HASH.findall(entry))
        component = _make_component("library", name, version, f"pypi/{name}", hashes)
        yield component | (_state("marker", marker) if marker else {})


def _list_jars(lock: Path) -> Iterator[Component]:
    for line in lock.read_text(encoding="utf-8").splitlines():
        found = _JAR.fullmatch(line)
        if found is None:
            raise ValueError(f"{lock.name}: not a jar: {line}")
        digest, group, name, version = found.groups()
        component = _make_component("library", name, version, f"maven/{group}/{name}", [("SHA-256", digest)])
        yield component | {"group": group}


def _list_modules(folder: Path) -> Iterator[Component]:
    """Yield the modules of Node that the image gets."""
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for path, module in packages.items():
        if not path or module.get("dev"):
            continue
        name = path.rpartition("node_modules/")[2]
        algorithm, _, digest = module["integrity"].partition("-")
        content = base64.b64decode(digest).hex()
        hashes = [(algorithm.upper().replace("SHA", "SHA-"), content)]
        yield _make_component("library", name, module["version"], f"npm/{quote(name)}", hashes)


def _list_system(dockerfile: Path) -> Iterator[Component]:
    """Yield the base image, and the Debian packages that the last stage installs by name."""
    text = dockerfile.read_text(encoding="utf-8")
    [(name, release)] = _BASE.findall(text)
    yield {"type": "operating-system", "bom-ref": f"{name}:{release}", "name": name, "version": release}
    for names in _INSTALL.findall(text.rpartition("\nFROM ")[2]):
        for package in names.split():
            address = f"pkg:deb/{name}/{quote(package)}"
            component = {"type": "library", "bom-ref": address, "name": package, "purl": address}
            yield component | _state("version", _UNPINNED)


def _state(name: str, value: str) -> Component:
    return {"properties": [{"name": f"{PROJECT}:{name}", "value": value}]}


if __name__ == "__main__":
    for path, content in render_sboms(ROOT).items():
        (ROOT / path).write_text(content, encoding="utf-8")
