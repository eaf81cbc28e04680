"""Rules on expectations, which can be measured, compared and met, and on the expected verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.bounds.explanation_bounds import AGREEMENTS
from harness.bounds.quantities import Number, list_numbers
from harness.bounds.specs import Scope, list_bound_specs, list_scopes
from harness.bounds.standard import CHECKS
from harness.errors import Location, Problem, did_you_mean
from harness.loading.rules.bound_rules import check_agreement, check_bounds, excludes
from harness.loading.rules.data_rules import check_data
from harness.loading.rules.pipeline_rules import is_feature
from harness.metrics import (
    ADDED,
    BUILT_IN_METRICS,
    CHAMPION,
    CHAMPION_METRICS,
    CUSTOM_METRICS,
    HELD_OUT_METRICS,
    METRICS,
    name_on_added,
)
from harness.scenario.expectations import ADDED_ROWS, ALL_ROWS, Agreement, Bound, Overlap
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.scenario.publish import MODEL_NAME, MODEL_NAME_HINT, is_reserved_alias
from harness.scenario.text_checks import explain_not_earlier


def check_expectations(scenario: Scenario) -> Iterator[Problem]:
    """Yield every problem with the expectations of the versions."""
    for scope in list_scopes(scenario):
        yield from _check_untrained(scope)
        for number in list_numbers(scope.expect):
            if scope.is_of_models or not number.needs_model:
                yield from _check_number(number, scope)
        yield from check_data(scope)
        yield from _check_standard(scope)
        yield from _check_drift(scope)
        yield from _check_same_data(scope)
        if scope.is_of_models:
            yield from _check_explanations(scope)
    if scenario.every.model_fields_set and not scenario.trained:
        yield Problem(
            "'every' applies to trained versions, but no version is trained; remove it.", ("every",)
        )


def check_segments(scenario: Scenario) -> Iterator[Problem]:
    """Yield every problem with the segments, except with their SQL."""
    for name, condition in scenario.segments.items():
        if name in (ALL_ROWS, ADDED_ROWS):
            message = f"bounds already use 'on: {name}' for other rows; choose another name for the segment."
            yield Problem(message, ("segments", name))
        if not condition.strip():
            yield Problem(
                f"the segment '{name}' has an empty condition; remove it, or write SQL.", ("segments", name)
            )


_OF_MODELS = (
    "metrics",
    "coefficients",
    "explanations",
    "standard",
    "drift",
    "positives",
    "new_values",
    "repeated_rows",
)
"""Expectations of trained versions only."""


def _check_standard(scope: Scope) -> Iterator[Problem]:
    standard = scope.expect.standard
    if standard is None:
        return
    at = (*scope.at, "standard")
    named: list[tuple[str, Location]] = [
        *((name, (*at, "except", index)) for index, name in enumerate(standard.without)),
        *((name, (*at, "limits", name)) for name in standard.limits),
    ]
    for name, where in named:
        if name not in CHECKS:
            message = f"the standard gate has no check '{name}'.{did_you_mean(name, CHECKS)}"
            yield Problem(f"{message} Its checks: {', '.join(CHECKS)}.", where)
    for name in standard.limits:
        if name in standard.without:
            message = f"the check '{name}' is left out, so its limit has no effect"
            yield Problem(f"{message}; remove it from 'except' or 'limits'.", (*at, "limits", name))


def _check_drift(scope: Scope) -> Iterator[Problem]:
    pipeline = scope.scenario.pipeline
    features = (*pipeline.features, *pipeline.categorical)
    for name, bound in scope.expect.drift.items():
        at: Location = (*scope.at, "drift", name)
        if name not in features:
            yield Problem(f"unknown feature '{name}'.{did_you_mean(name, features)}", at)
        elif reason := scope.explain_incomparable(bound.since, needs_model=True):
            yield Problem(f"the drift of '{name}' can't be measured: {reason}", (*at, "since"))


def _check_untrained(scope: Scope) -> Iterator[Problem]:
    """Yield a problem if a version without a model has expectations of a model."""
    if scope.is_of_models or scope.version is None:
        return
    for key in _OF_MODELS:
        if key == "metrics" and set(scope.expect.metrics) <= set(CHAMPION_METRICS):
            continue  # Without a champion, another rule reports them.
        if getattr(scope.expect, key):
            message = f"version '{scope.version.name}' is not trained, so it has no {key}; remove '{key}'."
            yield Problem(message, (*scope.at, key))


def _check_number(number: Number, scope: Scope) -> Iterator[Problem]:
    at: Location = (*scope.at, *number.at)
    kind = number.kind.name
    if kind == "metric":
        yield from _check_metric(number.own_name, scope, at)
    elif kind == "coefficient" and not scope.scenario.pipeline.has_coefficients:
        message = (
            f"{_describe_model(scope.scenario.pipeline)} has no coefficients; bound 'explanations' instead."
        )
        yield Problem(message, (*scope.at, "coefficients"))
    elif kind == "new_values" and number.own_name not in scope.scenario.pipeline.categorical:
        hint = did_you_mean(number.own_name, scope.scenario.pipeline.categorical)
        yield Problem(f"'{number.own_name}' is not a categorical feature.{hint}", at)
    elif number.needs_model and not number.kind.needs_added:
        yield from _check_feature(number.own_name, scope, at)
    if number.kind.needs_added and scope.index == 0:
        yield Problem(f"'{number.name}' can't be measured at the first version, whose rows are all new.", at)
    yield from check_bounds(number, at)
    yield from _check_key(number, scope, at)
    for index, bound in enumerate(number.bounds):
        if bound.on == ADDED_ROWS:
            yield from _check_added_rows(number, scope, (*at, index, "on"))
        elif bound.on != ALL_ROWS:
            yield from _check_segment(number, bound, scope, (*at, index, "on"))
        yield from _check_change(number, bound, scope, (*at, index, "change", "since"))


def _check_metric(name: str, scope: Scope, at: Location) -> Iterator[Problem]:
    pipeline = scope.scenario.pipeline
    known = (*METRICS, *pipeline.metrics)
    if name not in known:
        yield Problem(f"unknown metric '{name}'.{did_you_mean(name, known)}", at)
    elif name in (CUSTOM_METRICS if pipeline.use is None else BUILT_IN_METRICS):
        yield Problem(f"'{name}' is not measured for {_describe_model(pipeline)}; remove the bound.", at)
    elif name.removeprefix(CHAMPION).startswith(ADDED) and 0 in scope.applies_to:
        hint = ""
        if scope.version is None:
            of_all = name.replace(ADDED, "", 1)
            hint = f"; bound '{of_all}' with 'on: added' instead, which skips the first version"
        yield Problem(f"'{name}' can't be measured at the first version, whose rows are all new{hint}.", at)


def _describe_model(pipeline: Pipeline) -> str:
    return f"model '{pipeline.model.kind}'" if pipeline.use is None else f"pipeline {pipeline.use}"


def _check_feature(name: str, scope: Scope, at: Location) -> Iterator[Problem]:
    pipeline = scope.scenario.pipeline
    if is_feature(name, pipeline):
        return
    if name in pipeline.categorical:
        yield Problem(f"'{name}' is categorical; specify one of its values, as in '{name}=VALUE'.", at)
    else:
        hint = did_you_mean(name, (*pipeline.features, *(f"{each}=" for each in pipeline.categorical)))
        yield Problem(f"unknown feature '{name}'.{hint}", at)


def _check_key(number: Number, scope: Scope, at: Location) -> Iterator[Problem]:
    """Yield a problem if bounds on the key rule out training, which needs a unique key without nulls."""
    own = scope.version
    is_trained = own is None or own.is_trained
    if number.kind.name in ("null_keys", "duplicate_keys") and is_trained and excludes(number, 0.0):
        message = f"a version can only be trained if '{number.name}' is 0"
        yield Problem(f"{message}; set 'train: false', or expect 0.", at)


def _check_added_rows(number: Number, scope: Scope, at: Location) -> Iterator[Problem]:
    if name_on_added(number.name) not in METRICS:
        message = f"'{number.name}' can't be measured on added rows, only 'test_' metrics can"
        yield Problem(f"{message}; remove 'on'.", at)
    elif scope.index == 0:
        message = f"the bound on '{number.name}' is never judged: all rows of the first version are new"
        yield Problem(f"{message}; remove 'on'.", at)


def _check_segment(number: Number, bound: Bound, scope: Scope, at: Location) -> Iterator[Problem]:
    segments = scope.scenario.segments
    known = (ALL_ROWS, ADDED_ROWS, *segments)
    if bound.on not in segments:
        message = f"unknown segment '{bound.on}'.{did_you_mean(bound.on, known)} Known: {', '.join(known)}."
        yield Problem(f"{message} Define segments under 'segments'.", at)
    elif number.kind.name != "metric" or number.own_name not in HELD_OUT_METRICS:
        message = f"'{number.name}' can't be measured on a segment, only 'test_' metrics can"
        yield Problem(f"{message}; remove 'on'.", at)
    elif bound.baseline is not None:
        yield Problem(
            "a metric on a segment can't be compared with another run; remove 'on' or 'baseline'.", at
        )


def _check_change(number: Number, bound: Bound, scope: Scope, at: Location) -> Iterator[Problem]:
    if bound.change is None:
        return
    reason = scope.explain_incomparable(bound.change.since, needs_model=number.needs_model)
    if reason is not None:
        yield Problem(f"the change of '{number.name}' can't be measured: {reason}", at)
        return
    compared = scope.find_compared_with_first(bound.change.since) if bound.on == ADDED_ROWS else None
    if compared is not None:
        first = scope.scenario.versions[0].name
        message = f"version '{compared.name}' is compared with '{first}', whose rows are all new"
        subject = f"the change of '{number.name}' on added rows can't be measured"
        yield Problem(f"{subject}: {message}; remove 'on', or compare with a later version.", at)


def _check_same_data(scope: Scope) -> Iterator[Problem]:
    name = scope.expect.same_data_as
    if name is None:
        return
    for index in scope.applies_to:
        version = scope.scenario.versions[index]
        if scope.version is None and version.expect.same_data_as is not None:
            continue
        reason = explain_not_earlier(name, [each.name for each in scope.scenario.versions], index)
        if reason is not None:
            message = f"version '{version.name}' can't have the same data as '{name}': {reason}"
            yield Problem(message, (*scope.at, "same_data_as"))
            return


def _check_explanations(scope: Scope) -> Iterator[Problem]:
    expect = scope.expect.explanations
    if expect is None:
        return
    at: Location = (*scope.at, "explanations")
    if not expect.model_fields_set:
        yield Problem("'explanations' has no bounds; add top_k, sign_agreement, weight or another.", at)
    for name in AGREEMENTS:
        bound: Overlap | Agreement | None = getattr(expect, name)
        reason = None if bound is None else scope.explain_incomparable(bound.since, needs_model=True)
        if reason is not None:
            yield Problem(f"'{name}' can't be measured: {reason}", (*at, name, "since"))
        if bound is not None:
            yield from check_agreement(name, bound.min, AGREEMENTS[name].domain, (*at, name, "min"))
    pipeline = scope.scenario.pipeline
    top, known = expect.top_k, len(pipeline.features)
    if top is not None and not pipeline.categorical and top.k > known:
        message = f"'k' is {top.k}, more than the number of features ({known})."
        yield Problem(message, (*at, "top_k", "k"))


_FEW = 8
"""Maximum number of names that a message lists."""


def check_outcome(scenario: Scenario) -> Iterator[Problem]:
    """Yield every problem with the expected verdict and with publishing."""
    if scenario.verdict == "fail" and not scenario.caught_by:
        message = "'verdict: fail' needs the bounds that must fail; list them under 'caught_by'."
        yield Problem(message, ("verdict",))
    if scenario.verdict == "pass" and scenario.caught_by:
        message = "'caught_by' lists bounds that must fail; add 'verdict: fail'."
        yield Problem(message, ("caught_by",))
    yield from _check_observe(scenario)
    yield from _check_caught_by(scenario)
    yield from _check_registration(scenario)
    written = scenario.publish.model_fields_set
    if not scenario.trained and "when" in written and scenario.publish.when != "never":
        message = "there is nothing to publish: no version is trained; remove 'when'."
        yield Problem(message, ("publish", "when"))


def _check_observe(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.observe:
        return
    if scenario.sets_expectations:
        message = (
            "'observe: true' looks without judging, but the scenario sets expectations; remove one of them."
        )
        yield Problem(message, ("observe",))
    if scenario.publish.when == "always":
        message = "'observe: true' never publishes a model, but 'when' is 'always'; remove one of them."
        yield Problem(message, ("publish", "when"))


def _check_registration(scenario: Scenario) -> Iterator[Problem]:
    publish = scenario.publish
    if publish.alias is not None and publish.model is None:
        yield Problem("'alias' belongs to a registered model; add 'register'.", ("publish", "alias"))
    if publish.alias is not None and is_reserved_alias(publish.alias):
        message = f"MLflow reserves '{publish.alias}'; name another alias, such as 'champion'."
        yield Problem(message, ("publish", "alias"))
    if publish.model is None:
        return
    at = ("publish", "register")
    if not re.fullmatch(MODEL_NAME, publish.model):
        yield Problem(f"'{publish.model}' can't be a registered model: {MODEL_NAME_HINT}.", at)
    if scenario.observe:
        yield Problem("'observe: true' never registers a model; remove one of them.", at)
    if publish.when == "never":
        yield Problem("only a published model is registered, but 'when' is 'never'; remove one of them.", at)
    if not scenario.trained:
        yield Problem("there is nothing to register: no version is trained; remove 'register'.", at)


def _check_caught_by(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.caught_by:
        return
    kinds: dict[str, dict[str, None]] = {}
    for spec in list_bound_specs(scenario):
        kinds.setdefault(spec.name, {})[spec.full_name] = None
    full_names = [full_name for of_name in kinds.values() for full_name in of_name]
    for index, name in enumerate(scenario.caught_by):
        at = ("caught_by", index)
        if name in scenario.caught_by[:index]:
            yield Problem(f"'{name}' is listed twice.", at)
        elif len(kinds.get(name, ())) > 1:
            listed = " or ".join(f"'{full_name}'" for full_name in kinds[name])
            yield Problem(f"'{name}' has several parts; list {listed}.", at)
        elif name not in kinds and name not in full_names:
            hint = did_you_mean(name, [*kinds, *full_names]) or _list_bounds(list(kinds))
            yield Problem(f"unknown bound '{name}'.{hint}", at)


def _list_bounds(names: list[str]) -> str:
    if not names:
        return " No bound of this scenario can fail."
    return f" Bounds that can fail: {', '.join(names[:_FEW])}{' ...' if len(names) > _FEW else ''}."
