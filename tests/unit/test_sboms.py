"""The lists of parts (SBOM) of the wheel and of the images, which say what the lock files say."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
SBOMS: dict[str, str] = runpy.run_path(str(ROOT / "requirements" / "write_sboms.py"))["render_sboms"](ROOT)
_LOCKS = {
    "requirements/dataset-harness.cdx.json": ("requirements/run.lock", "requirements/java.lock"),
    "docker/spark/sbom.cdx.json": ("requirements/spark.lock", "requirements/wheel.lock"),
    "docker/mlflow/sbom.cdx.json": ("requirements/mlflow.lock",),
    "docker/azurite/sbom.cdx.json": ("docker/azurite/requirements.lock",),
    "docker/postgres/sbom.cdx.json": (),
}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _components(path: str, kind: str) -> list[dict[str, Any]]:
    content = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return [each for each in content["components"] if each.get("purl", "").startswith(f"pkg:{kind}/")]


def _hashes(components: list[dict[str, Any]]) -> set[str]:
    return {digest["content"] for each in components for digest in each["hashes"]}


@pytest.mark.parametrize("path", SBOMS)
def test_a_list_is_that_of_the_lock_files(path: str) -> None:
    """Every list is what ``make lock`` would write now."""
    assert SBOMS[path] == (ROOT / path).read_text(encoding="utf-8"), "run 'make lock'"


@pytest.mark.parametrize("path", SBOMS)
def test_a_list_is_valid(path: str) -> None:
    """Every list follows CycloneDX's own schema, without any key that it doesn't know."""
    assert find_invalid(SBOMS[path]) is None


@pytest.mark.parametrize(
    ("correct", "wrong"),
    [
        ('"alg": "SHA-256"', '"alg": "sha256"'),
        ('"aggregate": "complete"', '"aggregate": "whole"'),
        ('"components": [', '"parts": [], "components": ['),
        ('"scope": "optional"', '"scope": "maybe"'),
    ],
)
def test_an_invalid_list_is_found(correct: str, wrong: str) -> None:
    """A list with an unknown key or value isn't valid."""
    valid = SBOMS["requirements/dataset-harness.cdx.json"]
    assert correct in valid
    assert find_invalid(valid.replace(correct, wrong, 1)) is not None


def find_invalid(text: str) -> object:
    """Return what is wrong with a list, or ``None`` if it is valid."""
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


@pytest.mark.parametrize(("path", "locks"), _LOCKS.items())
def test_a_list_has_every_package_with_every_hash(path: str, locks: tuple[str, ...]) -> None:
    """A list has each pinned package of Python with its version, and no other hash than the lock files."""
    text = "\n".join((ROOT / lock).read_text(encoding="utf-8") for lock in locks)
    found = _components(path, "pypi")
    names = {(each["name"], each["version"]) for each in found if "hashes" in each}
    assert set(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)) == names
    assert set(_DIGEST.findall(text)) == _hashes([each for each in found if "hashes" in each])


def test_an_image_without_a_list_fails() -> None:
    """Each image has a list, with its base and the Debian packages that it installs."""
    images = {f"docker/{file.parent.name}/sbom.cdx.json" for file in ROOT.glob("docker/*/Dockerfile")}
    assert images | {"requirements/dataset-harness.cdx.json"} == set(SBOMS) == set(_LOCKS)
    assert {"postgresql-15"} == {each["name"] for each in _components("docker/postgres/sbom.cdx.json", "deb")}
    names = {each["name"] for each in _components("docker/spark/sbom.cdx.json", "deb")}
    assert {"curl", "openjdk-17-jre-headless", "procps", "python3"} == names


def test_jars_and_modules_are_listed() -> None:
    """The wheel and the image of Spark have every jar, and the image of Azurite every module."""
    lock = (ROOT / "harness" / "runtime" / "jars.lock").read_text(encoding="utf-8")
    for path in ("requirements/dataset-harness.cdx.json", "docker/spark/sbom.cdx.json"):
        assert set(_DIGEST.findall(lock)) == _hashes(_components(path, "maven"))
    [delta] = [each for each in _components(path, "maven") if each["name"] == "delta-spark_2.12"]
    assert f"pkg:maven/io.delta/delta-spark_2.12@{delta['version']}" == delta["purl"]
    modules = json.loads((ROOT / "docker" / "azurite" / "package-lock.json").read_text(encoding="utf-8"))
    expected = {
        (path.rpartition("node_modules/")[2], each["version"])
        for path, each in modules["packages"].items()
        if path and not each.get("dev")
    }
    found = _components("docker/azurite/sbom.cdx.json", "npm")
    assert expected == {(each["name"], each["version"]) for each in found}
    assert {128} == {len(digest) for digest in _hashes(found)}


@pytest.mark.parametrize("path", SBOMS)
def test_a_list_names_no_host_and_no_time(path: str) -> None:
    """An unchanged lock file gives an unchanged list, wherever it was written."""
    text = (ROOT / path).read_text(encoding="utf-8").replace("http://cyclonedx.org/schema/", "")
    assert not re.search(r"https?://|timestamp|serialNumber", text)
    content = json.loads(text)
    references = [each["bom-ref"] for each in content["components"]]
    assert sorted(set(references)) == references
