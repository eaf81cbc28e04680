from xml.etree import ElementTree as ET

from harness.report.junit import render_junit
from harness.results import Result, Verdict
from tests.unit import report_samples as samples


def _root(result: Result) -> ET.Element:
    return ET.fromstring(render_junit(result))  # noqa: S314 - our own text


def _of(verdict: Verdict) -> ET.Element:
    version = samples.version("march", 2, bounds=(samples.bound(verdict=verdict, reason="too few"),))
    return _root(samples.result((version,)))


def test_a_suite_per_version() -> None:
    """Each version is a suite of its own, in order."""
    assert [suite.get("name") for suite in _root(samples.result())] == [
        "three_versions.january",
        "three_versions.february",
        "three_versions.march",
    ]


def test_a_case_per_bound() -> None:
    """A case is named as the bound is written."""
    cases = [case.get("name") for case in _root(samples.result())[1]]
    assert cases[:3] == ["rows = 5786", "cv_roc_auc >= 0.6", "cv_roc_auc >= -0.1 since january"]


def test_totals_are_right() -> None:
    """A CI server's counts are the report's."""
    root = _of(Verdict.FAIL)
    assert [root.get(each) for each in ("tests", "failures", "errors")] == ["1", "1", "0"]


def test_a_bound_that_holds_has_no_failure() -> None:
    """A pass is a case without anything in it."""
    assert _of(Verdict.PASS).find(".//failure") is None


def test_not_proven_is_a_failure_that_says_so() -> None:
    """What is not proven never passes, and can be told from what failed."""
    failure = _of(Verdict.NOT_PROVEN).find(".//failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == (
        "not proven",
        "march: cv_roc_auc >= 0.6 is not proven: too few",
    )


def test_a_broken_run_is_an_error() -> None:
    """The job's own failure is one errored case with message and remedy."""
    root = _root(samples.result((), failure=samples.failure()))
    error = root.find(".//error")
    assert error is not None
    assert (root.get("errors"), error.get("type")) == ("1", "JobError")
    assert "Set spark.driver.memory" in str(error.text)


def test_times_are_seconds() -> None:
    """The run takes as long as it took, and a version as long as its steps together."""
    root = _root(samples.result((samples.version("march", 2, timings={"train": 2.5, "log": 1}),)))
    assert (root.get("time"), root[0].get("time")) == ("64.200", "3.500")


def test_any_message_is_well_formed() -> None:
    """Markup and control characters in a message still make XML."""
    error = _root(samples.result((), failure=samples.failure(message="<a>\x00\x1b & ]]>"))).find(".//error")
    assert error is not None
    assert error.get("message") == "<a> & ]]>"
