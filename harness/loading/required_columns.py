"""Columns that a scenario needs, checked against the columns of its sources and steps, without Spark.

The job checks what can't be known here: a column counts as present if any step might add it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from harness.errors import Location, Problem, did_you_mean
from harness.loading.headers import Header
from harness.reading.csv_columns import TextSample
from harness.reading.stated_types import parse_stated_type
from harness.scenario.model import Scenario, Version
from harness.scenario.pipeline import Pipeline
from harness.scenario.row_source import Source
from harness.scenario.rows import NeededColumn, Rows

_MAX_SHOWN = 40
HeaderOf = Callable[[Source], Header | None]
"""Returns a source's columns; ``None`` if they are not known."""


@dataclass(frozen=True)
class RequiredColumn:
    """A column that a version must have for a model to be trained at it."""

    name: str
    at: Location
    """Location in the scenario."""
    is_feature: bool = False


def list_required_columns(scenario: Scenario) -> list[RequiredColumn]:
    """Return the key, the label and the features, except for derived and optional columns."""
    pipeline = scenario.pipeline
    every = [
        *(
            RequiredColumn(name, ("table", "key", index))
            for index, name in enumerate(scenario.table.source_key)
        ),
        RequiredColumn(pipeline.label.column, ("pipeline", "label", "column")),
        *_list_features(pipeline),
    ]
    # Spark finds columns whatever their case.
    derived = {name.lower() for name in pipeline.derive}
    return [each for each in every if each.name.lower() not in derived]


def _list_features(pipeline: Pipeline) -> Iterator[RequiredColumn]:
    optional = {name.lower() for name in pipeline.optional}
    for key in ("features", "categorical"):
        for index, name in enumerate(getattr(pipeline, key)):
            if name.lower() not in optional:
                yield RequiredColumn(name, ("pipeline", key, index), is_feature=True)


def check_required_columns(scenario: Scenario, header_of: HeaderOf) -> list[Problem]:
    """Return a problem for each column that a trained version or a step needs and that doesn't exist.

    Args:
        scenario: Only a scenario that builds its table, with one step per version, is checked.
        header_of: Returns the columns of a source.
    """
    if scenario.table.uri is not None or not all(_has_one_change(each) for each in scenario.versions):
        return []
    if scenario.versions[0].expect_error is not None:
        return []
    search = _ColumnFinder(scenario, header_of)
    missing = [(each, found) for each in list_required_columns(scenario) if (found := search.missing(each))]
    reported = {each.name.lower() for each, _ in missing}
    return [
        *(found for _, found in missing),
        *search.check_rows(reported),
        *search.check_stated_columns(),
        *search.check_sensitive_columns(),
        *search.check_content_key(),
        *search.check_numbers(),
    ]


def _has_one_change(version: Version) -> bool:
    return len(version.steps) == 1 and version.step.changes_table


