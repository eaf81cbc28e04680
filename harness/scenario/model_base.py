"""What the parts of a scenario have in common."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
"""A name that is safe in a path, a metric and a column alike."""
Columns = Annotated[tuple[str, ...], Field(min_length=1)]
Value = str | int | float | bool
Share = Annotated[float, Field(gt=0, lt=1)]

_DEEPEST = 8


def _plain(value: object, depth: int = 0) -> object:
    """A value as it is, where a scenario could hold it somewhere."""
    inner: list[object] = []
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        inner = list(value.values())
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif not (value is None or isinstance(value, str | int | float | date)):
        raise ValueError("should be a value that a scenario can hold")
    if depth > _DEEPEST:
        raise ValueError("should be nested less deeply")
    for each in inner:
        _plain(each, depth + 1)
    return value


MatrixValue = Annotated[object, BeforeValidator(_plain)]
"""One value of a matrix: its place decides what it may be."""


class Model(BaseModel):
    """Frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def one_as_list(value: object, key: str) -> object:
    """A mapping in which one text may stand for a list of one."""
    if isinstance(value, dict) and isinstance(value.get(key), str):
        return {**value, key: [value[key]]}
    return value


def text_as(key: str, value: object) -> object:
    """A mapping for which its most important value may stand alone."""
    return {key: value} if isinstance(value, str) else value
