"""The matrix of a scenario: values to vary for some keys. Each combination of them is a scenario."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from harness.errors import did_you_mean
from harness.scenario.model import Scenario

MAX_COMBINATIONS = 64
"""Maximum number of combinations of a scenario."""

_NAME = "name"


class MatrixKeyError(ValueError):
    """A key of a matrix that the scenario doesn't have; the message explains why."""


@dataclass(frozen=True)
class Combination:
    """One value for each key of a matrix."""

    values: Mapping[str, object]
    """Key, such as ``pipeline.model.max_iter``, to its value; ``None``: the key is removed."""

    @property
    def parameters(self) -> dict[str, str]:
        """Key to value, as text."""
        return {key_path: format_value(value) for key_path, value in self.values.items()}

    @property
    def text(self) -> str:
        """The values in one line, such as ``seed=1, pipeline.model.max_iter=50``."""
        return describe_parameters(self.parameters)

    def apply_to(self, scenario: Scenario) -> Scenario:
        """Return the scenario with these values, and without a matrix.

        Raises:
            MatrixKeyError: The scenario doesn't have such a key.
            ValidationError: A value is not valid for its key, or the key is unknown.
        """
        values: object = scenario.model_dump(by_alias=True, exclude_unset=True, exclude={"matrix"})
        # Outer keys come first, so that they don't replace the values of inner ones.
        for key_path in sorted(self.values, key=lambda each: each.count(".")):
            values = _replace_value(values, key_path.split("."), self.values[key_path], key_path)
        return Scenario.model_validate(values, by_alias=True, by_name=False)


def describe_parameters(parameters: Mapping[str, str]) -> str:
    """Return parameters in one line, such as ``seed=1, pipeline.model.max_iter=50``."""
    return ", ".join(f"{key_path}={value}" for key_path, value in parameters.items())


def count_combinations(matrix: Mapping[str, Sequence[object]]) -> int:
    """Return the number of combinations; 0 if there is no matrix."""
    return math.prod(len(values) for values in matrix.values()) if matrix else 0


def combinations(matrix: Mapping[str, Sequence[object]]) -> Iterator[Combination]:
    """Yield every combination; the last key changes fastest. Nothing is yielded if there is no matrix."""
    if matrix:
        for values in itertools.product(*matrix.values()):
            yield Combination(dict(zip(matrix, values, strict=True)))


def format_value(value: object) -> str:
    """Return a value as one line, as a person would write it in the file."""
    if isinstance(value, str | date):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _replace_value(values: object, parts: Sequence[str], value: object, key_path: str) -> object:
    """Return values with the one at a path replaced, or removed if it is None; add missing mappings."""
    if not parts:
        return value
    if values is None or isinstance(values, dict):
        inner = values or {}
        changed = {**inner, parts[0]: _replace_value(inner.get(parts[0]), parts[1:], value, key_path)}
        return {key: each for key, each in changed.items() if each is not None}
    if isinstance(values, list | tuple):
        items = list(values)
        index, rest = _find_item(items, parts, key_path)
        items[index] = _replace_value(items[index], rest, value, key_path)
        return items
    parent = key_path.removesuffix("." + ".".join(parts))
    raise MatrixKeyError(f"'{parent}' has no key '{parts[0]}': it is {format_value(values)}.")


def _find_item(items: list[object], parts: Sequence[str], key_path: str) -> tuple[int, Sequence[str]]:
    """Return the index of an item by its name or number, and the rest of the key.

    A list with one item can be skipped in the key, because a bound may be written without its list.
    """
    names = [str(item[_NAME]) for item in items if isinstance(item, dict) and _NAME in item]
    if names and parts[0] in names:
        return names.index(parts[0]), parts[1:]
    if not names and parts[0].isdecimal() and int(parts[0]) < len(items):
        return int(parts[0]), parts[1:]
    if not names and len(items) == 1:
        return 0, parts
    parent = key_path.removesuffix("." + ".".join(parts))
    known = names or [str(index) for index in range(len(items))]
    raise MatrixKeyError(f"'{parent}' has no key '{parts[0]}'.{did_you_mean(parts[0], known)}")
