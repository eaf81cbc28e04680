"""The verdict as JUnit XML: a suite per version, a case per bound, an error where the job broke."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.report.rows import BoundRow, bound_rows
from harness.report.words import printable
from harness.results import Failure, Result, Verdict, VersionResult


def render_junit(result: Result) -> str:
    """What CI servers read: a failed or unproven bound is a failure, the job's own failure an error."""
    suites = [_suite(version, result) for version in result.versions]
    if result.failure is not None:
        suites.append(_broken_suite(result.failure, result))
    root = ET.Element("testsuites", name=printable(result.scenario), time=_time(result.duration_s))
    root.extend(suites)
    _add_totals(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(version: VersionResult, result: Result) -> ET.Element:
    name = printable(f"{result.scenario}.{version.name}")
    suite = ET.Element("testsuite", name=name, timestamp=result.started.isoformat(timespec="seconds"))
    suite.set("time", _time(sum(version.timings.values())))
    suite.extend(_case(row, name) for row in bound_rows((version,)))
    _add_totals(suite)
    return suite


def _case(row: BoundRow, suite: str) -> ET.Element:
    case = ET.Element("testcase", classname=suite, name=printable(f"{row.metric} {row.bound}"), time="0")
    if row.verdict is not Verdict.PASS:
        sentence = printable(row.sentence)
        ET.SubElement(case, "failure", type=row.verdict.value, message=sentence).text = sentence
    return case


def _broken_suite(failure: Failure, result: Result) -> ET.Element:
    name = printable(f"{result.scenario}.run")
    suite = ET.Element("testsuite", name=name, timestamp=result.started.isoformat(timespec="seconds"))
    suite.set("time", _time(result.duration_s))
    case = ET.SubElement(suite, "testcase", classname=name, name="the run is completed", time="0")
    error = ET.SubElement(case, "error", type=printable(failure.kind), message=printable(failure.message))
    error.text = printable("\n".join(filter(None, (failure.message, failure.remedy))))
    _add_totals(suite)
    return suite


def _add_totals(suite: ET.Element) -> None:
    for total, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        suite.set(total, str(sum(1 for _ in suite.iter(tag))))


def _time(duration_s: float) -> str:
    return f"{duration_s:.3f}"
