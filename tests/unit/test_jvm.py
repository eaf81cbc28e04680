"""The start of the job's JVM, and the message if it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError, UsageError
from harness.runtime.java import Java, find_java
from harness.runtime.jvm import explain_failed_start, require_startable, split_options

NO_MEMORY = """\
OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory(0x0) failed; error='Not enough space' (errno=12)
#
# There is insufficient memory for the Java Runtime Environment to continue."""
NO_NAME = """\
26/01/31 10:00:00 WARN Utils: Your hostname resolves to a loopback address
Exception in thread "main" java.lang.IllegalArgumentException: basedir must be absolute: ?/.ivy2/local
\tat org.apache.ivy.util.Checks.checkAbsolute(Checks.java:48)"""


@pytest.mark.parametrize(
    ("output", "first", "remedy"),
    [
        pytest.param(
            "Picked up _JAVA_OPTIONS: -XX:Bogus\nUnrecognized VM option 'Bogus'\nError: Could not create the "
            "Java Virtual Machine.",
            "Unrecognized VM option 'Bogus'.",
            "HARNESS_JAVA_OPTIONS",
            id="an option",
        ),
        pytest.param(
            "Error occurred during initialization of VM\nCould not reserve enough space for a heap of 9 KB",
            "Could not reserve enough space for a heap of 9 KB.",
            "HARNESS_DRIVER_MEMORY",
            id="the heap",
        ),
        pytest.param(NO_MEMORY, "Not enough space", "HARNESS_DRIVER_MEMORY", id="the memory"),
        pytest.param(NO_NAME, "basedir must be absolute: ?/.ivy2/local", "/etc/passwd", id="the user"),
        pytest.param(
            'Exception in thread "main" java.io.IOException: Failed to create a temp directory (under /tmp)',
            "Failed to create a temp directory (under /tmp).",
            "TMPDIR",
            id="the temporary files",
        ),
        pytest.param("", "it wrote no reason", "harness doctor", id="nothing"),
    ],
)
def test_a_failed_start_is_explained(output: str, first: str, remedy: str) -> None:
    """The message of a JVM that does not start has its own first line and a remedy."""
    error = explain_failed_start(output.splitlines())
    assert (True, True) == (first in error.message, remedy in (error.remedy or "")), error


def test_the_jvm_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JVM really starts with the options; a wrong one is reported as Java reports it."""
    monkeypatch.delenv("HARNESS_JAVA_HOME", raising=False)
    java = find_java(None, os.environ)
    assert java.version == require_startable(java, ["-Xmx64m"], {})
    with pytest.raises(
        PrerequisiteError, match=r"doesn't start: .*NewRatio=x.*\n  Correct HARNESS_JAVA_OPTIONS"
    ):
        require_startable(java, ["-XX:NewRatio=x"], {})


def test_a_java_that_is_no_program_is_reported(tmp_path: Path) -> None:
    """A file that the system can't run is reported with its path."""
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("not a program")
    with pytest.raises(PrerequisiteError, match=r"bin/java: Permission denied.\n  Set HARNESS_JAVA_HOME"):
        require_startable(Java(tmp_path, "17", "a test"), [], {})


def test_options_are_split_like_arguments() -> None:
    """Options are split as a shell does, so that one may contain a space."""
    assert ("-Da=b c", "-Dd=e") == split_options("'-Da=b c' -Dd=e")


@pytest.mark.parametrize(
    ("text", "message"),
    [("'-Da", "No closing quotation"), ("-Xmx9g", "sets the memory of the JVM: -Xmx9g")],
)
def test_impossible_options_are_refused(text: str, message: str) -> None:
    """An open quote and an option that another setting has are refused."""
    with pytest.raises(UsageError, match=message):
        split_options(text)