@dataclass(frozen=True)
class _ColumnFinder:
    scenario: Scenario
    header_of: HeaderOf

    def missing(self, column: RequiredColumn) -> Problem | None:
        """Return a problem if a column never exists, or only after a version that is trained with it."""
        versions = self.scenario.versions
        first = next(
            (index for index, version in enumerate(versions) if self._may_add(version, column.name)), None
        )
        trained = next((index for index, version in enumerate(versions) if version.is_trained), None)
        if first is None:
            # If no model is trained, only the key has to be a column of the table.
            is_needed = trained is not None or column.at[0] == "table"
            return self._make_problem(column) if is_needed else None
        if trained is None or trained >= first:
            return None
        remedy = "list it under 'optional', or set" if column.is_feature else "set"
        return Problem(
            f"version '{versions[trained].name}' is trained with the column '{column.name}', which doesn't "
            f"exist before version '{versions[first].name}'; {remedy} 'train: false'.",
            column.at,
        )

    def check_stated_columns(self) -> Iterator[Problem]:
        """Yield a problem for each column with a stated type that no source has."""
        headers = [header for version in self.scenario.versions for header in self._list_headers(version)]
        if not headers or not all(header.is_whole for header in headers):
            return
        names = list(dict.fromkeys(name for header in headers for name in header.columns))
        for name in self.scenario.table.columns:
            if name.lower() not in _lower_all(names):
                files = " and ".join(dict.fromkeys(header.name for header in headers))
                message = (
                    f"no column '{name}' in {files}, for which a type is stated.{did_you_mean(name, names)}"
                )
                yield Problem(message, ("table", "columns", name))

    def check_sensitive_columns(self) -> Iterator[Problem]:
        """Yield a problem for each sensitive column that no version can have: it may be mistyped."""
        table, versions = self.scenario.table, self.scenario.versions
        others = [*self.scenario.pipeline.derive, *(table.key if table.key_from == "content" else ())]
        for index, name in enumerate(table.sensitive):
            is_column = any(self._may_add(version, name) for version in versions)
            if not is_column and name.lower() not in _lower_all(others):
                yield self._make_problem(RequiredColumn(name, ("table", "sensitive", index)))

    def check_content_key(self) -> Iterator[Problem]:
        """Yield a problem if a source has the column that is to be added as the key."""
        table = self.scenario.table
        if table.key_from != "content":
            return
        [key] = table.key
        headers = [header for version in self.scenario.versions for header in self._list_headers(version)]
        for header in headers:
            if key.lower() in _lower_all(header.columns):
                message = (
                    f"{header.name} has a column '{key}' already; name another one, or remove 'key_from'."
                )
                yield Problem(message, ("table", "key"))
                return

    def check_numbers(self) -> Iterator[Problem]:
        """Yield a problem for each column that must be a number, but is text in a source."""
        stated = self.scenario.table.columns
        numbers: dict[str, tuple[str, Location, str | None]] = {}
        if any(version.is_trained for version in self.scenario.versions):
            derived = _lower_all(self.scenario.pipeline.derive)
            for index, name in enumerate(self.scenario.pipeline.features):
                if name.lower() not in derived:
                    numbers[name.lower()] = (name, ("pipeline", "features", index), None)
        for name, kind in stated.items():
            numbers.pop(name.lower(), None)
            if parse_stated_type(kind).is_number:
                numbers[name.lower()] = (name, ("table", "columns", name), kind)
        for version in self.scenario.versions:
            step = version.step
            replaced = _lower_all(step.assign) if isinstance(step, Rows) else set()
            for header in () if version.expect_error else self._list_headers(version):
                for key in [each for each in numbers if each not in replaced]:
                    sample = None if header.csv is None else header.csv.sample_text(key)
                    if sample is not None:
                        name, at, of_type = numbers.pop(key)
                        is_hidden = key in self.scenario.sensitive_columns
                        yield _explain_text(header, sample, name, at, of_type, is_hidden=is_hidden)

    def _make_problem(self, column: RequiredColumn) -> Problem:
        headers = {
            header.name: header
            for version in self.scenario.versions
            for header in self._list_headers(version)
        }
        names = [name for header in headers.values() for name in header.columns]
        hint = did_you_mean(column.name, [*names, *self.scenario.pipeline.derive])
        if len(headers) == 1:
            [file] = headers
            return Problem(f"{file} has no column '{column.name}'.{hint}", column.at)
        none = f"none of {', '.join(headers)} has a" if headers else "no step adds a"
        return Problem(f"{none} column '{column.name}'.{hint}", column.at)

    def _list_headers(self, version: Version) -> Iterator[Header]:
        """Yield the header of the source of a version's rows, if it is known."""
        step = version.step
        if isinstance(step, Rows) and step.rows is None:
            source = step.source or self.scenario.table.source
            header = self.header_of(source) if source is not None else None
            if header is not None:
                yield header

    def _may_add(self, version: Version, column: str) -> bool:
        if version.expect_error is not None:
            return False
        header = next(self._list_headers(version), None)
        known = None if header is None or not header.is_whole else _lower_all(header.columns)
        return version.step.may_add_column(column.lower(), known)

    def check_rows(self, reported: set[str]) -> Iterator[Problem]:
        """Yield a problem for each step whose rows lack a column that the step or the key needs.

        Args:
            reported: Columns whose absence is reported already, in lower case.
        """
        for index, version in enumerate(self.scenario.versions):
            step = version.step
            header = next(self._list_headers(version), None)
            if not isinstance(step, Rows) or header is None or not header.is_whole or version.expect_error:
                continue
            of_source = _lower_all(header.columns)
            for column in self._list_needed_columns(version, step):
                existing = of_source if column.before_set else of_source | _lower_all(step.assign)
                if column.name.lower() not in existing | reported:
                    message = (
                        f"{header.name} has no column '{column.name}', which version '{version.name}' needs"
                    )
                    yield Problem(f"{message} {column.purpose}.", self._locate(index, step, column))
                    break

    def _list_needed_columns(self, version: Version, step: Rows) -> Iterator[NeededColumn]:
        key = self.scenario.table.source_key
        yield from step.needed_columns(key)
        if version.is_trained and step.adds_whole_rows:
            yield from (NeededColumn(name, "as the table's key", ()) for name in key)

    def _locate(self, index: int, step: Rows, column: NeededColumn) -> Location:
        at: Location = ("versions", index, step.kind)
        if column.at:
            return (*at, *column.at)
        return (*at, "from") if step.source is not None else ("table", "source")


def _explain_text(
    header: Header, sample: TextSample, name: str, at: Location, of_type: str | None, *, is_hidden: bool
) -> Problem:
    found = _describe_sample(sample, is_hidden=is_hidden)
    if of_type is not None:
        message = f"column '{name}' of {header.name} is not of type {of_type}: {found}."
        return Problem(message, at)
    remedy = "list it under 'categorical', or derive a number from it"
    if sample.has_numbers:
        nulls = "..." if is_hidden else repr(sample.value.strip())
        remedy = (
            "if it stands for a missing value, name it in the source's options, as in "
            f"options: {{ nulls: {nulls} }}"
        )
    return Problem(f"feature '{name}' is text in {header.name}: {found}; {remedy}.", at)


def _describe_sample(sample: TextSample, *, is_hidden: bool) -> str:
    shown = sample.value if len(sample.value) <= _MAX_SHOWN else f"{sample.value[:_MAX_SHOWN]}..."
    others = f", and {sample.rows - 1:,} more" if sample.rows > 1 else ""
    of_file = f" of {sample.file}" if sample.file else ""
    value = "a value" if is_hidden else repr(shown)
    return f"{value} in line {sample.line}{of_file}{others}"


def _lower_all(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
