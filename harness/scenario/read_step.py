"""The step that reads a version of an existing table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, model_validator

from harness.scenario.model_base import JsonSchema
from harness.scenario.row_source import Source
from harness.scenario.step_base import Commits, Step


class Read(Step):
    """A step that reads a version of an existing table and changes nothing."""

    kind: ClassVar[str] = "read"
    commits: ClassVar[Commits] = 0
    possible_commits: ClassVar[tuple[int, ...] | None] = (0,)
    changes_table: ClassVar[bool] = False
    keys_of_short_form: ClassVar[tuple[str, ...]] = ("version", "timestamp")
    form_hint: ClassVar[str] = "must be a version number, 'latest' or a time"

    version: Annotated[int, Field(ge=0, lt=2**63)] | Literal["latest"] | None = None
    timestamp: AwareDatetime | None = None
    """The version that was the newest at this time (default time zone: UTC)."""

    @model_validator(mode="before")
    @classmethod
    def _expand_value(cls, value: object) -> object:
        if isinstance(value, dict):
            return {**value, "timestamp": _parse_time(value["timestamp"])} if "timestamp" in value else value
        moment = None if value == "latest" else _parse_time(value)
        if isinstance(moment, datetime):
            return {"timestamp": moment}
        is_plain = isinstance(value, int | str) and not isinstance(value, bool)
        return {"version": value} if is_plain else value

    @model_validator(mode="after")
    def _check_keys(self) -> Read:
        if (self.version is None) == (self.timestamp is None):
            raise ValueError("must be either a version or a timestamp")
        try:
            _ = self.timestamp and self.timestamp.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("must be a time of the years 1 to 9999 in UTC") from error
        return self

    @classmethod
    def short_forms(cls, mapping: JsonSchema) -> tuple[JsonSchema, ...]:
        """Return the schemas of a version number, 'latest' and a time; a mapping has one key."""
        mapping["oneOf"] = [{"required": [name]} for name in ("version", "timestamp")]
        return (
            {"type": "integer", "minimum": 0},
            {"const": "latest"},
            {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}"},
        )

    @property
    def name(self) -> str:
        """Default name of the version."""
        if self.timestamp is not None:
            return f"t{self.timestamp.astimezone(UTC):%Y%m%d_%H%M%S}"
        return "latest" if self.version == "latest" else f"v{self.version}"

    def describe(self) -> str:
        """Return what the step does in a few words."""
        return f"read version {self.version}" if self.timestamp is None else f"read as of {self.timestamp}"

    def explain(self, number: int, committed: datetime, *, is_newest: bool) -> str:
        """Return which version a time leads to; an empty text for a number or the latest.

        Args:
            number: The Delta version that is read.
            committed: The time of its commit.
            is_newest: Whether the time is known to be after the newest commit.
        """
        if self.timestamp is None:
            return ""
        found = f"version {number}, committed {_format_time(committed)}"
        late = ", the newest" if is_newest and self.timestamp > committed else ""
        return f"as of {_format_time(self.timestamp)}: {found}{late}"

    def describe_origin(self, source: Source | None, uri: str | None) -> str:
        """Return where the step's rows come from."""
        return uri or super().describe_origin(source, uri)


def _format_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _parse_time(value: object) -> object:
    """Return a time with its zone if a value is one; otherwise the value."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if not isinstance(value, date):
        return value
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone is set below.
    return value if value.tzinfo else value.replace(tzinfo=UTC)
