"""Options of the built-in model kinds, and their grids; tests/unit/bad has the mistakes."""

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
    """The key 'kind' decides which options a model has, and survives JSON."""
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
    """The mistake is at the key 'kind', also if its value is not text."""
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
    """The last parameter changes fastest, in the order of the model kind, not of the file."""
    assert expected == [tuple(point.values()) for point in _pipeline(model).model.grid.points]


@pytest.mark.parametrize("cls", CLASSES)
def test_the_default_grid_is_one_fit(cls: type[BuiltInModel]) -> None:
    """Without a grid, nothing is chosen: the point names every parameter of the grid."""
    model = _pipeline({"kind": KINDS[CLASSES.index(cls)]}).model
    assert [list(type(model.grid).model_fields)] == [list(point) for point in model.grid.points]


def test_only_the_regression_has_coefficients() -> None:
    """Bounds on 'coefficients' apply to linear models."""
    assert {kind: kind == "logistic_regression" for kind in KINDS} == {
        kind: _pipeline({"kind": kind}).has_coefficients for kind in KINDS
    }


def test_a_custom_pipeline_has_no_coefficients() -> None:
    """The built-in model's options do not count if the scenario names a custom pipeline."""
    assert not _pipeline({"folds": 2}).model_copy(update={"use": "one:A"}).has_coefficients


@pytest.mark.parametrize("cls", CLASSES)
def test_every_kind_has_the_common_options(cls: type[BuiltInModel]) -> None:
    """Custom pipelines use ``folds`` and ``partitions`` too."""
    assert {"folds", "partitions"} == set(ModelOptions.model_fields)
    assert set(ModelOptions.model_fields) <= set(cls.model_fields)


POINT: dict[str, Any] = {"cv_roc_auc": 0.7, "chosen": True}


def test_a_grid_point_of_result_format_1_is_read() -> None:
    """The two parameters of the regression become entries of the mapping."""
    grid = [{"reg_param": 0.1, "elastic_net_param": 0.5, **POINT}]
    [version] = upgrade({"versions": [{"name": "a", "grid": grid}]})["versions"]
    expected = GridPoint(parameters={"reg_param": 0.1, "elastic_net_param": 0.5}, **POINT)
    assert [expected] == [GridPoint.model_validate(point) for point in version["grid"]]


@pytest.mark.parametrize(
    "values",
    [{}, {"reg_param": 0.1, "parameters": {"reg_param": 0.1}}, {"num_trees": 5}, {"reg_param": "much"}],
)
def test_any_other_grid_point_is_refused(values: dict[str, Any]) -> None:
    """A grid point has a mapping of parameters, or the two fields of format version 1."""
    with pytest.raises(ValidationError):
        GridPoint.model_validate({**values, **POINT})
