"""What Spark says of a mistake in a scenario, turned into the harness's words."""

from __future__ import annotations

import errno
import re
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import AnalysisException, ParseException, PySparkException

from harness.errors import HarnessError, Location, NotThereError, Problem, ScenarioError
from harness.files import FULL_DISK_REMEDY, UNWRITABLE_REMEDY, unwritable

# In the words of the operating system, of Hadoop and of SQLite.
_FULL = ("No space left on device", "Disk quota exceeded", "database or disk is full")
_CLOSED = ("Mkdirs failed", "Permission denied", "Read-only file system", "readonly database")
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
# In the words of Java, of Hadoop's client of Azure's storage, and of Python's clients.
_AWAY = re.compile(
    r"Connection refused|Connection reset|UnknownHostException|Name or service not known|No route to host|"
    r"[Tt]emporary failure in name resolution|[Rr]ead timed out|[Cc]onnect timed out|NoHttpResponseException|"
    r"Remote end closed connection|Max retries exceeded|Unexpected end of file from server"
)
_REFUSED = re.compile(
    r"AuthenticationFailed|InvalidAuthenticationInfo|Authorization(Failure|PermissionMismatch)"
)
_UNTRUSTED = re.compile(r"PKIX path|CERTIFICATE_VERIFY_FAILED")
_LENGTH_TOLD = 400
_NOT_AN_AUTHORS = "INTERNAL_ERROR"
"""The error class of Spark's own faults."""
_ADDRESS = re.compile(r"https?://([\w.-]+(?::\d+)?)|host='([\w.-]+)'|UnknownHostException: ([\w.-]+)")


@contextmanager
def blamed_on(what: str, location: Location) -> Iterator[None]:
    """An expression or a step of the scenario that Spark refuses is the scenario's mistake.

    Raises:
        ScenarioError: Spark could not resolve or parse what the scenario says.
    """
    try:
        yield
    except (AnalysisException, ParseException) as error:
        raise ScenarioError([Problem(f"{what}: {first_sentence(error)}", location)]) from error


@dataclass(frozen=True)
class NamedError:
    """One error of a chain of causes."""

    name: str
    """Its error class, such as ``DELTA_FAILED_TO_MERGE_FIELDS``, or its Java class where it has none."""
    message: str
    has_class: bool


@contextmanager
def blamed_on_step(what: str, location: Location) -> Iterator[None]:
    """Whatever Spark or Delta refuses by an error class, while a step is carried out, is the step's mistake.

    Raises:
        ScenarioError: The step failed so; the Spark error is its cause.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if storage_fault(error) is not None or (named := blamable(error)) is None:
            raise
        raise ScenarioError([Problem(f"{what}: {told(named)}", location)]) from error


def told(error: NamedError) -> str:
    """An error in one line, with its class."""
    # What follows is the place in a text that nobody wrote so, or Spark's plan.
    message = textwrap.shorten(re.split(r"\n\n|; line |;\n", error.message)[0], _LENGTH_TOLD)
    return message if error.name in message else f"[{error.name}] {message}"


def blamable(error: BaseException) -> NamedError | None:
    """What of an error a scenario's author can understand: the outermost error class in its causes."""
    classes = (each for each in named_errors(error) if each.has_class)
    return next((each for each in classes if not each.name.startswith(_NOT_AN_AUTHORS)), None)


def named_errors(error: BaseException | None) -> list[NamedError]:
    """An error that came out of the JVM and its causes, the outermost first."""
    # PySpark keeps Java's own object only where no method of its own leads to it.
    origin: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    found: list[NamedError] = []
    while origin is not None:
        found.append(_named(origin))
        origin = origin.getCause()
    return found


def _named(origin: Any) -> NamedError:
    context: Any = SparkContext
    is_spark = is_instance_of(context._gateway, origin, "org.apache.spark.SparkThrowable")  # noqa: SLF001
    error_class = origin.getErrorClass() if is_spark else None
    message = origin.getMessage() or ""
    return NamedError(error_class or origin.getClass().getSimpleName(), message, error_class is not None)


@contextmanager
def logged() -> Iterator[None]:
    """A fault on the side goes into the log, and does not hide the one that led here."""
    try:
        yield
    except Exception:
        traceback.print_exc()


def first_sentence(error: BaseException) -> str:
    """The line of Spark's message that says what is wrong, without its plan or stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split("; line ")[0] if lines else type(error).__name__


def root_sentence(error: BaseException) -> str:
    """The cause at the bottom of a fault that came out of the JVM, in one line."""
    causes = [line for line in str(error).splitlines() if "Caused by: " in line]
    if not causes:
        return first_sentence(error)
    return causes[-1].partition("Caused by: ")[2].partition(": ")[2].strip() or first_sentence(error)


def storage_fault(error: BaseException) -> HarnessError | None:
    """The message for a place that is away, full or can't be written; ``None`` where the fault is another."""
    text = str(error)
    if (found := _ADDRESS.search(text)) is not None:
        fault = _service_fault(text, next(filter(None, found.groups())))
        if fault is not None:
            return fault
    if any(sign in text for sign in _FULL):
        return NotThereError(f"The disk is full: {first_sentence(error)}", remedy=FULL_DISK_REMEDY)
    if isinstance(error, OSError) and error.filename and error.errno in _UNWRITABLE:
        return unwritable(Path(str(error.filename)), error)
    if any(sign in text for sign in _CLOSED):
        return NotThereError(f"Can't write: {root_sentence(error)}", remedy=UNWRITABLE_REMEDY)
    return None


def _service_fault(text: str, address: str) -> HarnessError | None:
    if _REFUSED.search(text):
        remedy = "Correct the account's credential, or give it the role Storage Blob Data Contributor."
        return NotThereError(f"The service at {address} refuses the credential.", remedy=remedy)
    if _UNTRUSTED.search(text):
        remedy = "Let the system trust the authority that has signed it."
        return NotThereError(f"The certificate of the service at {address} is not trusted.", remedy=remedy)
    if away := _AWAY.search(text):
        remedy = "See that it runs: 'make logs' shows what the stack's services say."
        return NotThereError(f"The service at {address} does not answer: {away.group()}.", remedy=remedy)
    return None
