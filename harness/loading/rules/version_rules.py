"""Rules of the list of versions: their names, and one step each."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.loading.rules.rule_helpers import lists_reads, location_of_version
from harness.scenario.expectations import FIRST, PREVIOUS
from harness.scenario.model import Scenario, Version
from harness.scenario.steps import STEPS
from harness.scenario.text_checks import find_repeated


def version_problems(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with the versions, except for the contents of their steps."""
    yield from _names(scenario)
    for index, version in enumerate(scenario.versions):
        yield from _one_step(version, ("versions", index))
    if scenario.table.uri is None and not lists_reads(scenario):
        yield from _first(scenario.versions[0])
    yield from _steps_for_table(scenario)


def _names(scenario: Scenario) -> Iterator[Problem]:
    names = [version.name for version in scenario.versions]
    for index, name in find_repeated(names):
        message = f"version name '{name}' is used twice."
        if name not in names[:index]:
            earlier = next(other for other in names[:index] if other.lower() == name.lower())
            message = f"version names '{earlier}' and '{name}' differ only in case; rename one."
        yield Problem(message, _location_of_name(scenario, index))
    for index, name in enumerate(names):
        is_keyword = name == PREVIOUS or (name == FIRST and not _is_first(scenario, index))
        if is_keyword and name not in names[:index]:
            message = f"a version can't be called '{name}' here: 'since: {name}' means another version."
            yield Problem(message, _location_of_name(scenario, index))


def _location_of_name(scenario: Scenario, index: int) -> Location:
    at = location_of_version(scenario, index)
    return at if lists_reads(scenario) else (*at, "name")


def _is_first(scenario: Scenario, index: int) -> bool:
    """Return whether ``since: first`` always means this version."""
    return index == 0 and (scenario.versions[0].is_trained or not scenario.trained)


def _one_step(version: Version, at: Location) -> Iterator[Problem]:
    kinds = list(version.steps)
    if len(kinds) > 1:
        message = (
            f"version '{version.name}' has several steps ({', '.join(kinds)}); use one version per step."
        )
        yield Problem(message, (*at, kinds[1]))
    # A step without a value is reported as an empty key.
    if not kinds and not set(STEPS) & version.model_fields_set:
        yield Problem(f"version '{version.name}' has no step; add one of {', '.join(STEPS)}.", at)


def _first(version: Version) -> Iterator[Problem]:
    """Check that the first step can make the table."""
    if len(version.steps) != 1 or not version.step.changes_table:
        return
    subject = f"version '{version.name}': the first step creates the table"
    at: Location = ("versions", 0)
    if not version.step.makes_table:
        makers = ", ".join(kind for kind, step in STEPS.items() if step.makes_table)
        message = f"{subject}, which {version.kind} can't do; begin with one of {makers}."
        yield Problem(message, (*at, version.kind))
    elif version.expect_error is not None:
        yield Problem(f"{subject}, so it must not fail; remove 'expect_error'.", (*at, "expect_error"))
    elif version.commits == 0:
        yield Problem(f"{subject}, which is a commit; remove 'commits'.", (*at, "commits"))


def _steps_for_table(scenario: Scenario) -> Iterator[Problem]:
    """Check that an existing table is only read, and that a table to build is not read."""
    table = scenario.table
    is_both = table.source is not None and table.uri is not None
    if is_both or lists_reads(scenario):
        return
    for index, version in enumerate(scenario.versions):
        for kind, step in version.steps.items():
            at: Location = ("versions", index, kind)
            if table.uri is not None and step.changes_table:
                message = f"version '{version.name}': an existing table is only read, never changed"
                yield Problem(f"{message}; use a 'read' step.", at)
            if table.uri is None and not step.changes_table:
                message = f"version '{version.name}': '{kind}' is for an existing table"
                yield Problem(f"{message}; add its 'uri' to 'table'.", at)
