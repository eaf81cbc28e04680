"""The jars of a cluster: Delta, which every runtime has, and the Maven libraries of a task."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from harness.files import exclusive_lock, sha256_of
from harness.runtime import jars, resolver
from harness.runtime.java import Java
from tests.databricks.standin.environments import LOCKS, family_of

# For runtimes whose Spark is too old for the harness's own Delta.
_OWN_DELTA = {"15.4": "io.delta:delta-spark_2.12:3.2.0"}
_DELTA = "io.delta_"
# Hadoop and its dependencies: a runtime has its own.
_HADOOP = ("org.apache.hadoop", "org.wildfly.openssl", "com.google.code.findbugs")
_SYNAPSEML = "com.microsoft.azure:synapseml-"


def published_coordinates() -> tuple[str, ...]:
    """Return the Maven coordinates that a task can request; all others are unknown."""
    return tuple(each for each in jars.list_coordinates() if each.startswith(_SYNAPSEML))


def class_path(java: Java, runtime: str, maven: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the jar files for a task, from the harness's own cache if that has them."""
    own = tuple(jar for jar in jars.load_class_path(java, report=_report) if not jar.name.startswith(_HADOOP))
    delta = tuple(jar for jar in own if jar.name.startswith(_DELTA))
    synapseml = tuple(jar for jar in own if jar not in delta) if maven else ()
    return (*fetch_delta(java, runtime, delta), *synapseml)


def fetch_delta(java: Java, runtime: str, own: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the Delta jars of the runtime, downloaded once; or the harness's own if they fit."""
    family = family_of(runtime)
    coordinate = _OWN_DELTA.get(family)
    if coordinate is None:
        return own
    lock = LOCKS / f"{family}.jars"
    folder = jars.choose_cache_folder(os.environ) / "runtimes" / f"delta-{sha256_of(lock)[:16]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _fetch(java, coordinate, lock, folder)
    return tuple(folder / jar.name for jar in jars.read_lock(lock))


def _fetch(java: Java, coordinate: str, lock: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as name:
        work = Path(name)
        request = resolver.Request(
            coordinates=(coordinate,),
            excluded=jars._EXCLUDED_ARTIFACTS,
            java=java,
            spark_home=jars.find_pyspark_home(),
            work=work,
            log=work / "resolver.log",
            environ=os.environ,
        )
        downloaded = {jar.name: jar for jar in resolver.resolve(request)}
        ready = work / "ready"
        ready.mkdir()
        for jar in jars.read_lock(lock):
            if sha256_of(downloaded[jar.name]) != jar.sha256:
                raise RuntimeError(f"{jar.name} has another SHA-256 than in {lock}.")
            shutil.move(downloaded[jar.name], ready)
        ready.replace(folder)


def _report(message: str) -> None:
    sys.stderr.write(f"{message}\n")
