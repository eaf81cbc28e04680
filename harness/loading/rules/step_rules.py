"""Rules of the steps: those of each kind, and those on 'commits' and 'expect_error'."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.loading.rules.rule_helpers import versions_with_step
from harness.scenario.model import Scenario, Version

_ERROR_CLASS = re.compile(r"[A-Za-z][\w.$]*")


def step_problems(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with the steps, without looking at any data."""
    for index, version in versions_with_step(scenario):
        at: Location = ("versions", index)
        yield from _commits(version, (*at, "commits"))
        yield from _expect_error(version, at)
        yield from version.step.problems(scenario.context_of(index))


def _commits(version: Version, at: Location) -> Iterator[Problem]:
    commits = version.commits
    if commits is None or commits == "any":
        return
    if version.expect_error is not None:
        if commits != 0:
            message = f"version '{version.name}' must fail, so it makes no commit"
            yield Problem(f"{message}; remove 'commits'.", at)
        return
    possible = version.step.possible_commits
    if possible is not None and commits not in possible:
        numbers = " or ".join(str(number) for number in possible)
        message = f"version '{version.name}': {version.kind} makes {numbers} commits, not {commits}."
        yield Problem(message, at)


def _expect_error(version: Version, at: Location) -> Iterator[Problem]:
    error = version.expect_error
    if error is None:
        return
    if not _ERROR_CLASS.fullmatch(error):
        message = f"'{error}' is not an error class; write one such as DELTA_FAILED_TO_MERGE_FIELDS."
        yield Problem(message, (*at, "expect_error"))
    if not version.step.changes_table:
        message = f"version '{version.name}' is only read, so it can't fail; remove 'expect_error'."
        yield Problem(message, (*at, "expect_error"))
    if version.train and "train" in version.model_fields_set:
        message = f"version '{version.name}' must fail, so no model can be trained at it; remove 'train'."
        yield Problem(message, (*at, "train"))
