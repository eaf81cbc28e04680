"""What Spark says of a mistake in a scenario, turned into the harness's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import AnalysisException, ParseException

from harness.errors import HarnessError, Location, NotThereError, Problem, ScenarioError
from harness.files import FULL_DISK_REMEDY

_NO_SPACE = "No space left on device"


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


def storage_fault(error: BaseException) -> HarnessError | None:
    """The message for a disk that is full; ``None`` where the fault is another."""
    if _NO_SPACE in str(error):
        return NotThereError(
            "The disk is full: no space left on device.",
            remedy=FULL_DISK_REMEDY,
        )
    return None
