"""A JVM that stays between the runs of one command: it has loaded and compiled Spark's code already."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from harness.errors import JobError

_END_TIMEOUT_S = 20
_LOG = "jvm.log"


class WarmJvm:
    """Holds the JVM, in a process of its own that ends with this one, however it ends.

    Args:
        parent: Folder in which that of the JVM's temporary files is created.
    """

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._process: subprocess.Popen[str] | None = None
        self._folder = Path()
        self._identity: object = None
        self._variables: dict[str, str] = {}
        self._copied = 0

    def connect(
        self, spark: Mapping[str, str], make_environ: Callable[[str], Mapping[str, str]]
    ) -> dict[str, str]:
        """Return the environment variables with which a job uses the JVM.

        Starts one if there is none, or if it was started with another configuration.

        Args:
            spark: Spark's configuration.
            make_environ: Returns the environment variables of a JVM with this folder for temporary files.

        Raises:
            JobError: It doesn't start.
        """
        identity = (dict(spark), dict(make_environ(self._parent)))
        is_alive = self._process is not None and self._process.poll() is None
        if not (is_alive and identity == self._identity):
            self.end()
            self._start(spark, make_environ)
            self._identity = identity
        return self._variables

    def append_log(self, file: Path) -> None:
        """Append to a run's log what the JVM has printed since the last call."""
        with suppress(FileNotFoundError):
            printed = (self._folder / _LOG).read_bytes()
            with file.open("ab") as log:
                log.write(printed[self._copied :])
            self._copied = len(printed)

    def end(self) -> None:
        """End the JVM, if there is one."""
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        with process:
            process.stdin.close()
            try:
                process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _start(self, spark: Mapping[str, str], make_environ: Callable[[str], Mapping[str, str]]) -> None:
        self._folder = Path(mkdtemp(prefix="harness-jvm-", dir=self._parent))
        self._copied = 0
        with (self._folder / _LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.job.warm_jvm", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=make_environ(str(self._folder)),
                # Ctrl-C must not reach it: the job ends first.
                start_new_session=True,
            )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both are pipes")
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(dict(spark)) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.end()
            raise JobError("The JVM that 'harness watch' keeps between runs didn't start.")
        self._variables = json.loads(line)
