"""Rules of the table and its versions: the sources, the names of the versions, and one step each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.reading.stated_types import parse_stated_type
from harness.scenario.expectations import FIRST, PREVIOUS
from harness.scenario.model import Scenario, Version
from harness.scenario.row_source import Source
from harness.scenario.rows import Rows
from harness.scenario.steps import STEPS
from harness.scenario.text_checks import check_not_blank, find_repeated

_AT: Location = ("table",)


def check_table(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with the table and with the sources of its rows."""
    table = scenario.table
    for index, name in find_repeated(table.key):
        yield Problem(f"key column '{name}' is listed twice.", (*_AT, "key", index))
    for index, name in find_repeated(table.sensitive):
        yield Problem(f"sensitive column '{name}' is listed twice.", (*_AT, "sensitive", index))
    if table.key_from == "content":
        yield from _check_content_key(scenario)
    yield from check_not_blank(table.uri, "uri", (*_AT, "uri"))
    if table.uri is not None and table.source is not None:
        message = "the table has both a 'source' to build it and the 'uri' of an existing one; remove one."
        yield Problem(message, (*_AT, "uri"))
    yield from _check_listed_versions(scenario)
    yield from _check_stated_types(scenario)
    if scenario.lacks_every_source:
        message = (
            "the table has no source; add 'source', or the 'uri' of an existing table, "
            "or add 'from' or 'rows' to each step."
        )
        yield Problem(message, _AT)
    for source, at in _list_sources(scenario):
        yield from _check_source(source, at)


def _check_content_key(scenario: Scenario) -> Iterator[Problem]:
    at: Location = (*_AT, "key_from")
    if len(scenario.table.key) > 1:
        yield Problem("a key from the rows' content is one column; name one under 'key'.", at)
    if scenario.table.uri is not None:
        message = "the key of an existing table can't be added to it; name columns of the table under 'key'"
        yield Problem(f"{message}, and remove 'key_from'.", at)


def _check_listed_versions(scenario: Scenario) -> Iterator[Problem]:
    if scenario.table.versions is None:
        return
    at: Location = (*_AT, "versions")
    if scenario.table.uri is None:
        message = "'versions' in 'table' lists versions of an existing table; add its 'uri'."
        yield Problem(message, at)
    if not lists_reads(scenario):
        message = "versions are listed both under 'versions' and under 'versions' in 'table'; remove one."
        yield Problem(message, at)


def _check_stated_types(scenario: Scenario) -> Iterator[Problem]:
    at: Location = (*_AT, "columns")
    if scenario.table.columns and scenario.table.uri is not None:
        message = "'columns' states types of the columns of sources, but the table exists already; remove it."
        yield Problem(message, at)
    for _, name in find_repeated(scenario.table.columns):
        yield Problem(f"column '{name}' is listed twice.", (*at, name))
    for name, kind in scenario.table.columns.items():
        try:
            parse_stated_type(kind)
        except ValueError as error:
            yield Problem(f"column '{name}': {error}.", (*at, name))


def _list_sources(scenario: Scenario) -> Iterator[tuple[Source, Location]]:
    """Yield every source with its location."""
    if scenario.table.source is not None:
        yield scenario.table.source, (*_AT, "source")
    for index, version in versions_with_step(scenario):
        step = version.step
        if isinstance(step, Rows) and step.source is not None:
            yield step.source, ("versions", index, version.kind, "from")


def _check_source(source: Source, at: Location) -> Iterator[Problem]:
    if source.generate is None:
        if not source.path.strip():
            yield Problem("the source has neither a path nor 'generate'; add one.", at)
        return
    if source.path:
        yield Problem("the source has both a path and 'generate'; remove one.", at)
    for key in ("format", "options"):
        if getattr(source, key):
            yield Problem(f"'{key}' is for files, but the rows are generated; remove it.", (*at, key))


def location_of_version(scenario: Scenario, index: int) -> Location:
    """Return the location of a version in the file."""
    return ("table", "versions", index) if lists_reads(scenario) else ("versions", index)


def lists_reads(scenario: Scenario) -> bool:
    """Return whether the versions are those that the table lists."""
    listed = scenario.table.versions
    if listed is None:
        return False
    return [(version.name, version.read) for version in scenario.versions] == [
        (read.name, read) for read in listed
    ]


def versions_with_step(scenario: Scenario) -> Iterator[tuple[int, Version]]:
    """Yield every version that has exactly one step, with its index."""
    for index, version in enumerate(scenario.versions):
        if len(version.steps) == 1:
            yield index, version


def check_version_list(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with the versions, except for the contents of their steps."""
    yield from _check_names(scenario)
    for index, version in enumerate(scenario.versions):
        yield from _check_one_step(version, ("versions", index))
    if scenario.table.uri is None and not lists_reads(scenario):
        yield from _check_first_step(scenario.versions[0])
    yield from _check_steps_fit_table(scenario)


def _check_names(scenario: Scenario) -> Iterator[Problem]:
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


def _check_one_step(version: Version, at: Location) -> Iterator[Problem]:
    kinds = list(version.steps)
    if len(kinds) > 1:
        message = (
            f"version '{version.name}' has several steps ({', '.join(kinds)}); use one version per step."
        )
        yield Problem(message, (*at, kinds[1]))
    # A step without a value is reported as an empty key.
    if not kinds and not set(STEPS) & version.model_fields_set:
        yield Problem(f"version '{version.name}' has no step; add one of {', '.join(STEPS)}.", at)


def _check_first_step(version: Version) -> Iterator[Problem]:
    """Check that the first step can make the table."""
    if len(version.steps) != 1 or not version.step.changes_table:
        return
    subject = f"version '{version.name}' is the first and must create the table"
    at: Location = ("versions", 0)
    if not version.step.makes_table:
        makers = ", ".join(kind for kind, step in STEPS.items() if step.makes_table)
        message = f"{subject}, which '{version.kind}' can't; start with one of {makers}."
        yield Problem(message, (*at, version.kind))
    elif version.expect_error is not None:
        yield Problem(
            f"{subject}, so it can't be expected to fail; remove 'expect_error'.", (*at, "expect_error")
        )
    elif version.commits == 0:
        yield Problem(f"{subject}, which takes a commit; remove 'commits'.", (*at, "commits"))


def _check_steps_fit_table(scenario: Scenario) -> Iterator[Problem]:
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


_ERROR_CLASS = re.compile(r"[A-Za-z][\w.$]*")


def check_steps(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with the steps, without looking at any data."""
    for index, version in versions_with_step(scenario):
        at: Location = ("versions", index)
        yield from _check_commits(version, (*at, "commits"))
        yield from _check_expected_error(version, at)
        yield from version.step.problems(scenario.context_of(index))


def _check_commits(version: Version, at: Location) -> Iterator[Problem]:
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
        noun = "commit" if tuple(possible) == (1,) else "commits"
        message = f"version '{version.name}': {version.kind} makes {numbers} {noun}, not {commits}."
        yield Problem(message, at)


def _check_expected_error(version: Version, at: Location) -> Iterator[Problem]:
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
