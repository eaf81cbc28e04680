"""The report as JUnit XML."""

from xml.etree import ElementTree as ET

import pytest

from harness.parity.compare import Parity, report_not_compared
from harness.report.junit import render_junit
from harness.results import Result, Verdict
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples


def _root(result: Result) -> ET.Element:
    return ET.fromstring(render_junit(result))  # noqa: S314 - our own text


def _parity(parity: Parity) -> ET.Element:
    """Return the suite of the comparison with another run."""
    return ET.fromstring(render_junit(samples.cloud(), parity))[-1]  # noqa: S314 - our own text


def _render_one(verdict: Verdict) -> ET.Element:
    version = samples.version("march", 2, bounds=(samples.bound(verdict=verdict, reason="too few"),))
    return _root(samples.result((version,)))


def test_a_suite_per_version() -> None:
    """Each version is a suite, in order."""
    assert [suite.get("name") for suite in _root(samples.result())] == [
        "three_versions.january",
        "three_versions.february",
        "three_versions.march",
    ]


def test_a_case_per_bound() -> None:
    """Each bound is a case that is named as the bound is written."""
    cases = [case.get("name") for case in _root(samples.result())[1].iter("testcase")]
    assert cases[:3] == ["rows = 5786", "cv_roc_auc >= 0.6", "cv_roc_auc >= -0.1 since january"]


def test_totals_are_right() -> None:
    """The counts of a CI server are those of the report."""
    root = _render_one(Verdict.FAIL)
    assert [root.get(each) for each in ("tests", "failures", "errors")] == ["1", "1", "0"]


def test_a_bound_that_holds_has_no_failure() -> None:
    """A bound that holds is an empty case."""
    assert _render_one(Verdict.PASS).find(".//failure") is None


def test_an_unproven_bound_is_a_failure_of_its_own_type() -> None:
    """An unproven bound is a failed case, and can be distinguished from a failed bound."""
    failure = _render_one(Verdict.NOT_PROVEN).find(".//failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == (
        "not proven",
        "march: cv_roc_auc >= 0.6 is not proven: too few",
    )


def test_a_failed_run_is_an_error() -> None:
    """A failure of the job is one case with an error, its message and its remedy."""
    root = _root(samples.result((), failure=samples.failure()))
    error = root.find(".//error")
    assert error is not None
    assert (root.get("errors"), error.get("type")) == ("1", "JobError")
    assert "Set spark.driver.memory" in str(error.text)


def test_times_are_seconds() -> None:
    """The times are in seconds: the run's duration, and a version's steps together."""
    root = _root(samples.result((samples.version("march", 2, timings={"train": 2.5, "log": 1}),)))
    assert (root.get("time"), root[0].get("time")) == ("64.200", "3.500")


def test_any_message_is_well_formed() -> None:
    """A message with markup and control characters gives valid XML."""
    error = _root(samples.result((), failure=samples.failure(message="<a>\x00\x1b & ]]>"))).find(".//error")
    assert error is not None
    assert error.get("message") == r"<a>\x00\x1b & ]]>"


def test_a_run_that_agrees_has_a_case_per_kind_of_value() -> None:
    """Each version has four cases with the same names on every run, and none fails."""
    suite = _parity(compare_runs(samples.result(), samples.cloud()))
    expected = [f"january: {kind} agree" for kind in ("data", "metrics", "coefficients", "explanations")]
    assert ("three_versions.parity", expected, "12", "0") == (
        suite.get("name"),
        [case.get("name") for case in suite][:4],
        suite.get("tests"),
        suite.get("failures"),
    )


def test_a_run_that_disagrees_has_a_failed_case() -> None:
    """The failed case has both values of each difference and the tolerance."""
    metrics = {"cv_roc_auc": 0.5, "test_f1": 0.5}
    a = samples.result((samples.version("march", 2, rows=1, metrics=metrics),))
    b = samples.cloud((samples.version("march", 2, rows=2, metrics=metrics | {"test_f1": 0.6}),))
    failures = {case.get("name"): case.find("failure") for case in _parity(compare_runs(a, b))}
    texts = {name: failure.text for name, failure in failures.items() if failure is not None}
    assert {
        "march: data agree": ("march: data rows is 1 (embedded) and 2 (databricks); they must be identical"),
        "march: metrics agree": (
            "march: metric test_f1 is 0.5000 (embedded) and 0.6000 (databricks); "
            "they differ by 1.7e-01, and the tolerance is 1e-06"
        ),
    } == texts


