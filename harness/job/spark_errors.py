"""Errors of Spark, Delta and storage, translated into messages that the author of a scenario can act on."""

from __future__ import annotations

import errno
import re
import sys
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import AnalysisException, ParseException, PySparkException

from harness.errors import HarnessError, Location, PrerequisiteError, Problem, ScenarioError
from harness.files import UNWRITABLE_REMEDY, make_unwritable_error
from harness.plan import Environment
from harness.storage.accounts import make_credential_error
from harness.storage.disk_space import is_full_disk_message, list_local_folders, make_full_disk_error

# Messages of the operating system, Hadoop and SQLite.
_NOT_WRITABLE = ("Mkdirs failed", "Permission denied", "Read-only file system", "readonly database")
_NOT_WRITABLE_CODES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
# Messages of Java, Hadoop's client for Azure storage, and Python's clients.
_UNREACHABLE = re.compile(
    r"Connection refused|Connection reset|UnknownHostException|Name or service not known|No route to host|"
    r"[Tt]emporary failure in name resolution|[Rr]ead timed out|[Cc]onnect timed out|NoHttpResponseException|"
    r"Remote end closed connection|Max retries exceeded|Unexpected end of file from server"
)
_CREDENTIAL_REFUSED = re.compile(
    r"AuthenticationFailed|InvalidAuthenticationInfo|Authorization(Failure|PermissionMismatch)"
)
_CERTIFICATE_UNTRUSTED = re.compile(r"PKIX path|CERTIFICATE_VERIFY_FAILED")
# Hadoop's client for Azure storage writes the class of the cause right behind the host.
_ADDRESS = re.compile(
    r"https?://([\w.-]+(?::\d+)?)|host='([\w.-]+)'|"
    r"UnknownHostException ?: ([\w-]+?(?:\.[\w-]+?)*?)(?=java\.net\.|org\.apache\.|[^\w.-]|\.?$|\.\s)"
)
_CREDENTIAL_MISSING = re.compile(
    r"configuration for (?:storage account )?([\w-]+)\.(?:dfs|blob)\.core\.\S+ [^\n]*fs\.azure\.account\.key|"
    r"Configuration property fs\.azure\.account\.[\w.]+?\.([\w-]+)\.(?:dfs|blob)\.core\.\S+ not found"
)
"""Messages of Hadoop's client about an account that it has neither a key nor a login for."""
# What Py4J writes before the error that came out of its call, and the package of that error's class.
_CALL = re.compile(r"^.*An error occurred while calling \S+?\.?(?: Trace:)?\s*(?:\n:?\s*|$)", re.MULTILINE)
_JAVA_PACKAGE = re.compile(r"^(?:[a-z][\w]*\.)+(?=[A-Z]\w*(?:Exception|Error|Throwable)\b)")
_AZURE_HOSTS = (".core.windows.net", "login.microsoftonline.com")
_REASONS = {"UnknownHostException": "unknown host"}
_MAX_MESSAGE_LENGTH = 400
_INTERNAL_ERROR = "INTERNAL_ERROR"
"""Prefix of the error classes of Spark's own bugs, which no scenario can fix."""


@dataclass(frozen=True)
class NamedError:
    """One error in a chain of causes."""

    name: str
    """Its error class, such as ``DELTA_FAILED_TO_MERGE_FIELDS``; its Java class if it has no error class."""
    message: str
    has_error_class: bool


@contextmanager
def attribute_error(what: str, location: Location) -> Iterator[None]:
    """Attribute an expression that Spark can't resolve or parse to the scenario.

    Args:
        what: What can't be done, as the start of the message.
        location: Location of the expression in the scenario file.

    Raises:
        ScenarioError: Spark could not resolve or parse the expression.
    """
    try:
        yield
    except (AnalysisException, ParseException) as error:
        raise ScenarioError([Problem(f"{what}: {summarize_error(error)}", location)]) from error


@contextmanager
def attribute_step_error(what: str, location: Location) -> Iterator[None]:
    """Attribute whatever Spark or Delta rejects with an error class to the step that is being applied.

    Args:
        what: What can't be done, as the start of the message.
        location: Location of the step in the scenario file.

    Raises:
        ScenarioError: Spark or Delta rejected the step; their error is the cause.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if translate_storage_error(error) is not None or (named := find_author_error(error)) is None:
            raise
        raise ScenarioError([Problem(f"{what}: {format_error(named)}", location)]) from error


@contextmanager
def log_errors() -> Iterator[None]:
    """Log an error of secondary work, such as clean-up, instead of raising it."""
    try:
        yield
    except Exception as error:
        log_traceback(error)


def log_traceback(error: BaseException) -> None:
    """Write an error to the job's log, unless its disk is full: the author's mistake without a traceback."""
    is_mistake = isinstance(error, ScenarioError) and error.__cause__ is None
    with suppress(OSError):
        if is_mistake:
            sys.stderr.write(f"{error}\n")
        else:
            traceback.print_exception(error)


def format_error(error: NamedError) -> str:
    """Format an error as one line that includes its class."""
    # The rest is a position in SQL that the author didn't write, or Spark's plan.
    message = textwrap.shorten(re.split(r"\n\n|; line |;\n", error.message)[0], _MAX_MESSAGE_LENGTH)
    return message if error.name in message else f"[{error.name}] {message}"


def find_author_error(error: BaseException) -> NamedError | None:
    """Return the outermost cause that the author of a scenario can understand: one with an error class."""
    classes = (each for each in list_causes(error) if each.has_error_class)
    return next((each for each in classes if not each.name.startswith(_INTERNAL_ERROR)), None)


def list_causes(error: BaseException | None) -> list[NamedError]:
    """Return an error from the JVM and its causes, the outermost first."""
    # Py4J's errors have Java's exception in a public attribute, PySpark's own only in a private one.
    origin: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    causes: list[NamedError] = []
    while origin is not None:
        causes.append(_name_error(origin))
        origin = origin.getCause()
    return causes


def _name_error(origin: Any) -> NamedError:
    context: Any = SparkContext
    is_spark = is_instance_of(context._gateway, origin, "org.apache.spark.SparkThrowable")  # noqa: SLF001
    error_class = origin.getErrorClass() if is_spark else None
    message = origin.getMessage() or ""
    return NamedError(error_class or origin.getClass().getSimpleName(), message, error_class is not None)


def name_error(error: BaseException) -> str:
    """Return the error class or the Java class of an error from the JVM, or the type of another error."""
    found = _find_java_error(error)
    return found.name if found else type(error).__name__


def summarize_error(error: BaseException) -> str:
    """Return an error as one line, without Spark's plan, a stack trace, or the call that Py4J made."""
    found = _find_java_error(error)
    if found is None:
        return _summarize_text(read_text(error)) or type(error).__name__
    if found.has_error_class:
        return format_error(found)
    return f"{found.name}: {_summarize_text(found.message)}".removesuffix(": ")


