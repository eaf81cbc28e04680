"""An archive of the classes that Spark's JVM loads, with which the next JVM starts seconds sooner.

Java calls it application class-data sharing. The JVM of the first run writes the archive when it ends. Java
ignores an archive that doesn't fit its class path, so that a wrong one costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness.runtime.java import Java

# Which classes can't be archived, or why an archive isn't used, would only fill the job's log.
_QUIET = "-Xlog:cds*=error"


@dataclass(frozen=True)
class ClassArchive:
    """The archive for one Java, one Spark and one set of jars."""

    file: Path

    @classmethod
    def find(cls, jars: Path, java: Java, spark_home: Path) -> ClassArchive:
        """Return the archive next to the folder of the jars, whether it exists or not."""
        identity = "\n".join((str(java.home), java.version, str(spark_home), version("pyspark")))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return cls(jars.with_name(f"{jars.name}-{digest}.jsa"))

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a JVM that uses the archive, or writes it if there is none."""
        use, write = f"-XX:SharedArchiveFile={self.file}", f"-XX:ArchiveClassesAtExit={self._new}"
        return (use if self.file.is_file() else write, _QUIET)

    def keep_new(self, *, is_complete: bool) -> None:
        """Keep the archive that a JVM has written.

        Args:
            is_complete: Whether the JVM ended by itself; otherwise, what it wrote is removed.
        """
        if is_complete and self._new.is_file():
            self._new.replace(self.file)
        self._new.unlink(missing_ok=True)

    @property
    def _new(self) -> Path:
        # Two first runs at once each write their own.
        return self.file.with_name(f".{self.file.name}.{os.getpid()}")
