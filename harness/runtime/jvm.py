"""The start of a JVM: whether it succeeds with a job's options, and why it failed."""

from __future__ import annotations

import logging
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from harness.errors import PrerequisiteError, UsageError
from harness.runtime.java import Java

_logger = logging.getLogger(__name__)

OPTIONS_VARIABLE = "HARNESS_JAVA_OPTIONS"
_START_TIMEOUT_S = 60
_LINES_SHOWN = 2
# Spark starts its JVM with the first one; the second one keeps a crash report out of the current folder.
_PROBE_OPTIONS = ("-XX:+IgnoreUnrecognizedVMOptions", "-XX:+ErrorFileToStdout")
_MEMORY_REMEDY = "Free some memory, or set HARNESS_DRIVER_MEMORY to less."
_OPTIONS_REMEDY = f"Correct {OPTIONS_VARIABLE} (java_options in harness.toml)."
_OTHER_REMEDY = "Set HARNESS_JAVA_HOME to another Java 17; 'harness doctor' checks it."
_REMEDIES = (
    (
        re.compile(
            r"reserve enough space|not enough space|insufficient memory|heap size|allocate memory",
            re.IGNORECASE,
        ),
        _MEMORY_REMEDY,
    ),
    (
        re.compile(r"invalid null input: name|basedir must be absolute: \?"),
        "Add the user to /etc/passwd, or start the container with a user of its image (--user).",
    ),
    (
        re.compile(r"temp(orary)? dir|tmpdir|mapped from shared object|failed to map segment"),
        "Set TMPDIR to a writable folder on a disk that is not mounted with noexec.",
    ),
    (
        re.compile(r"Unrecognized|Unsupported|Invalid|Improperly|Conflicting|agent|JDWP|max heap memory"),
        _OPTIONS_REMEDY,
    ),
)
# Lines that a JVM or Spark prints before the reason, or without a failure.
_NOISE = re.compile(
    r"#?$|Picked up |NOTE: |WARNING: |.*VM warning: Option |Error occurred during initialization of VM|"
    r"Error: Could not create the Java|Error: A fatal exception|.*/spark-class: line |"
    r"Using Spark's|Setting default log level|To adjust logging|Warning: Ignoring non-Spark|"
    r":: |\d\d/\d\d/\d\d \S+ (?:WARN|INFO) |at |\.\.\. \d+ more"
)


def split_options(text: str) -> tuple[str, ...]:
    """Return the options of a setting, which a shell's quotes may group.

    Raises:
        UsageError: A quote is not closed, or an option is another setting.
    """
    try:
        options = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{OPTIONS_VARIABLE} (java_options) is {text!r}: {error}.") from error
    if any(option.startswith(("-Xmx", "-Xms", "-XX:MaxHeapSize")) for option in options):
        raise UsageError(
            f"{OPTIONS_VARIABLE} (java_options) sets the memory of the JVM: {text}.",
            remedy="Use HARNESS_DRIVER_MEMORY (driver_memory) for it.",
        )
    return options


def require_startable(java: Java, options: Sequence[str], environ: Mapping[str, str]) -> str:
    """Start a JVM that ends at once, and return its version.

    Args:
        java: The Java to start.
        options: Options of the job's JVM.
        environ: Environment variables of the job.

    Raises:
        PrerequisiteError: It doesn't start; the message has its own first line.
    """
    program = str(java.home / "bin" / "java")
    try:
        ended = subprocess.run(
            [program, *options, *_PROBE_OPTIONS, "-version"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_START_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise _make_start_error(f"{program}: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise _make_start_error(f"it didn't answer within {_START_TIMEOUT_S} s") from error
    _logger.debug("%s: exit code %d", shlex.join(ended.args), ended.returncode)
    if ended.returncode != 0:
        raise explain_failed_start(ended.stdout.splitlines())
    return java.version


def explain_failed_start(output: Sequence[str]) -> PrerequisiteError:
    """Return the error of a JVM that did not start, with the first lines that it wrote and the remedy.

    Args:
        output: Lines that it wrote.
    """
    lines = [line.strip() for line in output]
    shown = [line for line in lines if not is_noise(line)][:_LINES_SHOWN]
    return _make_start_error(": ".join(line.rstrip(".:") for line in shown) or "it wrote no reason")


def is_noise(line: str) -> bool:
    """Return whether a JVM or Spark prints a line without any failure, or around the line that matters."""
    return _NOISE.match(line) is not None


def _make_start_error(reason: str) -> PrerequisiteError:
    found = (remedy for pattern, remedy in _REMEDIES if pattern.search(reason))
    return PrerequisiteError(f"The job's Java doesn't start: {reason}.", remedy=next(found, _OTHER_REMEDY))