def _find_java_error(error: BaseException) -> NamedError | None:
    """Return the cause that says most of an error that Py4J only wraps; ``None`` if it is another error."""
    if not isinstance(error, Py4JJavaError):
        return None
    try:
        return find_author_error(error) or list_causes(error)[-1]
    except (Py4JError, OSError):
        return None  # The JVM, which has the error, has ended.


def read_text(error: BaseException) -> str:
    """Return an error's message, which Py4J asks the JVM for."""
    try:
        return str(error)
    except (Py4JError, OSError):
        return ""


def read_chain(error: BaseException) -> str:
    """Return the messages of an error and of those that it was raised from, except the harness's own."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return "\n".join(filter(None, (read_text(each) for each in chain if not isinstance(each, HarnessError))))


def _summarize_text(text: str) -> str:
    """Return the sentence of a message that may contain Py4J's call, a stack trace or Spark's plan."""
    _, is_from_python, of_python = text.rpartition("Traceback (most recent call last):")
    if is_from_python:
        # The error of a Python worker: the first line after its frames.
        ends = [line.strip() for line in of_python.splitlines() if line.strip() and line[0] != " "]
        text = ends[0] if ends else text
    causes = [line for line in text.splitlines() if "Caused by: " in line]
    text = causes[-1].partition("Caused by: ")[2] if causes else _CALL.sub("", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _JAVA_PACKAGE.sub("", lines[0].split("; line ")[0]) if lines else ""


def translate_full_disk(error: BaseException, environment: Environment) -> HarnessError | None:
    """Return the error to report if a disk is full, with its folder on this machine, else ``None``."""
    if not is_full_disk_message(read_chain(error)):
        return None
    return make_full_disk_error(list_local_folders(environment), summarize_error(error))


def translate_storage_error(error: BaseException) -> HarnessError | None:
    """Return the error to report if storage or a service is unreachable, full or read-only, else ``None``."""
    text = read_text(error)
    if (missing := _CREDENTIAL_MISSING.search(text)) is not None:
        return make_credential_error(next(filter(None, missing.groups())))
    if (address := _ADDRESS.search(text)) is not None:
        translated = _translate_service_error(text, next(filter(None, address.groups())))
        if translated is not None:
            return translated
    if is_full_disk_message(text):
        return make_full_disk_error((), summarize_error(error))
    if isinstance(error, OSError) and error.filename and error.errno in _NOT_WRITABLE_CODES:
        return make_unwritable_error(Path(str(error.filename)), error)
    if any(sign in text for sign in _NOT_WRITABLE):
        return PrerequisiteError(f"Can't write: {summarize_error(error)}", remedy=UNWRITABLE_REMEDY)
    return None


def _translate_service_error(text: str, address: str) -> HarnessError | None:
    if _CREDENTIAL_REFUSED.search(text):
        remedy = "Correct the account's credential, or grant it the role Storage Blob Data Contributor."
        return PrerequisiteError(f"The service at {address} refuses the credential.", remedy=remedy)
    if _CERTIFICATE_UNTRUSTED.search(text):
        remedy = "Add the authority that signed it to the system's trusted certificates."
        return PrerequisiteError(
            f"The certificate of the service at {address} is not trusted.", remedy=remedy
        )
    if reason := _UNREACHABLE.search(text):
        why = _REASONS.get(reason.group(), reason.group())
        message = f"The service at {address} doesn't answer: {why}."
        return PrerequisiteError(message, remedy=_choose_remedy(address))
    return None


def _choose_remedy(address: str) -> str:
    """Return what to do about a service that doesn't answer: only a service of the stack has a short name."""
    if "." not in address:
        return "Check that it is running: 'make logs' shows the logs of the stack's services."
    if address.endswith(_AZURE_HOSTS):
        return (
            "Check the account's name, and that its firewall and the network let the job in: "
            "docs/storage.md shows how an account is configured."
        )
    return "Check its address, that it is running, and that the job's network reaches it."
