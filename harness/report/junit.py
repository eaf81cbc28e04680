"""The verdict as JUnit XML: a suite per version, a case per bound, an error if the job failed.

A comparison with another run is a separate suite, with a case per version and kind of value.
"""

from __future__ import annotations

from typing import Literal
from xml.etree import ElementTree as ET

from harness.parity.compare import Difference, Parity
from harness.report.parity_table import describe_agreement, make_difference_row, name_sides
from harness.results import Failure, Result, Verdict, VersionResult
from harness.views import formatting
from harness.views.bound_table import VERDICTS_WORST_FIRST, BoundRow, make_bound_rows
from harness.views.formatting import show_control_characters

_TOTALS = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


def render_junit(result: Result, parity: Parity | None = None) -> str:
    """Render the results for CI servers: a failed or unproven bound is a failure, a failed job an error."""
    suites = [_make_suite(version, result) for version in result.versions]
    if result.failure is not None:
        suites.append(_make_error_suite(result.failure, result))
    if result.reason:
        suites.append(_make_unjudged_suite(result))
    if parity is not None:
        suites.append(_make_parity_suite(parity, result))
    root = ET.Element(
        "testsuites", name=show_control_characters(result.scenario), time=_format_time(result.duration_s)
    )
    root.extend(suites)
    _add_totals(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _make_suite(version: VersionResult, result: Result) -> ET.Element:
    name = show_control_characters(f"{result.scenario}.{version.name}")
    suite = _make_empty_suite(name, result, sum(version.timings.values()))
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("step", formatting.describe_outcome(version)),
        ("commits", formatting.describe_commits(version)),
    ):
        if value:
            ET.SubElement(properties, "property", name=key, value=show_control_characters(value))
    suite.extend(_make_case(row, name) for row in make_bound_rows((version,)))
    _add_totals(suite)
    return suite


def _make_case(row: BoundRow, suite: str) -> ET.Element:
    sentences = () if row.verdict is Verdict.PASS else (row.sentence,)
    return _make_judged_case(suite, f"{row.metric} {row.bound}", row.verdict, sentences)


def _make_parity_suite(parity: Parity, result: Result) -> ET.Element:
    name = show_control_characters(f"{result.scenario}.parity")
    suite = _make_empty_suite(name, result, 0.0)
    if not parity.differences:
        title, sentences = "the run is compared with another", (describe_agreement(parity),)
        suite.append(_make_judged_case(name, title, parity.verdict, sentences, _choose_tag(parity)))
    compared: dict[str, list[Difference]] = {}
    for each in parity.differences:
        compared.setdefault(f"{each.version}: {_PLURALS[each.kind]}", []).append(each)
    suite.extend(_make_parity_case(name, which, values, parity) for which, values in compared.items())
    _add_totals(suite)
    return suite


_PLURALS = {
    "data": "data",
    "metric": "metrics",
    "coefficient": "coefficients",
    "explanation": "explanations",
}


def _make_parity_case(suite: str, which: str, values: list[Difference], parity: Parity) -> ET.Element:
    """Return the case of one kind of values at one version, with the verdict of the worst value."""
    values = sorted(values, key=lambda each: VERDICTS_WORST_FIRST.index(each.verdict))
    wrong = [make_difference_row(each) for each in values if each.verdict is not Verdict.PASS]
    sentences = tuple(row.sentence(name_sides(parity)) for row in wrong)
    return _make_judged_case(suite, f"{which} agree", values[0].verdict, sentences, _choose_tag(parity))


def _choose_tag(parity: Parity) -> Literal["failure", "skipped"]:
    """Return what a case with a difference is: not a failure if the run passes in spite of it."""
    return "failure" if parity.required else "skipped"


def _make_judged_case(
    suite: str,
    name: str,
    verdict: Verdict,
    sentences: tuple[str, ...],
    tag: Literal["failure", "skipped"] = "failure",
) -> ET.Element:
    """Return a case that fails or is skipped if there are sentences; the first one becomes its message."""
    case = ET.Element("testcase", classname=suite, name=show_control_characters(name), time="0")
    if sentences:
        failure = ET.SubElement(case, tag, type=verdict.value, message=show_control_characters(sentences[0]))
        failure.text = show_control_characters("\n".join(sentences))
    return case


def _make_unjudged_suite(result: Result) -> ET.Element:
    """Return a suite whose only case fails, because no bound was judged."""
    name = show_control_characters(f"{result.scenario}.run")
    suite = _make_empty_suite(name, result, 0.0)
    suite.append(_make_judged_case(name, "a bound is judged", result.verdict, (result.reason,)))
    _add_totals(suite)
    return suite


def _make_error_suite(failure: Failure, result: Result) -> ET.Element:
    name = show_control_characters(f"{result.scenario}.run")
    suite = _make_empty_suite(name, result, result.duration_s)
    case = ET.SubElement(suite, "testcase", classname=name, name="the run is completed", time="0")
    error = ET.SubElement(
        case,
        "error",
        type=show_control_characters(failure.kind),
        message=show_control_characters(failure.message),
    )
    error.text = show_control_characters("\n".join(filter(None, (failure.message, failure.remedy))))
    _add_totals(suite)
    return suite


def _make_empty_suite(name: str, result: Result, duration_s: float) -> ET.Element:
    started = result.started.isoformat(timespec="seconds")
    return ET.Element("testsuite", name=name, timestamp=started, time=_format_time(duration_s))


def _add_totals(suite: ET.Element) -> None:
    for total, tag in _TOTALS.items():
        suite.set(total, str(sum(1 for _ in suite.iter(tag))))


def _format_time(duration_s: float) -> str:
    return f"{duration_s:.3f}"
