"""Jars for Spark (Delta, SynapseML, Hadoop): downloaded once by Spark's resolver, verified and cached."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import platformdirs

from harness.errors import PrerequisiteError
from harness.files import exclusive_lock, sha256_of, write_text
from harness.runtime import resolver
from harness.runtime.java import Java
from harness.runtime.process_environment import find_package

CACHE_VARIABLE = "HARNESS_CACHE"
HADOOP_VERSION = "3.4.2"
"""Replaces the 3.3.4 that pyspark bundles: the first version whose Azure client works with Azurite."""
_EXCLUDED_ARTIFACTS = (
    # Included in pyspark, in the matching version.
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
    # Dependencies of wasb, Hadoop's former Azure client, which is not used.
    "com.google.guava:*",
    "com.microsoft.azure:azure-keyvault-core",
    "com.microsoft.azure:azure-storage",
    "org.eclipse.jetty:*",
)
LOCK = Path(__file__).with_name("jars.lock")
"""One line per jar: its SHA-256 and its file name."""

Report = Callable[[str], None]


def load_class_path(java: Java, *, cache: Path | None = None, report: Report) -> tuple[Path, ...]:
    """Return the jar files, and download those that are not cached; see :meth:`JarCache.load_class_path`."""
    return JarCache(cache or choose_cache_folder(os.environ)).load_class_path(java, report)


def write_lock(java: Java, *, report: Report) -> None:
    """Resolve the jars without the cache, and write the lock file."""
    with tempfile.TemporaryDirectory(prefix="harness-jars-") as folder:
        report("resolving the jars again")
        downloaded = resolver.resolve(_make_request(java, Path(folder), find_pyspark_home(), os.environ))
        lines = sorted(f"{sha256_of(jar)}  {jar.name}\n" for jar in downloaded)
    write_text(LOCK, "".join(sorted(lines, key=lambda line: line.split()[1])))


def list_coordinates() -> tuple[str, ...]:
    """Return the Maven coordinates, with the versions of the Python packages."""
    return (
        f"io.delta:delta-spark_2.12:{version('delta-spark')}",
        # The module 'core' contains the explainers.
        f"com.microsoft.azure:synapseml-core_2.12:{version('synapseml')}",
        *(
            f"org.apache.hadoop:{artifact}:{HADOOP_VERSION}"
            for artifact in ("hadoop-azure", "hadoop-client-api", "hadoop-client-runtime")
        ),
    )


def choose_cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for downloads: HARNESS_CACHE, or the user's cache folder."""
    if named := environ.get(CACHE_VARIABLE):
        return Path(named).expanduser().absolute()
    return platformdirs.user_cache_path("dataset-harness", appauthor=False)


def find_pyspark_home() -> Path:
    """Return the folder of the pyspark that jobs import, without importing it."""
    spec = find_package("pyspark")
    if spec is None or spec.origin is None:
        raise PrerequisiteError("The package pyspark is not installed.", remedy="Run 'make setup'.")
    return Path(spec.origin).parent


@dataclass(frozen=True)
class LockedJar:
    """A line of the lock file."""

    sha256: str
    name: str


def read_lock(lock: Path) -> tuple[LockedJar, ...]:
    """Return the lines of a lock file."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return tuple(LockedJar(*line.split()) for line in lines if line.strip())


@dataclass(frozen=True)
class JarCache:
    """Cache folder of the jars in a lock file."""

    root: Path
    lock: Path = LOCK
    spark_home: Path = field(default_factory=find_pyspark_home)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def folder(self) -> Path:
        """Folder of the jars, which exists only if it is complete; each lock file has its own."""
        return self._sibling("")

    @property
    def log(self) -> Path:
        """Log of the resolver's last run."""
        return self._sibling(".log")

    def load_class_path(self, java: Java, report: Report) -> tuple[Path, ...]:
        """Return the jar files in the order of the lock file, without process or network if they are cached.

        Raises:
            PrerequisiteError: They can't be downloaded, differ from the lock file or can't be cached.
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
        with exclusive_lock(self._sibling(".lock")):
            if self._is_complete(locked):
                return
            report(f"downloading {len(locked)} jars (about 70 MB) into {self.folder}, once")
            # Kept if the resolver fails: the next run continues with it.
            work = self._sibling(".partial")
            work.mkdir(exist_ok=True)
            downloaded = resolver.resolve(_make_request(java, work, self.spark_home, self.environ, self.log))
            self._check(locked, downloaded, work)
            self._publish(downloaded, work)

    def _check(self, locked: tuple[LockedJar, ...], downloaded: tuple[Path, ...], work: Path) -> None:
        """Refuse and remove jars that differ from the lock file."""
        expected = {jar.name: jar.sha256 for jar in locked}
        actual = {jar.name: sha256_of(jar) for jar in downloaded}
        names = sorted(expected.keys() | actual.keys())
        wrong = [name for name in names if expected.get(name) != actual.get(name)]
        if not wrong:
            return
        shutil.rmtree(work)
        lines = (_describe_difference(name, expected.get(name), actual.get(name)) for name in wrong)
        message = "\n  ".join(["The downloaded jars differ from the lock file.", *lines])
        raise PrerequisiteError(message, remedy="Check where they come from (a mirror?), then try again.")

    def _publish(self, downloaded: tuple[Path, ...], work: Path) -> None:
        """Move the verified jars into the cache, all at once."""
        ready = work / "ready"
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        for jar in downloaded:
            jar.replace(ready / jar.name)
        if self.folder.exists():  # Somebody has removed files from it.
            shutil.rmtree(self.folder)
        ready.replace(self.folder)
        shutil.rmtree(work, ignore_errors=True)

    def _unwritable(self, error: OSError) -> PrerequisiteError:
        message = f"Can't download the jars into {self.folder.parent}: {error.strerror or error}."
        return PrerequisiteError(
            message, remedy=f"Set {CACHE_VARIABLE} to a writable folder with enough space."
        )


def _make_request(
    java: Java, work: Path, spark_home: Path, environ: Mapping[str, str], log: Path | None = None
) -> resolver.Request:
    return resolver.Request(
        coordinates=list_coordinates(),
        excluded=_EXCLUDED_ARTIFACTS,
        java=java,
        spark_home=spark_home,
        work=work,
        log=log or work / "resolver.log",
        environ=environ,
    )


def _describe_difference(name: str, expected: str | None, actual: str | None) -> str:
    if actual is None:
        return f"{name} is missing"
    if expected is None:
        return f"{name} is not in the lock file"
    return f"{name} has SHA-256 {actual}, the lock file has {expected}"
