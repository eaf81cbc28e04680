"""Rules for the pipeline, from a table to a model."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem, did_you_mean
from harness.metrics import METRICS
from harness.scenario.model import Scenario
from harness.scenario.model_base import Value
from harness.scenario.model_kinds import ModelOptions
from harness.scenario.pipeline import Label, Pipeline
from harness.scenario.text_checks import check_not_blank, find_repeated, is_reserved, is_secret_name

_AT: Location = ("pipeline",)


def check_pipeline(scenario: Scenario) -> Iterator[Problem]:
    """Report everything that is wrong with the pipeline; names of columns are not case-sensitive in Spark."""
    pipeline = scenario.pipeline
    yield from _check_label(pipeline.label)
    yield from check_not_blank(pipeline.filter, "filter", (*_AT, "filter"))
    yield from _check_derived_columns(pipeline, is_used=bool(scenario.trained))
    yield from _check_features(pipeline)
    yield from _check_optional(pipeline)
    yield from _check_kind_of_pipeline(pipeline)
    yield from _check_samples(pipeline)


def is_feature(name: str, pipeline: Pipeline) -> bool:
    """Return whether coefficients and weights can have a name: that of a number, or of a category's value."""
    is_value = any(name.startswith(f"{each}=") for each in pipeline.categorical)
    return name in pipeline.features or is_value


def _check_label(label: Label) -> Iterator[Problem]:
    for value in label.positive:
        if any(_is_same_value(value, other) for other in label.negative):
            yield Problem(f"label value {value!r} is both positive and negative.", (*_AT, "label"))
    for index, ignored in enumerate(label.ignore):
        for kind, values in (("positive", label.positive), ("negative", label.negative)):
            if ignored is not None and any(_is_same_value(ignored, other) for other in values):
                at: Location = (*_AT, "label", "ignore", index)
                yield Problem(f"label value {ignored!r} is both {kind} and ignored.", at)


def _is_same_value(value: Value, other: Value) -> bool:
    """Return whether two values are the same in Spark, which compares 1 and '1' in the type of the column."""
    return value == other or str(value) == str(other)


def _check_derived_columns(pipeline: Pipeline, *, is_used: bool) -> Iterator[Problem]:
    at: Location = (*_AT, "derive")
    for _, name in find_repeated(pipeline.derive):
        yield Problem(f"column '{name}' is derived twice.", (*at, name))
    for name, expression in pipeline.derive.items():
        yield from check_not_blank(expression, name, (*at, name))
        if is_used and is_reserved(name):
            yield Problem(f"'{name}' is reserved for the models; choose another name.", (*at, name))


def _check_features(pipeline: Pipeline) -> Iterator[Problem]:
    if not pipeline.features and not pipeline.categorical:
        message = "the pipeline has no features; list at least one under 'features' or 'categorical'."
        yield Problem(message, _AT)
    seen: set[str] = set()
    for kind in ("features", "categorical"):
        for index, name in enumerate(getattr(pipeline, kind)):
            at: Location = (*_AT, kind, index)
            if name.lower() in seen:
                yield Problem(f"feature '{name}' is listed twice.", at)
            if name.lower() == pipeline.label.column.lower():
                yield Problem(f"the label column '{name}' can't be a feature.", at)
            seen.add(name.lower())


def _check_optional(pipeline: Pipeline) -> Iterator[Problem]:
    features = (*pipeline.features, *pipeline.categorical)
    known = {name.lower() for name in features}
    derived = {name.lower() for name in pipeline.derive}
    for index, name in find_repeated(pipeline.optional):
        yield Problem(f"optional feature '{name}' is listed twice.", (*_AT, "optional", index))
    for index, name in enumerate(pipeline.optional):
        at: Location = (*_AT, "optional", index)
        if name.lower() not in known:
            yield Problem(f"unknown feature '{name}' in 'optional'.{did_you_mean(name, features)}", at)
        elif name.lower() in derived:
            yield Problem(
                f"feature '{name}' is derived, so every version has it; remove it from 'optional'.", at
            )


def _check_samples(pipeline: Pipeline) -> Iterator[Problem]:
    """Report too few samples: a fit with as many features as samples is perfect, and means nothing."""
    samples = pipeline.explainer.samples
    slots = len(pipeline.features) + len(pipeline.categorical)
    if samples is not None and pipeline.use is None and samples <= slots + 1:
        message = f"{samples} samples fit {slots} features perfectly, so the explanations mean nothing"
        yield Problem(f"{message}; use more, or remove 'samples'.", (*_AT, "explainer", "samples"))


def _check_kind_of_pipeline(pipeline: Pipeline) -> Iterator[Problem]:
    """Report options of custom pipelines in a built-in one, and the other way round."""
    if pipeline.use is None:
        for key, options in (("with", pipeline.options), ("metrics", pipeline.metrics)):
            if options:
                message = f"'{key}' is for custom pipelines; specify one under 'use', or remove '{key}'."
                yield Problem(message, (*_AT, key))
        return
    of_built_in = (
        ("model", pipeline.model.model_fields_set - set(ModelOptions.model_fields)),
        ("explainer", pipeline.explainer.model_fields_set & {"kind"}),
    )
    for part, keys in of_built_in:
        for key in sorted(keys):
            message = f"'{key}' in '{part}' is for built-in models; remove it"
            yield Problem(
                f"{message} (the options of {pipeline.use} are set under 'with').", (*_AT, part, key)
            )
    for name in filter(is_secret_name, pipeline.options):
        message = f"'{name}' looks like a secret; don't put secrets into a scenario."
        yield Problem(message, (*_AT, "with", name))
    yield from _check_metrics(pipeline)


def _check_metrics(pipeline: Pipeline) -> Iterator[Problem]:
    at: Location = (*_AT, "metrics")
    for index, name in find_repeated(pipeline.metrics):
        yield Problem(f"metric '{name}' is listed twice.", (*at, index))
    for index, name in enumerate(pipeline.metrics):
        if name in METRICS:
            message = f"'{name}' is a built-in metric; choose another name."
            yield Problem(message, (*at, index))
