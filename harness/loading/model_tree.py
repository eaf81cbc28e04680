"""The tree of models that a scenario file consists of: which model and which keys belong at a location."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator

from pydantic import Tag
from pydantic.fields import FieldInfo

from harness.errors import Location
from harness.scenario.model import Scenario
from harness.scenario.model_base import ScenarioPart


def list_models() -> list[type[ScenarioPart]]:
    """Return every model of a scenario file, each once."""
    found: dict[type[ScenarioPart], None] = {}
    _collect(Scenario, found)
    return list(found)


def _collect(annotation: object, found: dict[type[ScenarioPart], None]) -> None:
    for each in _list_members(annotation):
        if isinstance(each, type) and issubclass(each, ScenarioPart):
            if each not in found:
                found[each] = None
                for field in each.model_fields.values():
                    _collect(field.annotation, found)
        else:
            for argument in typing.get_args(each):
                _collect(argument, found)


def find_model(location: Location) -> type[ScenarioPart] | None:
    """Return the model whose keys belong at a location; ``None`` if other values do."""
    return next(_select_models(_find_annotation(location)), None)


def list_keys_of_model(model: type[ScenarioPart]) -> list[str]:
    """Return the keys of a model, as the file writes them."""
    return [_key(name, field) for name, field in model.model_fields.items()]


def find_key(model: type[ScenarioPart], name: str) -> str | None:
    """Return the key of a field that has another name in the code; ``None`` for any other name."""
    field = model.model_fields.get(name)
    return None if field is None or _key(name, field) == name else _key(name, field)


def remove_tags(location: tuple[int | str, ...]) -> list[int | str]:
    """Leave out the tags of union members, such as a model's kind: they are not keys of the file."""
    return [
        part
        for index, part in enumerate(location)
        if part not in _members_by_tag(_find_annotation(location[:index]))
    ]


def _find_annotation(location: Location) -> object:
    annotation: object = Scenario
    for part in location:
        annotation = next(_list_inner_annotations(annotation, part), None)
    return annotation


def _list_inner_annotations(annotation: object, part: str | int) -> Iterator[object]:
    """Yield the annotations of the values of a key or an index; a tag leads to its union member."""
    tagged = _members_by_tag(annotation)
    if part in tagged:
        yield tagged[part]
        return
    for each in _list_members(annotation):
        origin, arguments = typing.get_origin(each), typing.get_args(each)
        if origin is tuple and isinstance(part, int):
            yield arguments[0]
        elif origin is dict:
            yield arguments[1]
        elif isinstance(each, type) and issubclass(each, ScenarioPart):
            for name, field in each.model_fields.items():
                if _key(name, field) == part:
                    yield field.annotation


def _members_by_tag(annotation: object) -> dict[str | int, object]:
    """Return the members of a union that are chosen by a tag, by their tags."""
    return {
        note.tag: member
        for member in typing.get_args(annotation)
        for note in getattr(member, "__metadata__", ())
        if isinstance(note, Tag)
    }


def _select_models(annotation: object) -> Iterator[type[ScenarioPart]]:
    for each in _list_members(annotation):
        if isinstance(each, type) and issubclass(each, ScenarioPart):
            yield each


def _list_members(annotation: object) -> Iterator[object]:
    """Yield the members of a union, without their metadata."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _list_members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _list_members(each)
    else:
        yield annotation


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name
