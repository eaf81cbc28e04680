"""Every bound of a scenario, listed once: in the order of judging, with its location and its names."""

from typing import Any, get_args

import pytest

from harness.authoring.plan_preview import preview_run
from harness.bounds import explanation_bounds
from harness.bounds.drift import DRIFT
from harness.bounds.explanation_bounds import AGREEMENTS, AgreementKind
from harness.bounds.judge import judge_versions
from harness.bounds.quantities import NUMBERS
from harness.bounds.specs import list_bound_specs
from harness.bounds.text_bounds import TEXTS
from harness.metrics import SHARES
from harness.results import Verdict
from harness.scenario.bound_spec import (
    CHANGE_COMPARISONS,
    COMPARISONS,
    VALUE_COMPARISONS,
    BoundSpec,
    Comparison,
    Reference,
)
from harness.scenario.expectations import Baseline, Bound, Change, Expect, Explanations, ProtocolBounds
from harness.scenario.model import Scenario
from harness.scenario.model_base import ScenarioPart
from harness.settings import read_settings
from tests.unit import bounds_samples as samples

LIMIT = {"min": 0.25}
CHANGE = {"change": {"since": "one", "min": -0.5, "max": 0.5}}
BASELINE = {"baseline": {"from": "good", "version": "one", "relative": True, "max": 0.75}}
EXPECT: dict[str, Any] = {
    "rows": {"equals": 100},
    "null_keys": 0,
    "duplicate_keys": {"max": 0},
    "nulls": {"dti": {"max": 0.5}},
    "protocol": {"reader": {"min": 1}, "writer": {"max": 7}},
    "metrics": {
        "test_accuracy": [LIMIT, {"on": "added", "max": 0.9}, CHANGE, BASELINE],
        "test_f1": {"equals": 0.5, "tolerance": 0.125},
    },
    "coefficients": {"amount": {"max": 2}},
    "standard": {"except": ["drift"]},
    "drift": {"amount": {"since": "one", "max": 0.5}},
    "positives": {"min": 0.125},
    "new_values": {"grade": {"max": 0.5}},
    "repeated_rows": {"max": 0.5},
    "schema": {"exact": {"id": "int"}, "at_least": {"id": "int"}},
    "operation": "WRITE",
    "same_data_as": "one",
    "explanations": {
        "top_k": {"k": 1, "min": 1},
        "sign_agreement": {"min": 0.5},
        "rank_correlation": {"since": "first", "min": 0},
        "weight": {"amount": {"min": -1}},
        "share": {"amount": {"max": 0.9}},
    },
}


def _scenario(**changes: Any) -> Scenario:
    return samples.scenario([{"name": "one"}, {"name": "two", "expect": EXPECT}], **changes)


def _specs(**changes: Any) -> list[BoundSpec]:
    return [spec for spec in list_bound_specs(_scenario(**changes)) if spec.version == "two"]


def test_the_sample_has_a_bound_of_each_kind_on_each_quantity() -> None:
    """The tests below would miss a kind that the sample lacks."""
    specs = _specs()
    assert {*NUMBERS, *TEXTS, *AGREEMENTS, DRIFT} == {spec.quantity.kind for spec in specs}
    assert {*COMPARISONS, "is"} == {spec.kind for spec in specs}


def _bounded(model: type[ScenarioPart], *keys: str) -> set[tuple[str, ...]]:
    """Return the path of every quantity that the file can bound."""
    paths = set[tuple[str, ...]]()
    for name, field in model.model_fields.items():
        path = (*keys, field.alias or name)
        inner = [each for each in get_args(field.annotation) if each in (Explanations, ProtocolBounds)]
        paths |= _bounded(inner[0], *path) if inner else {path}
    return paths


def test_every_expectation_has_a_kind_of_bound() -> None:
    """No key of 'expect' is accepted in a file without being judged."""
    kinds = {
        *(kind.keys for kind in NUMBERS.values()),
        *((kind,) for kind in (*TEXTS, DRIFT)),
        *(("explanations", kind) for kind in AGREEMENTS),
    }
    assert _bounded(Expect) == kinds


@pytest.mark.parametrize(
    ("model", "comparisons"),
    [(Bound, VALUE_COMPARISONS), (Change, CHANGE_COMPARISONS), (Baseline, CHANGE_COMPARISONS)],
)
def test_every_limit_has_a_key_of_the_file(
    model: type[ScenarioPart], comparisons: tuple[Comparison, ...]
) -> None:
    """Whatever a number can be compared with, the file can set."""
    assert {each.key for each in comparisons} <= set(model.model_fields)


def test_bounds_are_listed_as_they_are_judged() -> None:
    """A result has the bounds of its version in the order of the list, and each carries its own."""
    scenario = _scenario()
    judged = judge_versions(scenario, [samples.version("one"), samples.version("two")])
    assert list_bound_specs(scenario) == tuple(bound.spec for version in judged for bound in version.bounds)


def _at(scenario: Scenario, spec: BoundSpec) -> Any:
    value: Any = scenario.model_dump(by_alias=True)
    for key in spec.location.path:
        value = value[key]
    return value


def test_each_limit_is_what_the_scenario_sets_at_its_location() -> None:
    """The whole path leads through the scenario to the limit, or to the mapping that sets it."""
    scenario = _scenario()
    for spec in _specs():
        found = _at(scenario, spec)
        if spec.quantity.kind in AGREEMENTS:
            assert spec.limit == found["min"]
        elif spec.quantity.kind == "schema":
            assert spec.columns == found[spec.quantity.name]
        elif spec.quantity.kind == "standard":
            assert spec.quantity.name not in found["except"]
        elif spec.quantity.kind == DRIFT:
            assert spec.limit == found["max"]
        else:
            assert (spec.expected or spec.limit) == found


