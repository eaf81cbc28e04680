"""What holds of the list of versions: their names, and one step each."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.loading.rules.rule_helpers import MAKERS, lists_reads, place_of_version, repeated
from harness.scenario.expectations import FIRST, PREVIOUS
from harness.scenario.model import STEPS, Scenario, Version


def version_problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that is wrong with the versions but with what their steps say."""
    yield from _names(scenario)
    for index, version in enumerate(scenario.versions):
        yield from _one_step(version, ("versions", index))
    if scenario.table.uri is None and not lists_reads(scenario):
        yield from _first(scenario.versions[0])
    yield from _fitting(scenario)


def _names(scenario: Scenario) -> Iterator[Problem]:
    names = [version.name for version in scenario.versions]
    for index, name in repeated(names):
        message = f"version name '{name}' is used twice."
        if name not in names[:index]:
            message = f"version name '{name}' is used twice, but for the case of its letters."
        yield Problem(message, _place_of_name(scenario, index))
    for index, name in enumerate(names):
        is_other = name == PREVIOUS or (name == FIRST and not _is_first(scenario, index))
        if is_other and name not in names[:index]:
            message = f"'{name}' can't be a version's name here: 'since' means another by it."
            yield Problem(message, _place_of_name(scenario, index))


def _place_of_name(scenario: Scenario, index: int) -> Location:
    at = place_of_version(scenario, index)
    return at if lists_reads(scenario) else (*at, "name")


def _is_first(scenario: Scenario, index: int) -> bool:
    """Whether ``since: first`` means this version, wherever it is said."""
    return index == 0 and (scenario.versions[0].is_trained or not scenario.trained)


def _one_step(version: Version, at: Location) -> Iterator[Problem]:
    kinds = list(version.steps)
    if len(kinds) > 1:
        message = (
            f"version '{version.name}' has several steps ({', '.join(kinds)}); make one version of each."
        )
        yield Problem(message, (*at, kinds[1]))
    # A step that is there without a value is told as such.
    if not kinds and not set(STEPS) & version.model_fields_set:
        yield Problem(f"version '{version.name}' has no step; give it one of {', '.join(STEPS)}.", at)


def _first(version: Version) -> Iterator[Problem]:
    """A table that is built comes about by the first step."""
    if len(version.steps) != 1 or version.kind == "read":
        return
    makes = f"version '{version.name}': the first step makes the table"
    at: Location = ("versions", 0)
    if version.kind not in MAKERS:
        message = f"{makes}, which {version.kind} can't; begin with append or overwrite."
        yield Problem(message, (*at, version.kind))
    elif version.expect_error is not None:
        yield Problem(f"{makes}, so that it can't be one that must fail.", (*at, "expect_error"))
    elif version.commits == 0:
        yield Problem(f"{makes}, which is a commit.", (*at, "commits"))


def _fitting(scenario: Scenario) -> Iterator[Problem]:
    """A table that is there already is read, and one that is built is not."""
    table = scenario.table
    is_both = table.source is not None and table.uri is not None
    if is_both or lists_reads(scenario):
        return
    for index, version in enumerate(scenario.versions):
        for kind in version.steps:
            at: Location = ("versions", index, kind)
            if table.uri is not None and kind != "read":
                message = (
                    f"version '{version.name}': a table that is there already is only read, and not changed."
                )
                yield Problem(f"{message} Take a 'read' step.", at)
            if table.uri is None and kind == "read":
                message = f"version '{version.name}': 'read' is for a table that is there already"
                yield Problem(f"{message}; name it by 'uri' in 'table'.", at)
