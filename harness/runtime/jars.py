"""The jars beside Spark (Delta, SynapseML): fetched once by Spark's own resolver, checked, kept."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import platformdirs

from harness.errors import NotThereError
from harness.files import one_at_a_time, sha256_of, write_text
from harness.runtime import resolver
from harness.runtime.java import Java

CACHE_SETTING = "HARNESS_CACHE"
HADOOP_VERSION = "3.4.2"
"""In place of the 3.3.4 that pyspark bundles: the first whose client of Azure's storage speaks to Azurite."""
_EXCLUDED = (
    # What pyspark brings itself, in the version that goes with it.
    "com.fasterxml.jackson.core:*",
    "commons-codec:*",
    "commons-lang:*",
    "commons-logging:*",
    "org.antlr:*",
    "org.apache.httpcomponents:httpclient",
    "org.apache.httpcomponents:httpcore",
    "org.scala-lang:*",
    "org.slf4j:*",
    "org.tukaani:*",
    "org.xerial.snappy:*",
    # Of Hadoop's former client of Azure's storage, wasb, which is not used.
    "com.google.guava:*",
    "com.microsoft.azure:azure-keyvault-core",
    "com.microsoft.azure:azure-storage",
    "org.eclipse.jetty:*",
)
LOCK = Path(__file__).with_name("jars.lock")
"""One line per jar: its SHA-256 and its file name."""

Report = Callable[[str], None]


def class_path(java: Java, *, cache: Path | None = None, report: Report) -> tuple[Path, ...]:
    """The jar files, fetched where they are not in the cache yet; see :meth:`JarCache.class_path`."""
    return JarCache(cache or cache_folder(os.environ)).class_path(java, report)


def write_lock(java: Java, *, report: Report) -> None:
    """Resolve anew, apart from the cache, and write down what came."""
    with tempfile.TemporaryDirectory(prefix="harness-jars-") as folder:
        report("resolving the jars anew")
        found = resolver.resolve(_request(java, Path(folder), pyspark_home(), os.environ))
        lines = sorted(f"{sha256_of(jar)}  {jar.name}\n" for jar in found)
    write_text(LOCK, "".join(sorted(lines, key=lambda line: line.split()[1])))


def coordinates() -> tuple[str, ...]:
    """The Maven coordinates, of the very versions that the Python packages have."""
    return (
        f"io.delta:delta-spark_2.12:{version('delta-spark')}",
        # The explainers are in core.
        f"com.microsoft.azure:synapseml-core_2.12:{version('synapseml')}",
        *(
            f"org.apache.hadoop:{artifact}:{HADOOP_VERSION}"
            for artifact in ("hadoop-azure", "hadoop-client-api", "hadoop-client-runtime")
        ),
    )


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where downloads are kept: HARNESS_CACHE, else the user's cache folder."""
    if named := environ.get(CACHE_SETTING):
        return Path(named).expanduser().absolute()
    return platformdirs.user_cache_path("dataset-harness", appauthor=False)


def pyspark_home() -> Path:
    """The folder of the installed pyspark, found without importing it."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise NotThereError("The package pyspark is not installed.", remedy="Run 'make setup'.")
    return Path(spec.origin).parent


@dataclass(frozen=True)
class LockedJar:
    """One line of the lock file."""

    sha256: str
    name: str


def read_lock(lock: Path) -> tuple[LockedJar, ...]:
    """The lock file's lines."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return tuple(LockedJar(*line.split()) for line in lines if line.strip())


@dataclass(frozen=True)
class JarCache:
    """The folder that holds the jars of a lock file, and the way to fill it."""

    root: Path
    lock: Path = LOCK
    spark_home: Path = field(default_factory=pyspark_home)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def folder(self) -> Path:
        """The jars' own folder, which exists only when it is complete; another lock has another."""
        return self._sibling("")

    @property
    def log(self) -> Path:
        """All that the resolver said the last time."""
        return self._sibling(".log")

    def class_path(self, java: Java, report: Report) -> tuple[Path, ...]:
        """The jar files, in the lock's order; no process and no network once they are here.

        Raises:
            NotThereError: They can't be fetched, differ from the lock, or the cache can't be written.
        """
        locked = read_lock(self.lock)
        if not self._is_complete(locked):
            try:
                self._fill(locked, java, report)
            except OSError as error:
                raise self._unwritable(error) from error
        return tuple(self.folder / jar.name for jar in locked)

    def _sibling(self, suffix: str) -> Path:
        digest = hashlib.sha256(self.lock.read_bytes()).hexdigest()[:16]
        return self.root / "jars" / f"{digest}{suffix}"

    def _is_complete(self, locked: tuple[LockedJar, ...]) -> bool:
        return all((self.folder / jar.name).is_file() for jar in locked)

    def _fill(self, locked: tuple[LockedJar, ...], java: Java, report: Report) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(self._sibling(".lock")):
            if self._is_complete(locked):
                return
            report(f"fetching {len(locked)} jars (some 70 MB) into {self.folder}, once")
            # Kept when the resolver fails: it goes on with what is there.
            work = self._sibling(".partial")
            work.mkdir(exist_ok=True)
            found = resolver.resolve(_request(java, work, self.spark_home, self.environ, self.log))
            self._check(locked, found, work)
            self._publish(found, work)

    def _check(self, locked: tuple[LockedJar, ...], found: tuple[Path, ...], work: Path) -> None:
        """Refuse jars that are not those of the lock, and forget them."""
        expected = {jar.name: jar.sha256 for jar in locked}
        actual = {jar.name: sha256_of(jar) for jar in found}
        names = sorted(expected.keys() | actual.keys())
        wrong = [name for name in names if expected.get(name) != actual.get(name)]
        if not wrong:
            return
        shutil.rmtree(work)
        lines = (_difference(name, expected.get(name), actual.get(name)) for name in wrong)
        message = "\n  ".join(["The jars that were fetched are not those of the lock file.", *lines])
        raise NotThereError(message, remedy="Find out where they come from (a mirror?), then try again.")

    def _publish(self, found: tuple[Path, ...], work: Path) -> None:
        """Put the checked jars in place, all at once."""
        ready = work / "ready"
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        for jar in found:
            jar.replace(ready / jar.name)
        if self.folder.exists():  # Somebody took files out of it.
            shutil.rmtree(self.folder)
        ready.replace(self.folder)
        shutil.rmtree(work, ignore_errors=True)

    def _unwritable(self, error: OSError) -> NotThereError:
        message = f"Can't fetch the jars into {self.folder.parent}: {error.strerror or error}."
        return NotThereError(
            message, remedy=f"Set {CACHE_SETTING} to a folder with room that can be written."
        )


def _request(
    java: Java, work: Path, spark_home: Path, environ: Mapping[str, str], log: Path | None = None
) -> resolver.Request:
    return resolver.Request(
        coordinates=coordinates(),
        excluded=_EXCLUDED,
        java=java,
        spark_home=spark_home,
        work=work,
        log=log or work / "resolver.log",
        environ=environ,
    )


def _difference(name: str, expected: str | None, actual: str | None) -> str:
    if actual is None:
        return f"{name} is missing"
    if expected is None:
        return f"{name} is not in the lock"
    return f"{name} has SHA-256 {actual}, the lock says {expected}"
