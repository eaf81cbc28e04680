"""The scenario's models as a tree of keys: what may stand at a place of the file."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from harness.errors import Location
from harness.scenario.model import Scenario


def model_at(location: Location) -> type[BaseModel] | None:
    """The model whose keys stand at a place; none where other values do."""
    return next(_models(_annotation_at(location)), None)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a model, as the file writes them."""
    return [_key(name, field) for name, field in model.model_fields.items()]


def key_of(model: type[BaseModel], name: str) -> str | None:
    """The key by which the file writes a field that is called otherwise in the code; none for any other."""
    field = model.model_fields.get(name)
    return None if field is None or _key(name, field) == name else _key(name, field)


def _annotation_at(location: Location) -> object:
    annotation: object = Scenario
    for part in location:
        annotation = next(_inside(annotation, part), None)
    return annotation


def _inside(annotation: object, part: str | int) -> Iterator[object]:
    """What may stand at a key or an index."""
    for each in _members(annotation):
        origin, arguments = typing.get_origin(each), typing.get_args(each)
        if origin is tuple and isinstance(part, int):
            yield arguments[0]
        elif origin is dict:
            yield arguments[1]
        elif isinstance(each, type) and issubclass(each, BaseModel):
            for name, field in each.model_fields.items():
                if _key(name, field) == part:
                    yield field.annotation


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    for each in _members(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each


def _members(annotation: object) -> Iterator[object]:
    """The members of a union, without what is noted beside them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _members(each)
    else:
        yield annotation


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name
