"""Rule about keys without a value."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from harness.errors import Location, Problem, format_location
from harness.scenario.expectations import Baseline, Bound, Change
from harness.scenario.model import Scenario
from harness.scenario.read_step import Read

_EXEMPT = (Bound, Change, Baseline, Read)
"""Bounds have a separate rule, and one of the keys of ``read`` never has a value."""


def check_empty_values(scenario: Scenario) -> Iterator[Problem]:
    """Yield a problem for each key without a value."""
    yield from _check_model(scenario, ())


def _check_model(model: BaseModel, at: Location) -> Iterator[Problem]:
    for name, field in type(model).model_fields.items():
        key, value = field.alias or name, getattr(model, name)
        if value is None and name in model.model_fields_set:
            where = f" in '{format_location(at)}'" if at else ""
            yield Problem(f"'{key}'{where} is empty; add a value, or remove it.", (*at, key))
        else:
            yield from _check_value(value, (*at, key))


def _check_value(value: object, at: Location) -> Iterator[Problem]:
    if isinstance(value, BaseModel) and not isinstance(value, _EXEMPT):
        yield from _check_model(value, at)
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _check_value(each, (*at, index))