def test_the_worst_value_decides_a_case() -> None:
    """A case fails if one metric differs and another is missing; the failed one comes first."""
    a = samples.result((samples.version("march", 2, metrics={"gone": 1.0, "off": 1.0}),))
    b = samples.cloud((samples.version("march", 2, metrics={"off": 2.0}),))
    failure = _parity(compare_runs(a, b)).find(".//failure")
    assert failure is not None
    assert ("fail", True, 2) == (
        failure.get("type"),
        str(failure.get("message")).startswith("march: metric off is"),
        len(str(failure.text).splitlines()),
    )


def test_what_only_one_run_has_is_not_proven() -> None:
    """A value that only one of the runs has is a failed case that says so."""
    suite = _parity(compare_runs(samples.result(), samples.cloud(samples.cloud().versions[:2])))
    failure = suite.find(".//failure")
    assert failure is not None
    assert (
        "1",
        "not proven",
        "march: data built is yes (embedded) and no (databricks); these values can't be compared",
    ) == (
        suite.get("failures"),
        failure.get("type"),
        failure.get("message"),
    )


def test_a_run_without_another_is_a_case_that_is_not_proven() -> None:
    """Without another run, the parity suite has one failed case with the reason."""
    report = render_junit(samples.cloud(), report_not_compared(samples.cloud(), "There is none."))
    root = ET.fromstring(report)  # noqa: S314
    failure = root.find(".//failure")
    assert failure is not None
    assert ("1", "not proven", "Nothing was compared. There is none.") == (
        root.get("failures"),
        failure.get("type"),
        failure.get("message"),
    )


@pytest.mark.parametrize(("verdict", "failures"), [(Verdict.FAIL, "0"), (Verdict.PASS, "1")])
def test_a_bound_that_must_fail_fails_if_it_holds(verdict: Verdict, failures: str) -> None:
    """A bound that must fail is a failed case if it holds."""
    version = samples.version("march", 2, bounds=(samples.bound(verdict=verdict, must_fail=True),))
    assert failures == _root(samples.result((version,))).get("failures")


def test_a_text_is_a_case() -> None:
    """A bound on a text is a case named by the expected text; its failure has the one found."""
    bound = samples.bound(
        "operation",
        Verdict.FAIL,
        kind="is",
        limit=None,
        measured=None,
        distance=None,
        expected="WRITE",
        found="MERGE",
    )
    case = _root(samples.result((samples.version("march", 2, bounds=(bound,)),))).find(".//testcase")
    assert case is not None
    assert ("operation = WRITE", "march: operation: found MERGE; expected WRITE") == (
        case.get("name"),
        case[0].get("message"),
    )


def test_a_suite_has_the_outcome_of_its_version() -> None:
    """A suite has the outcome of its version, even without any case."""
    versions = (
        samples.version("march", 2, bounds=()),
        samples.version("wrong", 3, status="built", error="DELTA_SOMETHING", commits=0),
    )
    outcomes = [
        {each.get("name"): each.get("value") for each in suite.iter("property")}
        for suite in _root(samples.result(versions))
    ]
    failed = {"step": "failed as expected with DELTA_SOMETHING", "commits": "0 commits"}
    assert [{"step": "trained"}, failed] == outcomes


def test_a_run_that_judged_no_bound_has_a_failed_case() -> None:
    """A CI server sees a failed test if no bound was judged, and none if the scenario only observes."""
    versions = (samples.version("march", 2),)
    [failure] = _root(samples.result(versions, verdict=Verdict.NOT_PROVEN, reason="no bound")).iter("failure")
    assert ("not proven", "no bound") == (failure.get("type"), failure.get("message"))
    assert _root(samples.result(versions, verdict=Verdict.OBSERVED)).find(".//failure") is None


def test_parity_that_is_not_required_never_fails() -> None:
    """A CI server shows the differences as skipped cases: the run passes in spite of them."""
    other = samples.result((samples.version("march", 2, rows=1),))
    for parity in (compare_runs(other, samples.cloud()), report_not_compared(samples.cloud(), "None.")):
        suite = _parity(parity.model_copy(update={"required": False}))
        assert suite.get("failures") == "0"
        assert int(suite.get("skipped") or 0) > 0
        skipped = suite.find(".//skipped")
        assert skipped is not None
        assert skipped.get("message")
