"""What a target needs, looked at before anything is started: one line each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from harness.errors import NotThereError

State = Literal["ok", "failed", "not checkable"]


@dataclass(frozen=True)
class Check:
    """One thing that a target needs."""

    what: str
    state: State
    found: str = ""
    """What was seen, or why it can't be."""
    remedy: str = ""
    """Where it failed."""


def require(checks: Iterable[Check]) -> None:
    """See that none has failed.

    Raises:
        NotThereError: Names every one that has, with its remedy.
    """
    failed = [check for check in checks if check.state == "failed"]
    if failed:
        raise NotThereError(
            "\n".join(f"{check.what}: {check.found}" for check in failed),
            remedy="\n  ".join(dict.fromkeys(check.remedy for check in failed if check.remedy)) or None,
        )
