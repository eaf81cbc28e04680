"""The earlier version that a bound compares with, and the versions at which it is not judged."""

from typing import Any

import pytest

from harness.bounds.judge import judge_versions
from harness.results import Verdict
from tests.unit.bounds_samples import measured, scenario

NAMES = ("one", "two", "three")


def _judge(every: dict[str, Any], **versions: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the versions at which bounds are judged, each with the version that it is compared with."""
    expected = scenario([{"name": name, **versions.get(name, {})} for name in NAMES], every=every)
    measured_versions = [measured(name, test_accuracy=0.7, added_test_accuracy=0.7) for name in NAMES]
    return [
        (version.name, bound.since)
        for version in judge_versions(expected, measured_versions)
        for bound in version.bounds
    ]


def _change(**options: Any) -> dict[str, Any]:
    return {"metrics": {"test_accuracy": {"change": {"min": -0.1, **options}}}}


def test_a_change_since_a_named_version_applies_after_it() -> None:
    """A common bound on a change since a named version is judged only at later versions."""
    assert [("three", "two")] == _judge(_change(since="two"))


def test_agreement_with_a_named_version_applies_after_it() -> None:
    """A common bound on the agreement with a named version is judged only at later versions."""
    expected = {"sign_agreement": {"since": "one", "min": 0.5}}
    assert [("two", "one"), ("three", "one")] == _judge({"explanations": expected})


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("previous", [("two", "one"), ("three", "two")]),
        ("first", [("two", "one"), ("three", "one")]),
        ("one", [("two", "one"), ("three", "one")]),
        ("three", []),
    ],
)
def test_a_change_is_not_judged_without_an_earlier_version(
    since: str, expected: list[tuple[str, str]]
) -> None:
    """A bound on a change is not judged at a version without an earlier one."""
    assert expected == _judge(_change(since=since))


def test_a_change_is_since_the_previous_version_by_default() -> None:
    """A change is compared with the previous version by default."""
    assert [("two", "one"), ("three", "two")] == _judge(_change())


@pytest.mark.parametrize("untrained", [{"train": False}, {"expect_error": "DELTA_SOMETHING"}])
@pytest.mark.parametrize(
    ("name", "since", "expected"),
    [
        ("one", "previous", [("three", "two")]),
        ("one", "first", [("three", "two")]),
        ("two", "previous", [("three", "one")]),
        ("two", "first", [("three", "one")]),
    ],
)
def test_only_trained_versions_count(
    untrained: dict[str, Any], name: str, since: str, expected: list[tuple[str, str]]
) -> None:
    """At a trained version, 'previous' and 'first' skip versions without a model."""
    assert expected == _judge(_change(since=since), **{name: untrained})


@pytest.mark.parametrize(("since", "expected"), [("previous", "two"), ("first", "one")])
def test_a_version_without_a_model_is_compared_with_any(since: str, expected: str) -> None:
    """A version without a model is compared with the version before it, trained or not."""
    rows = {"rows": {"change": {"since": since, "min": 0}}}
    untrained: dict[str, Any] = {"train": False}
    versions = {"two": untrained, "three": {**untrained, "expect": rows}}
    assert [("three", expected)] == _judge({}, **versions)


@pytest.mark.parametrize("first", [{}, {"train": False}])
def test_added_rows_are_not_judged_at_the_first_version(first: dict[str, Any]) -> None:
    """A bound on added rows is judged at every trained version except the scenario's first version."""
    added = {"metrics": {"test_accuracy": {"min": 0.5, "on": "added"}}}
    assert [("two", None), ("three", None)] == _judge(added, one=first)


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.5, Verdict.PASS), (0.4, Verdict.FAIL), (None, Verdict.NOT_PROVEN)]
)
def test_added_rows_have_their_own_metric(value: float | None, verdict: Verdict) -> None:
    """A bound on added rows uses their own metric, not that of all held-out rows."""
    added = {"metrics": {"test_accuracy": {"min": 0.5, "on": "added"}}}
    expected = scenario([{"name": "one"}, {"name": "two"}], every=added)
    measured_versions = [measured("one"), measured("two", test_accuracy=0.45, added_test_accuracy=value)]
    [bound] = judge_versions(expected, measured_versions)[1].bounds
    assert ("added_test_accuracy", verdict) == (bound.metric, bound.verdict)


def test_a_change_of_added_rows_since_the_first_version_is_not_proven() -> None:
    """A change of a metric on added rows since the first version, which has none, is not proven."""
    expected = scenario(
        [{"name": "one"}, {"name": "two"}],
        every={"metrics": {"test_accuracy": {"on": "added", "change": {"min": 0}}}},
    )
    [bound] = judge_versions(expected, [measured("one"), measured("two", added_test_accuracy=0.7)])[1].bounds
    assert "added_test_accuracy could not be measured at one" == bound.reason


def test_a_change_since_an_unmeasured_version_is_not_proven() -> None:
    """A change since a version that the job didn't measure is not proven."""
    expected = scenario([{"name": "one"}, {"name": "two"}], every=_change())
    [two] = judge_versions(expected, [measured("two", test_accuracy=0.7)])
    assert [(Verdict.NOT_PROVEN, "version one was not measured")] == [
        (bound.verdict, bound.reason) for bound in two.bounds
    ]


def test_a_change_since_an_untrained_version_is_not_proven() -> None:
    """A change of a metric since a named version without a model is not proven."""
    judged = scenario([{"name": "one", "train": False}, {"name": "two"}], every=_change(since="one"))
    [_, two] = judge_versions(judged, [measured("one"), measured("two", test_accuracy=0.7)])
    assert ["test_accuracy could not be measured at one"] == [bound.reason for bound in two.bounds]
