"""Exceptions, one per cause, the exit code that each leads to, and small parts of messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

Location = tuple[str | int, ...]
"""Path of a value inside a scenario file, such as ``("versions", 0, "append", "where")``."""


def format_location(location: Location) -> str:
    """Return a location as text, such as ``versions[0].append.where``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


RUN_AGAIN = "Run the scenario again: make scenario NAME=..."
"""A remedy."""


class ExitCode(IntEnum):
    """The exit codes of the command."""

    PASS = 0
    BOUND_FAILED = 1
    WRONG_INPUT = 2
    PREREQUISITE_MISSING = 3
    NOT_PROVEN = 4
    JOB_FAILED = 5
    INTERRUPTED = 130


WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.JOB_FAILED,
    ExitCode.PREREQUISITE_MISSING,
    ExitCode.WRONG_INPUT,
    ExitCode.BOUND_FAILED,
    ExitCode.NOT_PROVEN,
    ExitCode.PASS,
)
"""Exit codes by precedence: if several apply, the first one of them is used."""


def select_worst(*codes: ExitCode) -> ExitCode:
    """Return the exit code to use if several apply."""
    return min(codes, key=WORST_FIRST.index)


class HarnessError(Exception):
    """An error with a message for the user and, if possible, a remedy."""

    exit_code: ClassVar[ExitCode] = ExitCode.JOB_FAILED

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class UsageError(HarnessError):
    """An invalid command line or setting."""

    exit_code = ExitCode.WRONG_INPUT


@dataclass(frozen=True)
class Problem:
    """One mistake in a scenario: what is wrong, and the location of the value in the file."""

    message: str
    location: Location = ()
    line: int | None = None


_MOST_SHOWN = 20


def limit_lines(lines: Sequence[str]) -> list[str]:
    """Return the first lines of a list of problems; the last line says how many more there are."""
    more = len(lines) - _MOST_SHOWN
    return [*lines[:_MOST_SHOWN], *([f"and {more:,} more"] if more > 0 else [])]


class ScenarioError(HarnessError):
    """An invalid scenario, or invalid data that it names, with every problem found."""

    exit_code = ExitCode.WRONG_INPUT

    def __init__(self, problems: Sequence[Problem], *, file: str | None = None) -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__("\n".join(limit_lines([self._line(problem) for problem in self.problems])))

    def _line(self, problem: Problem) -> str:
        if self.file is None:
            return problem.message
        line = f":{problem.line}" if problem.line is not None else ""
        return f"{self.file}{line}: {problem.message}"


class PrerequisiteError(HarnessError):
    """A missing prerequisite, such as Java, a jar, a writable folder or a stored run."""

    exit_code = ExitCode.PREREQUISITE_MISSING


class LostRunError(HarnessError):
    """A run that continues but can no longer be followed, as its target does not answer."""

    exit_code = ExitCode.PREREQUISITE_MISSING


class JobError(HarnessError):
    """A job that failed."""

    exit_code = ExitCode.JOB_FAILED


class DeadProcessError(JobError):
    """A process of the job that died: its Python process, its JVM, an executor, or its container."""


class OutOfMemoryError(JobError):
    """A JVM of the job whose heap was too small."""


class InterruptedRunError(HarnessError):
    """A run interrupted by Ctrl-C or by a termination signal."""

    exit_code = ExitCode.INTERRUPTED


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known word, or an empty text if none is near."""
    return suggest(find_nearest(word, known))


def suggest(meant: str | None) -> str:
    """Return `` Did you mean 'x'?``, or an empty text if there is no suggestion."""
    return f" Did you mean '{meant}'?" if meant else ""


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the nearest known word, or ``None`` if none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def format_first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's type if there is no message."""
    return str(error).strip().partition("\n")[0].rstrip() or type(error).__name__
