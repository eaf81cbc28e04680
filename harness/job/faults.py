"""What Spark says of a mistake in a scenario, turned into the harness's words."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.errors import AnalysisException, ParseException

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
