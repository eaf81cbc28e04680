"""Options and grids of the built-in model kinds; invalid ones are in tests/unit/bad."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from harness.result_formats import upgrade
from harness.results import GridPoint
from harness.scenario.model_kinds import KINDS, BuiltInModel, ModelKind, ModelOptions
from harness.scenario.pipeline import Pipeline

CLASSES: tuple[type[BuiltInModel], ...] = tuple(get_args(each)[0] for each in get_args(ModelKind))


def _pipeline(model: Any) -> Pipeline:
    label = {"column": "y", "positive": [1], "negative": [0]}
    return Pipeline.model_validate({"label": label, "features": ["x"], "model": model})


@pytest.mark.parametrize("cls", CLASSES)
def test_a_kind_is_read_by_its_class(cls: type[BuiltInModel]) -> None:
    """The key 'kind' decides which class reads a model's options, also after a round trip through JSON."""
    kind = KINDS[CLASSES.index(cls)]
    pipeline = _pipeline({"kind": kind})
    assert (cls, kind) == (type(pipeline.model), pipeline.model.kind)
    assert pipeline == Pipeline.model_validate_json(pipeline.model_dump_json(by_alias=True))


def test_the_default_kind_is_the_regression() -> None:
    """A model without a kind is a logistic regression."""
    assert ("logistic_regression", 7) == (
        _pipeline({"folds": 7}).model.kind,
        _pipeline({"folds": 7}).model.folds,
    )


def test_an_unknown_kind_is_refused() -> None:
    """An unknown kind is reported at the key 'kind', even if its value is not text."""
    for kind in ("forest", ["random_forest"], None, 3):
        with pytest.raises(ValidationError) as caught:
            _pipeline({"kind": kind})
        [detail] = caught.value.errors()
        assert (("model", "kind"), "literal_error") == (detail["loc"], detail["type"])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            {"kind": "logistic_regression", "grid": {"elastic_net_param": [0, 1], "reg_param": [0.1, 0.2]}},
            [(0.1, 0.0), (0.1, 1.0), (0.2, 0.0), (0.2, 1.0)],
        ),
        (
            {"kind": "random_forest", "grid": {"max_depth": [2, 4], "num_trees": [5, 10]}},
            [(5, 2, 1), (5, 4, 1), (10, 2, 1), (10, 4, 1)],
        ),
        (
            {"kind": "gradient_boosted_trees", "grid": {"step_size": [0.1, 0.3]}},
            [(20, 3, 0.1), (20, 3, 0.3)],
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_grid_has_every_combination(model: dict[str, Any], expected: list[tuple[float, ...]]) -> None:
    """A grid has every combination in the order of the model kind, and its last parameter changes fastest."""
    assert expected == [tuple(point.values()) for point in _pipeline(model).model.grid.points]


@pytest.mark.parametrize("cls", CLASSES)
def test_the_default_grid_has_one_point(cls: type[BuiltInModel]) -> None:
    """The default grid has one point, with a value for every parameter."""
    model = _pipeline({"kind": KINDS[CLASSES.index(cls)]}).model
    assert [list(type(model.grid).model_fields)] == [list(point) for point in model.grid.points]


def test_only_the_regression_has_coefficients() -> None:
    """Bounds on coefficients apply to the logistic regression only."""
    assert {kind: kind == "logistic_regression" for kind in KINDS} == {
        kind: _pipeline({"kind": kind}).has_coefficients for kind in KINDS
    }


def test_a_custom_pipeline_has_no_coefficients() -> None:
    """A custom pipeline has no coefficients, whatever the options of the built-in model are."""
    assert not _pipeline({"folds": 2}).model_copy(update={"use": "one:A"}).has_coefficients


@pytest.mark.parametrize("cls", CLASSES)
def test_every_kind_has_the_common_options(cls: type[BuiltInModel]) -> None:
    """Every model kind has the options 'folds' and 'partitions', which custom pipelines use, too."""
    assert {"folds", "partitions"} == set(ModelOptions.model_fields)
    assert set(ModelOptions.model_fields) <= set(cls.model_fields)


POINT: dict[str, Any] = {"cv_roc_auc": 0.7, "chosen": True}


def test_a_grid_point_of_result_format_1_is_read() -> None:
    """The two parameters of a grid point in result format 1 become a mapping."""
    grid = [{"reg_param": 0.1, "elastic_net_param": 0.5, **POINT}]
    [version] = upgrade({"versions": [{"name": "a", "grid": grid}]})["versions"]
    expected = GridPoint(parameters={"reg_param": 0.1, "elastic_net_param": 0.5}, **POINT)
    assert [expected] == [GridPoint.model_validate(point) for point in version["grid"]]


@pytest.mark.parametrize(
    "values",
    [{}, {"reg_param": 0.1, "parameters": {"reg_param": 0.1}}, {"num_trees": 5}, {"reg_param": "much"}],
)
def test_an_invalid_grid_point_is_refused(values: dict[str, Any]) -> None:
    """A grid point without a valid mapping of parameters is refused."""
    with pytest.raises(ValidationError):
        GridPoint.model_validate({**values, **POINT})
