"""Which earlier version a bound speaks of, and where it is not judged."""

from typing import Any

import pytest

from harness.bounds.judge import judge_versions
from harness.results import Verdict
from tests.unit.bounds_samples import measured, scenario

NAMES = ("one", "two", "three")


def _judged(every: dict[str, Any], **versions: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The versions at which bounds are judged, each with the one that it is compared with."""
    said = scenario([{"name": name, **versions.get(name, {})} for name in NAMES], every=every)
    found = [measured(name, test_accuracy=0.7, added_test_accuracy=0.7) for name in NAMES]
    return [
        (version.name, bound.since) for version in judge_versions(said, found) for bound in version.bounds
    ]


def _change(**said: Any) -> dict[str, Any]:
    return {"metrics": {"test_accuracy": {"change": {"min": -0.1, **said}}}}


def test_a_named_version_is_compared_with_those_after_it() -> None:
    """What holds of every version since a named one is not judged there, nor before."""
    assert [("three", "two")] == _judged(_change(since="two"))


def test_agreement_since_a_named_version_holds_after_it() -> None:
    """The same of explanations."""
    expected = {"sign_agreement": {"since": "one", "min": 0.5}}
    assert [("two", "one"), ("three", "one")] == _judged({"explanations": expected})


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("previous", [("two", "one"), ("three", "two")]),
        ("first", [("two", "one"), ("three", "one")]),
        ("one", [("two", "one"), ("three", "one")]),
        ("three", []),
    ],
)
def test_the_first_version_has_none_before_it(since: str, expected: list[tuple[str, str]]) -> None:
    """Where nothing comes before, nothing is judged."""
    assert expected == _judged(_change(since=since))


def test_what_is_not_said_is_the_previous_version() -> None:
    """As the documentation says."""
    assert [("two", "one"), ("three", "two")] == _judged(_change())


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
    """Between a trained version and the one before it others may lie."""
    assert expected == _judged(_change(since=since), **{name: untrained})


@pytest.mark.parametrize(("since", "expected"), [("previous", "two"), ("first", "one")])
def test_a_version_without_a_model_is_compared_with_any(since: str, expected: str) -> None:
    """Its data are held against those of the version before it, trained or not."""
    rows = {"rows": {"change": {"since": since, "min": 0}}}
    untrained: dict[str, Any] = {"train": False}
    versions = {"two": untrained, "three": {**untrained, "expect": rows}}
    assert [("three", expected)] == _judged({}, **versions)


@pytest.mark.parametrize("first", [{}, {"train": False}])
def test_what_a_version_added_is_judged_but_at_the_first(first: dict[str, Any]) -> None:
    """Also at the first one that is trained, where another one comes before it."""
    added = {"metrics": {"test_accuracy": {"min": 0.5, "on": "added"}}}
    assert [("two", None), ("three", None)] == _judged(added, one=first)


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.5, Verdict.PASS), (0.4, Verdict.FAIL), (None, Verdict.NOT_PROVEN)]
)
def test_what_a_version_added_has_a_number_of_its_own(value: float | None, verdict: Verdict) -> None:
    """And not that of all held-out rows."""
    added = {"metrics": {"test_accuracy": {"min": 0.5, "on": "added"}}}
    said = scenario([{"name": "one"}, {"name": "two"}], every=added)
    found = [measured("one"), measured("two", test_accuracy=0.45, added_test_accuracy=value)]
    [bound] = judge_versions(said, found)[1].bounds
    assert ("added_test_accuracy", verdict) == (bound.metric, bound.verdict)


def test_a_change_of_added_rows_since_the_first_version_is_not_proven() -> None:
    """All of that version's rows were new."""
    said = scenario(
        [{"name": "one"}, {"name": "two"}],
        every={"metrics": {"test_accuracy": {"on": "added", "change": {"min": 0}}}},
    )
    [bound] = judge_versions(said, [measured("one"), measured("two", added_test_accuracy=0.7)])[1].bounds
    assert "added_test_accuracy could not be measured at one" == bound.reason


def test_a_change_since_what_was_not_measured_is_not_proven() -> None:
    """A version that the job has not reached is no proof."""
    said = scenario([{"name": "one"}, {"name": "two"}], every=_change())
    [two] = judge_versions(said, [measured("two", test_accuracy=0.7)])
    assert [(Verdict.NOT_PROVEN, "version one was not measured")] == [
        (bound.verdict, bound.reason) for bound in two.bounds
    ]


def test_a_number_that_the_earlier_version_can_not_have_is_not_proven() -> None:
    """A named version without a model has no metric."""
    judged = scenario([{"name": "one", "train": False}, {"name": "two"}], every=_change(since="one"))
    [_, two] = judge_versions(judged, [measured("one"), measured("two", test_accuracy=0.7)])
    assert ["test_accuracy could not be measured at one"] == [bound.reason for bound in two.bounds]
