"""The JSON Schema of the scenario file, made from the models that read it, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from harness.metrics import METRICS
from harness.scenario.model import MAY_BE_EMPTY, STEPS, Scenario

FILE = Path(__file__).parents[1] / "scenario.schema.json"
"""The schema as it is shipped."""

Node = dict[str, Any]
"""A schema, or a part of one."""
_ONE_TEXT: Node = {"type": "string"}
_STANDS_FOR: dict[str, tuple[Node, ...]] = {
    "Source": (_ONE_TEXT,),
    "Delete": (_ONE_TEXT,),
    "Restore": (_ONE_TEXT,),
    "Sql": (_ONE_TEXT,),
    "Bound": ({"type": "number"},),
    "Read": (
        {"type": "integer", "minimum": 0},
        {"const": "latest"},
        {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}"},
    ),
}
"""Model to what may be written in place of its mapping."""
_LIST_OF_ONE = {"Table": "key", "Merge": "on", "Optimize": "z_order"}
"""Model to the key of it for whose list one text may stand."""


def scenario_schema() -> Node:
    """The schema, of draft 2020-12."""
    schema = Scenario.model_json_schema(by_alias=True)
    schema = _tidy(schema)
    parts = schema["$defs"]
    _allow_lists_of_one(parts)
    _describe_metrics(parts["Expect"]["properties"])
    _add_rules(schema, parts)
    _allow_short_forms(parts)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "A scenario of dataset-harness", **schema}


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(scenario_schema(), indent=2) + "\n"


def _tidy(node: Any) -> Any:
    """Without titles that say a name twice, without nulls that say nothing, and with bounds by name."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "array" and node.get("items") == {"$ref": "#/$defs/Bound"}:
        # A bound may stand for a list of one.
        return {"anyOf": [node["items"], {**node, "minItems": 1}]}
    tidy = {name: _tidy(value) for name, value in node.items() if name != "title"}
    if isinstance(tidy.get("description"), str):
        tidy["description"] = " ".join(tidy["description"].replace("``", "`").split())
    if "default" in tidy and tidy["default"] is None:
        del tidy["default"]
        kinds = [each for each in tidy.pop("anyOf") if each != {"type": "null"}]
        tidy = {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **tidy}
    return tidy


def _allow_lists_of_one(parts: Node) -> None:
    for model, key in _LIST_OF_ONE.items():
        properties = parts[model]["properties"]
        many = properties[key]
        said = {"description": many.pop("description")} if "description" in many else {}
        properties[key] = {"anyOf": [_ONE_TEXT, many], **said}


def _describe_metrics(expected: Node) -> None:
    """Metrics by name, so that an editor offers them and says what each means."""
    bounds = expected["metrics"]["additionalProperties"]
    expected["metrics"]["properties"] = {
        metric.name: {**bounds, "description": metric.meaning} for metric in METRICS.values()
    }


def _add_rules(schema: Node, parts: Node) -> None:
    """What the models' validators and the rules ask for beyond the types."""
    # A table that is there already may name its versions itself.
    schema["required"].remove("versions")
    of_table = {"properties": {"table": {"required": ["versions"]}}}
    schema["anyOf"] = [{"required": ["versions"]}, of_table]
    # Without a pipeline in Python there are no metrics but the harness's own.
    known = {"properties": {"metrics": {"propertyNames": {"enum": list(METRICS)}}}}
    versions = {"type": "array", "items": {"properties": {"expect": known}}}
    schema["if"] = {"not": {"properties": {"pipeline": {"required": ["use"]}}}}
    schema["then"] = {"properties": {"every": known, "versions": versions}}
    parts["Version"]["oneOf"] = [{"required": [kind]} for kind in STEPS]
    parts["Read"]["oneOf"] = [{"required": [name]} for name in ("version", "timestamp")]
    for kind in MAY_BE_EMPTY:
        step = parts["Version"]["properties"][kind]
        parts["Version"]["properties"][kind] = {"anyOf": [step, {"type": "null"}]}


def _allow_short_forms(parts: Node) -> None:
    for model, short in _STANDS_FOR.items():
        parts[model] = {"anyOf": [*short, parts[model]]}
    columns = parts["AddColumns"]["properties"]["columns"]
    parts["AddColumns"] = {"anyOf": [columns, parts["AddColumns"]]}
