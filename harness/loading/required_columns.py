"""Which columns a scenario needs, held against those that its sources and steps bring, without Spark.

What can't be told from here is left to the job: a column counts as brought wherever a step might bring it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from harness.errors import Location, Problem
from harness.loading.headers import Header
from harness.scenario.model import Scenario, Version
from harness.scenario.pipeline import Pipeline
from harness.scenario.steps import AddColumns, Merge, Rows, Source, Sql
from harness.suggestions import did_you_mean

HeaderOf = Callable[[Source], Header | None]
"""A source's columns; none where they can't be told."""


@dataclass(frozen=True)
class Wanted:
    """A column that a version must have for a model to be trained at it."""

    name: str
    at: Location
    """Where the scenario names it."""
    is_feature: bool = False


def wanted(scenario: Scenario) -> list[Wanted]:
    """The key, the label and the features, without those that are derived or that a version may lack."""
    pipeline = scenario.pipeline
    every = [
        *(Wanted(name, ("table", "key", index)) for index, name in enumerate(scenario.table.key)),
        Wanted(pipeline.label.column, ("pipeline", "label", "column")),
        *_features(pipeline),
    ]
    # Spark finds columns whatever their case.
    derived = {name.lower() for name in pipeline.derive}
    return [each for each in every if each.name.lower() not in derived]


def _makes(version: Version) -> bool:
    """Whether a version has one step, by which it comes about."""
    return len(version.steps) == 1 and version.read is None


def _features(pipeline: Pipeline) -> Iterator[Wanted]:
    optional = {name.lower() for name in pipeline.optional}
    for kind in ("features", "categorical"):
        for index, name in enumerate(getattr(pipeline, kind)):
            if name.lower() not in optional:
                yield Wanted(name, ("pipeline", kind, index), is_feature=True)


def problems(scenario: Scenario, header_of: HeaderOf) -> list[Problem]:
    """Columns that a version is to be trained with, or a step needs of its rows, and that nothing brings.

    Args:
        scenario: One that builds its table, with one step a version; of any other nothing is asked here.
        header_of: Leads to the columns of a source.
    """
    if scenario.table.uri is not None or not all(_makes(version) for version in scenario.versions):
        return []
    if scenario.versions[0].expect_error is not None:
        return []
    steps = _Steps(scenario, header_of)
    missing = [(each, found) for each in wanted(scenario) if (found := steps.missing(each))]
    told = {each.name.lower() for each, _ in missing}
    return [found for _, found in missing] + list(steps.unkeyed(told))


@dataclass(frozen=True)
class _Steps:
    scenario: Scenario
    header_of: HeaderOf

    def missing(self, column: Wanted) -> Problem | None:
        """That a column comes never, or later than it is needed."""
        versions = self.scenario.versions
        first = next(
            (at for at, version in enumerate(versions) if self._may_bring(version, column.name)), None
        )
        trained = next((at for at, version in enumerate(versions) if version.is_trained), None)
        if first is None:
            # Of a table that is only built, nothing but the key is known to be its own.
            is_needed = trained is not None or column.at[0] == "table"
            return self._never(column) if is_needed else None
        if trained is None or trained >= first:
            return None
        remedy = "list it under 'optional', or say" if column.is_feature else "say"
        return Problem(
            f"version '{versions[trained].name}' is trained without the column '{column.name}', which comes "
            f"with '{versions[first].name}' at the earliest; {remedy} 'train: false'.",
            column.at,
        )

    def _never(self, column: Wanted) -> Problem:
        headers = {
            header.name: header for version in self.scenario.versions for header in self._read(version)
        }
        names = [name for header in headers.values() for name in header.columns]
        hint = did_you_mean(column.name, [*names, *self.scenario.pipeline.derive])
        if len(headers) == 1:
            [file] = headers
            return Problem(f"{file} has no column '{column.name}'.{hint}", column.at)
        none = f"none of {', '.join(headers)} has a" if headers else "no step brings a"
        return Problem(f"{none} column '{column.name}'.{hint}", column.at)

    def _read(self, version: Version) -> Iterator[Header]:
        """The header of the source that a version's rows come from, where it is known."""
        step = version.step
        if isinstance(step, Rows) and step.rows is None:
            source = step.source or self.scenario.table.source
            header = self.header_of(source) if source is not None else None
            if header is not None:
                yield header

    def _may_bring(self, version: Version, column: str) -> bool:
        step, name = version.step, column.lower()
        if version.expect_error is not None:
            return False
        if isinstance(step, Sql):
            statement = step.statement.lower()
            return name in statement or "*" in statement
        if isinstance(step, AddColumns):
            return name in _lower(step.columns)
        return isinstance(step, Rows) and self._may_have(version, step, name)

    def _may_have(self, version: Version, step: Rows, name: str) -> bool:
        """Whether a step's rows may have a column of this name, in lower case."""
        written = {each for row in step.rows or () for each in row}
        if name in _lower({*step.assign, *written}):
            return True
        header = next(self._read(version), None)
        if step.rows is not None:
            return False
        return header is None or not header.is_whole or name in _lower(header.columns)

    def unkeyed(self, told: set[str]) -> Iterator[Problem]:
        """Rows without the columns by which they are chosen, shuffled, merged or trained on."""
        for index, version in enumerate(self.scenario.versions):
            step = version.step
            header = next(self._read(version), None)
            if not isinstance(step, Rows) or header is None or not header.is_whole or version.expect_error:
                continue
            at: Location = ("versions", index, version.kind)
            brought = {name.lower() for name in header.columns}
            known = brought | _lower(step.assign)
            for name, purpose, place in self._needed(version, step, at):
                has = brought if purpose == _SAMPLED else known
                if name.lower() not in has | told:
                    yield Problem(_NO_COLUMN.format(header.name, name, purpose, version.name), place)
                    break

    def _needed(self, version: Version, step: Rows, at: Location) -> Iterator[tuple[str, str, Location]]:
        """Columns that a step's rows must have, what for, and the place that says so."""
        key = self.scenario.table.key
        place: Location = (*at, "from") if step.source is not None else ("table", "source")
        if step.sample is not None:
            yield from ((name, _SAMPLED, (*at, "sample")) for name in key)
        if step.shuffle is not None:
            yield step.shuffle, "to be shuffled", (*at, "shuffle")
            yield from ((name, "by which the rows are shuffled", (*at, "shuffle")) for name in key)
        if isinstance(step, Merge):
            on = (*at, "on") if step.on else place
            yield from ((name, "by which the rows are merged", on) for name in step.on or key)
        elif version.is_trained:
            yield from ((name, "of the table's key", place) for name in key)


_SAMPLED = "by which the rows are sampled"
_NO_COLUMN = "{} has no column '{}' {}; version '{}' needs it."


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
