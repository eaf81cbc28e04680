"""Base class and common types of the parts of a scenario."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
"""A name that is valid in a path, a metric and a column."""
Columns = Annotated[tuple[str, ...], Field(min_length=1)]
Value = str | int | float | bool


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic expects a ValueError
    return value


Number = Annotated[float, BeforeValidator(_refuse_bool)]
"""A number, in place of which ``true`` is a mistake."""
WholeNumber = Annotated[int, BeforeValidator(_refuse_bool)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that fits Spark's ``bigint``."""
Share = Annotated[float, Field(gt=0, lt=1)]
JsonSchema = dict[str, Any]
"""A JSON Schema, or a part of one."""

_MAX_DEPTH = 8


def _require_plain_value(value: object, depth: int = 0) -> object:
    """Return a value unchanged if a scenario file could contain it."""
    inner: list[object] = []
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        inner = list(value.values())
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif not (value is None or isinstance(value, str | int | float | date)):
        raise ValueError("must be text, a number, true or false, a list or a mapping")
    if depth > _MAX_DEPTH:
        raise ValueError("must be nested less deeply")
    for each in inner:
        _require_plain_value(each, depth + 1)
    return value


MatrixValue = Annotated[object, BeforeValidator(_require_plain_value)]
"""One value of a matrix; the key that it is for decides which values are valid."""


class ScenarioPart(BaseModel):
    """A part of a scenario: frozen, and without unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        # Older versions of pydantic warn of names such as 'model_store'.
        protected_namespaces=(),
    )

    text_key: ClassVar[str | None] = None
    """The key whose text may be written in place of the whole mapping."""
    list_keys: ClassVar[tuple[str, ...]] = ()
    """Keys with a list of columns; the name of one column may be written in place of the list."""
    keys_of_short_form: ClassVar[tuple[str, ...]] = ()
    """Keys that a short form can stand for; mistakes in their values are reported as ``form_hint``."""
    form_hint: ClassVar[str] = ""
    """What must be written, for messages; empty: a mapping of keys."""

    @model_validator(mode="before")
    @classmethod
    def _expand_short_forms(cls, value: object) -> object:
        if cls.text_key is not None and isinstance(value, str):
            return {cls.text_key: value}
        if isinstance(value, dict):
            return {
                key: [inner] if key in cls.list_keys and isinstance(inner, str) else inner
                for key, inner in value.items()
            }
        return value

    @classmethod
    def short_forms(cls, mapping: JsonSchema) -> tuple[JsonSchema, ...]:
        """Return the schemas of what may be written in place of the mapping.

        Args:
            mapping: The schema of the mapping.
        """
        del mapping
        return () if cls.text_key is None else ({"type": "string"},)
