"""The JSON Schema of scenario files, compared with what the loader accepts."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.loading.document import read_document
from harness.loading.json_schema import FILE, make_scenario_schema, render_schema
from harness.scenario.model_kinds import KINDS

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "bad"
GOOD = sorted((ROOT / "scenarios").glob("*.yaml"))


def _plain(value: Any) -> Any:
    """Convert the values to JSON types, with dates as text."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _is_valid(values: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(make_scenario_schema()).is_valid(_plain(values)))


def _with(**changes: Any) -> dict[str, Any]:
    values = read_document(ROOT / "scenarios" / "three_versions.yaml").values
    return {**values, **changes}


def _version(**step: Any) -> bool:
    return _is_valid(_with(versions=[{"name": "one", **step}]))


def test_the_shipped_schema_is_up_to_date() -> None:
    """The shipped schema is up to date with the models that it is generated from."""
    assert render_schema() == FILE.read_text(encoding="utf-8")


def test_the_schema_is_valid() -> None:
    """The schema is valid under draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(make_scenario_schema())


def test_the_editor_settings_name_the_schema() -> None:
    """The settings of VS Code name an existing schema file."""
    [path] = json.loads((ROOT / ".vscode" / "settings.json").read_text())["yaml.schemas"]
    assert FILE == (ROOT / path).resolve()


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_shipped_scenarios_are_valid(file: Path) -> None:
    """Every shipped scenario is valid under the schema."""
    assert _is_valid(read_document(file).values)


@pytest.mark.parametrize(
    "name",
    [
        "folds_one",
        "no_versions",
        "no_table",
        "unknown_key_scenario",
        "unknown_key_bound",
        "unknown_metric",
        "text_for_list",
        "split_zero",
        "no_step",
        "reg_param_negative",
        "model_kind_unknown",
        "model_option_of_other_kind",
        "forest_too_deep",
        "forest_unknown_strategy",
        "boosted_step_zero",
        "boosted_empty_grid",
    ],
)
def test_invalid_scenarios_are_rejected(name: str) -> None:
    """Unknown keys and invalid values are rejected by the schema."""
    assert not _is_valid(read_document(BAD / f"{name}.yaml").values)


@pytest.mark.parametrize(
    "step",
    [
        {"append": None},
        {"merge": {"on": "id"}},
        {"delete": "id = 1"},
        {"restore": "one"},
        {"sql": "delete from {table}"},
        {"add_columns": {"x": "int"}},
        {"add_columns": {"columns": {"x": "int"}}},
        {"optimize": {"z_order": "id"}},
        {"read": 12},
        {"read": "latest"},
        {"read": "2026-03-01"},
        {"append": {"from": "data/other.csv"}},
        {"append": None, "expect": {"rows": [1, {"min": 0}]}},
    ],
)
def test_short_forms_are_allowed(step: dict[str, Any]) -> None:
    """The short forms of the language are valid under the schema."""
    assert _version(**step)


@pytest.mark.parametrize(
    "step",
    [
        {},
        {"append": None, "delete": "id = 1"},
        {"delete": None},
        {"read": -1},
        {"read": "newest"},
        {"append": {"condition": "x"}},
        {"append": None, "expect": {"rows": "many"}},
        {"append": None, "expect": {"rows": []}},
    ],
)
def test_invalid_steps_are_rejected(step: dict[str, Any]) -> None:
    """A version with no step, two steps or an unknown form is rejected by the schema."""
    assert not _version(**step)


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_kind_is_allowed(kind: str) -> None:
    """An editor accepts each kind with the common options; a model without a kind is the regression."""
    pipeline = _with()["pipeline"]
    assert _is_valid(_with(pipeline={**pipeline, "model": {"kind": kind, "folds": 3, "partitions": 2}}))
    assert _is_valid(_with(pipeline={**pipeline, "model": {"max_iter": 3, "folds": 3}}))
    assert not _is_valid(_with(pipeline={**pipeline, "model": {"kind": kind, "leaves": 3}}))


def test_a_table_can_list_its_versions() -> None:
    """An existing table may list its versions itself."""
    values = _with(table={"uri": "abfss://lake@a/t", "versions": [12, "latest"], "key": "id"})
    del values["versions"]
    assert _is_valid(values)


def test_keys_and_metrics_are_described() -> None:
    """The schema describes keys and metrics for editors."""
    parts = make_scenario_schema()["$defs"]
    assert (
        "cross-validation"
        in parts["Expect"]["properties"]["metrics"]["properties"]["cv_roc_auc"]["description"]
    )
    assert "Numeric columns." == parts["Pipeline"]["properties"]["features"]["description"]
