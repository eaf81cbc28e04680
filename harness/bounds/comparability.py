"""Whether the numbers of another run can be compared with those of a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.results import Result, RunInputs
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.storage.uris import remove_password

_ASPECT_OF_KEY = {"label": "label", "split": "split", "filter": "rows"}
"""Keys of a pipeline that decide which rows are compared, and with what; the others concern the model."""
_MOST_SHOWN = 3
_LONGEST_VALUE = 40


@dataclass(frozen=True)
class Difference:
    """A difference between another run and a scenario."""

    aspect: str
    """What differs; a bound can allow some aspects."""
    text: str
    """The difference as the rest of a sentence about the other run, such as ``its seed is 8, not 7``."""


def list_differences(scenario: Scenario, result: Result, inputs: RunInputs) -> tuple[Difference, ...]:
    """Return how a run differs from a scenario, as far as that makes their numbers incomparable.

    Args:
        scenario: The scenario that would compare with the run.
        result: The run's result.
        inputs: The run's inputs.
    """
    table = scenario.table
    key, own_key = (_format_key(each.key, each.key_from) for each in (inputs, table))
    pairs = (
        ("scenario", result.scenario, scenario.name),
        ("table", remove_password(inputs.table), remove_password(table.uri or table.name)),
        ("key", key, own_key),
        ("seed", inputs.seed, scenario.seed),
    )
    found = [Difference(name, f"its {name} is {a}, not {b}") for name, a, b in pairs if a != b]
    return (*found, *_list_differences_of_pipelines(inputs.pipeline, scenario.pipeline))


def _list_differences_of_pipelines(stored: Mapping[str, Any], pipeline: Pipeline) -> Iterator[Difference]:
    try:
        # Keys that the run's version of the harness didn't have yet get their default.
        other = Pipeline.model_validate(stored)
    except ValidationError:
        yield Difference("pipeline", "its pipeline was written by another version of the harness")
        return
    values, own_values = (
        dict(_flatten(each.model_dump(mode="json", by_alias=True))) for each in (other, pipeline)
    )
    keys: dict[str, list[str]] = {}
    for key in dict.fromkeys((*values, *own_values)):
        if values.get(key) != own_values.get(key):
            keys.setdefault(_ASPECT_OF_KEY.get(key.partition(".")[0], "pipeline"), []).append(key)
    for aspect, changed in keys.items():
        texts = [_format_change(key, values.get(key), own_values.get(key)) for key in changed[:_MOST_SHOWN]]
        more = [f"{len(changed) - _MOST_SHOWN} more keys differ"] if len(changed) > _MOST_SHOWN else []
        yield Difference(aspect, "its pipeline has " + ", ".join([*texts, *more]))


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of nested mappings with its path, such as ``model.max_iter``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _format_change(key: str, value: object, own_value: object) -> str:
    first, second = (_format_value(each) for each in (value, own_value))
    return f"{key} {first}, not {second}" if first and second else f"other values of {key}"


def _format_value(value: object) -> str:
    """Return a value as a person writes it; empty if it is too long for a message."""
    if value is None or value == []:
        return "none"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = f"'{text}'" if isinstance(value, list | str) else text
    return text if len(text) <= _LONGEST_VALUE else ""


def _format_key(columns: tuple[str, ...], key_from: str) -> str:
    return ", ".join(columns) + (" (from the rows' content)" if key_from == "content" else "")
