"""What can go wrong, one exception per cause, each with its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

Location = tuple[str | int, ...]
"""Path of a value inside a scenario file, such as ``("versions", 0, "append", "where")``."""


class ExitCode(IntEnum):
    """What the command's exit code says."""

    PASS = 0
    BOUND_FAILED = 1
    WRONG_INPUT = 2
    NOT_THERE = 3
    NOT_PROVEN = 4
    JOB_BROKE = 5
    INTERRUPTED = 130


WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.JOB_BROKE,
    ExitCode.NOT_THERE,
    ExitCode.WRONG_INPUT,
    ExitCode.BOUND_FAILED,
    ExitCode.NOT_PROVEN,
    ExitCode.PASS,
)
"""Which code wins when several apply."""


def worst(*codes: ExitCode) -> ExitCode:
    """The code to end with where several apply."""
    return min(codes, key=WORST_FIRST.index)


class HarnessError(Exception):
    """A fault with a message for the person at the terminal and, where there is one, a remedy."""

    exit_code: ClassVar[ExitCode] = ExitCode.JOB_BROKE

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class UsageError(HarnessError):
    """The command line or a setting is wrong."""

    exit_code = ExitCode.WRONG_INPUT


@dataclass(frozen=True)
class Problem:
    """One mistake in a scenario: what is wrong, and which value of the file it is about."""

    message: str
    location: Location = ()
    line: int | None = None


class ScenarioError(HarnessError):
    """The scenario, or the data it names, is wrong; carries every problem found."""

    exit_code = ExitCode.WRONG_INPUT

    def __init__(self, problems: Sequence[Problem], *, file: str | None = None) -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    def _line(self, problem: Problem) -> str:
        if self.file is None:
            return problem.message
        line = f":{problem.line}" if problem.line is not None else ""
        return f"{self.file}{line}: {problem.message}"


class NotThereError(HarnessError):
    """Something that the run needs is not there: Java, a jar, a folder that can be written, a run."""

    exit_code = ExitCode.NOT_THERE


class LostRunError(HarnessError):
    """The run goes on, but out of sight: what leads to it does not answer any more."""

    exit_code = ExitCode.NOT_THERE


class JobError(HarnessError):
    """The job beside Spark broke."""

    exit_code = ExitCode.JOB_BROKE


class InterruptedRunError(HarnessError):
    """Somebody pressed Ctrl-C, or the process was asked to end."""

    exit_code = ExitCode.INTERRUPTED
