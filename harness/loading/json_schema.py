"""The JSON Schema of scenario files, for editors, generated from the models that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from harness.loading.model_tree import list_models
from harness.metrics import METRICS
from harness.scenario.model import Scenario
from harness.scenario.model_base import JsonSchema
from harness.scenario.steps import STEPS

FILE = Path(__file__).parents[1] / "scenario.schema.json"
"""The schema that is shipped."""

_TEXT: JsonSchema = {"type": "string"}
_NUMBER_FOR_BOUND: JsonSchema = {"type": "number"}


def make_scenario_schema() -> JsonSchema:
    """Return the schema, of draft 2020-12."""
    schema = Scenario.model_json_schema(by_alias=True)
    schema = _tidy(schema)
    parts = schema["$defs"]
    _allow_single_columns(parts)
    _describe_metrics(parts["Expect"]["properties"])
    _add_rules(schema, parts)
    _allow_short_forms(parts)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "A scenario of dataset-harness", **schema}


def render_schema() -> str:
    """Return the schema as text, as it is shipped."""
    return json.dumps(make_scenario_schema(), indent=2) + "\n"


def _tidy(node: Any) -> Any:
    """Remove titles that repeat a name and nulls of optional keys; accept one bound for a list of one."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "array" and node.get("items") == {"$ref": "#/$defs/Bound"}:
        return {"anyOf": [node["items"], {**node, "minItems": 1}]}
    tidy = {name: _tidy(value) for name, value in node.items() if name != "title"}
    if isinstance(tidy.get("description"), str):
        tidy["description"] = " ".join(tidy["description"].replace("``", "`").split())
    if "default" in tidy and tidy["default"] is None:
        del tidy["default"]
        kinds = [each for each in tidy.pop("anyOf") if each != {"type": "null"}]
        tidy = {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **tidy}
    return tidy


def _allow_single_columns(parts: JsonSchema) -> None:
    for model in list_models():
        for key in model.list_keys:
            properties = parts[model.__name__]["properties"]
            columns = properties[key]
            description = {"description": columns.pop("description")} if "description" in columns else {}
            properties[key] = {"anyOf": [_TEXT, columns], **description}


def _describe_metrics(expected: JsonSchema) -> None:
    """List the metrics by name, so that an editor offers and explains them."""
    bounds = expected["metrics"]["additionalProperties"]
    expected["metrics"]["properties"] = {
        metric.name: {**bounds, "description": metric.meaning} for metric in METRICS.values()
    }


def _add_rules(schema: JsonSchema, parts: JsonSchema) -> None:
    """Add what validators and rules require beyond the types."""
    # An existing table may list its versions itself.
    schema["required"].remove("versions")
    of_table = {"properties": {"table": {"required": ["versions"]}}}
    schema["anyOf"] = [{"required": ["versions"]}, of_table]
    # Only a custom pipeline has metrics beyond the harness's own.
    known = {"properties": {"metrics": {"propertyNames": {"enum": list(METRICS)}}}}
    versions = {"type": "array", "items": {"properties": {"expect": known}}}
    schema["if"] = {"not": {"properties": {"pipeline": {"required": ["use"]}}}}
    schema["then"] = {"properties": {"every": known, "versions": versions}}
    parts["Version"]["oneOf"] = [{"required": [kind]} for kind in STEPS]
    for kind, step in STEPS.items():
        if step.may_be_empty:
            properties = parts["Version"]["properties"]
            properties[kind] = {"anyOf": [properties[kind], {"type": "null"}]}


def _allow_short_forms(parts: JsonSchema) -> None:
    parts["Bound"] = {"anyOf": [_NUMBER_FOR_BOUND, parts["Bound"]]}
    for model in list_models():
        mapping = parts.get(model.__name__, {})
        short = model.short_forms(mapping)
        if short:
            parts[model.__name__] = {"anyOf": [*short, mapping]}
