"""The comparison of two runs as rows and sentences."""

import pytest

from harness.parity.compare import Difference, report_not_compared
from harness.report.parity_table import make_difference_row, make_difference_rows, name_sides
from harness.results import Verdict
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples

FIRST = ", ".join(f"column_{at} double" for at in range(9))


def _data(a: str, b: str) -> Difference:
    return Difference(version="march", kind="data", name="schema", a=a, b=b, verdict=Verdict.FAIL)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param("id int", "id date", ("id int", "id date"), id="short"),
        pytest.param("5" * 32, "6" * 32, ("5" * 24 + "…", "6" * 24 + "…"), id="no list"),
        pytest.param(f"{FIRST}, dti int", f"{FIRST}, dti date", ("…dti int", "…dti date"), id="last item"),
        pytest.param(FIRST, f"{FIRST}, dti int", ("…column_8 double", "…dti int"), id="one more"),
        pytest.param(
            f"id int, {FIRST}",
            f"id date, {FIRST}",
            ("id int, column_0 double,…", "id date, column_0 double…"),
            id="first item",
        ),
    ],
)
def test_a_long_text_is_shown_from_where_it_differs(a: str, b: str, expected: tuple[str, str]) -> None:
    """A long text is shown from the first list item in which it differs."""
    row = make_difference_row(_data(a, b))
    assert expected == (row.a, row.b)


def test_the_largest_difference_comes_first() -> None:
    """Failed differences come before missing values, and larger ones relative to the tolerance first."""
    a = {"near": 1.0, "far": 1.0, "gone": 1.0, "off": 1.0, "same": 1.0}
    b = {"near": 1 + 1e-8, "far": 1 + 1e-7, "off": 2.0, "same": 1.0, "more": 9.0} | {"further": 1.0}
    runs = (
        samples.result((samples.version("march", 2, metrics=a | {"further": 5.0}),)),
        samples.cloud((samples.version("march", 2, metrics=b),)),
    )
    names = [row.name for row in make_difference_rows(compare_runs(*runs))]
    assert ["further", "off", "gone", "more", "far", "near"] == names


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(("embedded", "databricks"), ("embedded", "databricks")), (("compose", "compose"), ("a", "b"))],
    ids=["two targets", "one target"],
)
def test_the_two_runs_are_named(targets: tuple[str, str], expected: tuple[str, str]) -> None:
    """Two runs are named by their targets, or by letters if these are the same."""
    one, other = (samples.result(target=target) for target in targets)
    a, b = name_sides(compare_runs(one, other))
    assert expected == (a.name, b.name)


def test_no_run_has_no_name() -> None:
    """The side without a run is shown as absent."""
    a, b = name_sides(report_not_compared(samples.cloud(), "None."))
    assert ("absent", None, "databricks") == (a.name, a.run, b.name)


def test_differences_are_ranked_by_their_tolerance() -> None:
    """Differences are ranked relative to their tolerance, after data that must be identical."""
    versions = (
        {"explanations": {"wide": samples.explanation(1.0)}, "metrics": {"narrow": 1.0}},
        {"explanations": {"wide": samples.explanation(1 - 1e-5)}, "metrics": {"narrow": 1 - 5e-7}},
    )
    a, b = (samples.version("march", 2, **changes) for changes in versions)
    parity = compare_runs(samples.result((a,)), samples.cloud((b,)))
    assert ["narrow", "wide"] == [row.name for row in make_difference_rows(parity)]


def test_different_data_come_before_different_numbers() -> None:
    """A different fingerprint of a later version comes before a metric of an earlier one."""
    a = samples.result((samples.version("january", 0, metrics={"m": 1.0}), samples.version("march", 2)))
    b = samples.cloud(
        (samples.version("january", 0, metrics={"m": 2.0}), samples.version("march", 2, fingerprint="0" * 32))
    )
    assert ["fingerprint", "m"] == [row.name for row in make_difference_rows(compare_runs(a, b))]
