"""Sections of the settings with Databricks' own keys, which are merged over the harness's values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError, did_you_mean
from harness.setting_types import Settings
from harness.targets.databricks import DATABRICKS_SETTINGS, read_setting


@dataclass(frozen=True)
class Section:
    """A section of the settings file whose keys are Databricks' own."""

    name: str
    """Name of the setting that has the whole section."""
    managed: tuple[str, ...]
    """Keys that only the harness sets."""
    remedy: str
    """What to use in place of those."""

    @property
    def heading(self) -> str:
        """Its heading in the settings file."""
        return f"[{DATABRICKS_SETTINGS}{self.name}]"

    def read(self, settings: Settings) -> dict[str, Any]:
        """Return the section; empty if it is not set."""
        text = read_setting(settings, self.name)
        return dict(json.loads(text)) if text else {}

    def check(
        self,
        given: Mapping[str, Any],
        kind: type,
        convert: Callable[[], Mapping[str, Any]],
        more: tuple[str, ...] = (),
    ) -> None:
        """Require that every key exists and may be set, and that Databricks' client keeps every value.

        Args:
            given: The section.
            kind: The class of Databricks' client that has the keys.
            convert: Returns the section as the client would send it.
            more: Keys that the class doesn't have.

        Raises:
            UsageError: A key is unknown or managed, or a value is of the wrong kind.
        """
        known = [*(field.name for field in dataclasses.fields(kind)), *more]
        for name in given:
            if name in self.managed:
                raise UsageError(
                    f"{self.heading} can't set '{name}', which the harness manages.", remedy=self.remedy
                )
            if name not in known:
                raise UsageError(f"Unknown setting '{name}' in {self.heading}.{did_you_mean(name, known)}")
        try:
            dropped = list(_find_dropped(given, convert()))
        except (AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"{self.heading} has a value of the wrong kind: {error}.") from error
        for path in dropped:
            raise UsageError(f"{self.heading}: Databricks knows no '{path}'.")


def merge(base: Any, over: Any) -> Any:
    """Return a value with another merged over it: mappings key by key, everything else is replaced."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{name: merge(base.get(name), value) for name, value in over.items()}}


def _find_dropped(given: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each value that is given, and not kept.

    Raises:
        TypeError: A value is not a mapping or a list, but should be, or the other way round.
    """
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            inner = f"{path}.{name}" if path else name
            if name in kept:
                yield from _find_dropped(value, kept[name], inner)
            elif value not in ({}, []):  # The client keeps no empty value.
                yield inner
    elif isinstance(given, list) and isinstance(kept, list):
        for one, other in zip(given, kept, strict=False):
            yield from _find_dropped(one, other, path)
    elif isinstance(given, dict | list) or isinstance(kept, dict | list):
        raise TypeError(f"{path} = {given!r}")