@pytest.mark.parametrize("own", [{}, EXPECT], ids=["every", "version"])
def test_the_root_is_where_the_bound_is_set(own: dict[str, Any]) -> None:
    """What a version expects itself is set there, and the rest under ``every``."""
    scenario = samples.scenario([{"name": "one"}, {"name": "two", "expect": own}], every=EXPECT)
    roots = {spec.location.root for spec in list_bound_specs(scenario) if spec.version == "two"}
    assert {("versions", 1, "expect") if own else ("every",)} == roots


def test_a_version_replaces_one_number_of_every_version() -> None:
    """The others stay under ``every``, and their locations say so."""
    own = {"metrics": {"test_f1": {"min": 0.1}}, "explanations": {"sign_agreement": {"min": 0.1}}}
    every = {
        "metrics": {"test_f1": {"min": 0.5}, "test_accuracy": {"min": 0.5}},
        "explanations": {"sign_agreement": {"min": 0.5}, "rank_correlation": {"min": 0.5}},
    }
    specs = list_bound_specs(samples.scenario([{"name": "one"}, {"name": "two", "expect": own}], every=every))
    roots = {spec.metric: spec.location.root for spec in specs if spec.version == "two"}
    assert {
        "test_f1": ("versions", 1, "expect"),
        "test_accuracy": ("every",),
        "sign_agreement": ("versions", 1, "expect"),
        "rank_correlation": ("every",),
    } == roots


def test_what_can_not_be_compared_is_not_listed() -> None:
    """At the first version nothing came before, and all rows are new."""
    every = {
        "metrics": {"test_f1": [{"on": "added", "min": 0}, {"change": {"min": 0}}, {"min": 0.5}]},
        "explanations": {"sign_agreement": {"min": 0.5}},
    }
    specs = list_bound_specs(samples.scenario([{"name": "one"}, {"name": "two"}], every=every))
    assert ["test_f1.min"] == [f"{spec.metric}.{spec.kind}" for spec in specs if spec.version == "one"]
    assert 4 == sum(spec.version == "two" for spec in specs)


def test_references_are_data() -> None:
    """An earlier version, one by its position, and a version of another run differ in their fields."""
    found = {spec.metric: spec.reference for spec in _specs(every={}) if spec.reference is not None}
    assert Reference(version="one", is_positional=True) == found["sign_agreement"]
    assert Reference(version="one", is_positional=True) == found["rank_correlation"]
    assert Reference(version="one", run="good") == found["test_accuracy"]
    changes = [spec.reference for spec in _specs() if spec.kind == "change_min"]
    assert [Reference(version="one")] == changes


@pytest.mark.parametrize(
    ("metric", "kind", "text"),
    [
        ("rows", "equals", "= 100"),
        ("test_f1", "equals", "= 0.5 ± 0.125"),
        ("test_accuracy", "min", ">= 0.25"),
        ("added_test_accuracy", "max", "<= 0.9"),
        ("test_accuracy", "change_min", ">= -0.5 since one"),
        ("top_1_overlap", "min", ">= 1 since one"),
        ("operation", "is", "= WRITE"),
        ("schema", "is", "= exactly id int"),
    ],
)
def test_a_bound_is_written_in_one_way(metric: str, kind: str, text: str) -> None:
    """Reports, titles of tests and studies all take this text."""
    found = [spec.text for spec in _specs() if (spec.metric, spec.kind) == (metric, kind)]
    assert text == found[0]


def test_a_change_since_another_run_is_written_in_percent() -> None:
    """A relative change is a share, and the run stands behind its version."""
    [text] = [spec.text for spec in _specs() if spec.reference is not None and spec.reference.run]
    assert "<= 75 % compared with one of good" == text


def test_what_a_bound_writes_is_the_same_bound_again() -> None:
    """Each bound on a number, written at its location of an empty version, lists the same bound."""
    for spec in _specs():
        if spec.comparison is None:
            continue
        expect: dict[str, Any] = {}
        *parents, last = spec.location.keys
        inner = expect
        for key in parents:
            inner = inner.setdefault(key, {})
        inner[last] = spec.to_mapping()
        again = list_bound_specs(samples.scenario([{"name": "one"}, {"name": "two", "expect": expect}]))
        assert [(spec.metric, spec.kind, spec.limit, spec.since, spec.tolerance)] == [
            (each.metric, each.kind, each.limit, each.since, each.tolerance) for each in again
        ]


def test_a_name_selects_all_kinds_or_one() -> None:
    """``caught_by`` names a quantity of a version, with its kind or without."""
    caught = ["two.test_accuracy.change_max", "two.protocol.writer"]
    failing = [spec.full_name for spec in _specs(verdict="fail", caught_by=caught) if spec.must_fail]
    change = "two.test_accuracy.change_max"
    assert ["two.protocol.writer.max", change, change] == failing


def test_a_new_kind_of_bound_is_listed_judged_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry of the registry is enough: here one that always fails replaces the agreement of signs."""
    never = AgreementKind("sign_agreement", lambda _now, _before, _what: -1.0, SHARES, "never")
    monkeypatch.setitem(explanation_bounds.AGREEMENTS, "sign_agreement", never)
    expect = {"explanations": {"sign_agreement": {"min": 0}}}
    scenario = samples.scenario([{"name": "one"}, {"name": "two", "expect": expect}])
    weights = {"amount": 1.0, "income": 1.0}
    judged = judge_versions(scenario, [samples.explained("one", weights), samples.explained("two", weights)])
    [bound] = judged[1].bounds
    assert ("never", Verdict.FAIL, -1.0) == (bound.metric, bound.verdict, bound.measured)
    assert 1 == preview_run(scenario, read_settings()).versions[1].bounds
