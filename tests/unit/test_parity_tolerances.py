"""How much two numbers may differ, by their kind and by the targets."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from harness.parity.compare import FLOOR, LOCAL_AGAINST_CLOUD, TOLERANCE, Difference, Tolerances
from harness.results import MeasuredValue, Verdict
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples
from tests.unit.parity_samples import EMPTY, difference_of, run_of

VALUE = 0.65


def _metric(a: MeasuredValue, b: MeasuredValue, tolerance: float = TOLERANCE) -> Difference:
    """Return the comparison of one metric between two runs."""
    tolerances = Tolerances.same_for_all(tolerance)
    return difference_of(compare_runs(run_of(metrics={"m": a}), run_of(metrics={"m": b}), tolerances), "m")


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        pytest.param(VALUE, VALUE * (1 - 0.99e-6), Verdict.PASS, id="just inside"),
        pytest.param(VALUE, VALUE * (1 - 1.01e-6), Verdict.FAIL, id="just outside"),
        pytest.param(-VALUE, -VALUE * (1 - 0.99e-6), Verdict.PASS, id="negative inside"),
        pytest.param(-VALUE, -VALUE * (1 - 1.01e-6), Verdict.FAIL, id="negative outside"),
        pytest.param(VALUE, -VALUE, Verdict.FAIL, id="another sign"),
        pytest.param(1e12, 1e12 - 0.99e6, Verdict.PASS, id="large inside"),
        pytest.param(1e12, 1e12 - 1.01e6, Verdict.FAIL, id="large outside"),
        pytest.param(0.0, -0.0, Verdict.PASS, id="both zero"),
        pytest.param(0.0, FLOOR, Verdict.PASS, id="on the floor"),
        pytest.param(0.0, 1.01 * FLOOR, Verdict.FAIL, id="above the floor"),
        pytest.param(0.4 * FLOOR, -0.4 * FLOOR, Verdict.PASS, id="around zero"),
        pytest.param(0.6 * FLOOR, -0.6 * FLOOR, Verdict.FAIL, id="too far around zero"),
        pytest.param(None, None, Verdict.PASS, id="both not measured"),
        pytest.param(None, 0.0, Verdict.NOT_PROVEN, id="one not measured"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True], ids=["a b", "b a"])
def test_two_numbers_agree_within_the_tolerance(
    a: MeasuredValue, b: MeasuredValue, verdict: Verdict, swapped: bool
) -> None:
    """The tolerance is relative to the larger number, with a floor, whichever run comes first."""
    assert verdict is (_metric(b, a) if swapped else _metric(a, b)).verdict


@pytest.mark.parametrize(
    ("tolerance", "verdict"),
    [(0.0, Verdict.FAIL), (0.0099, Verdict.FAIL), (0.0101, Verdict.PASS)],
    ids=["none", "too small", "large enough"],
)
def test_a_given_tolerance_is_used(tolerance: float, verdict: Verdict) -> None:
    """A tolerance that is given is used, and reported with the number."""
    difference = _metric(1.0, 0.99, tolerance)
    assert (verdict, tolerance) == (difference.verdict, difference.tolerance)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (2.0, 1.0, 0.5),
        (1.0, 2.0, 0.5),
        (1.0, -1.0, 2.0),
        (0.0, 1e-12, 1.0),
        (0.0, 0.0, 0.0),
        (None, 1.0, None),
        (None, None, None),
    ],
)
def test_the_difference_is_relative_to_the_larger(
    a: MeasuredValue, b: MeasuredValue, expected: MeasuredValue
) -> None:
    """The difference is at most 2, and missing if a number is."""
    assert expected == _metric(a, b).difference


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=["nan", "infinity"])
def test_nan_and_infinity_are_never_compared(value: float) -> None:
    """A result can't have NaN or infinity, so no comparison can pass because of them."""
    with pytest.raises(ValidationError, match="finite"):
        run_of(metrics={"m": value})


@pytest.mark.parametrize(
    ("kind", "name"),
    [("metrics", "m"), ("coefficients", "dti"), ("explanations", "dti")],
)
def test_each_kind_has_its_own_tolerance(kind: str, name: str) -> None:
    """A number is compared by the tolerance of its own kind."""
    a, b = (
        run_of(
            metrics={"m": value},
            coefficients={"dti": {"raw": 1.0, "per_sd": value}},
            explanations={"dti": samples.explanation(value)},
        )
        for value in (1.0, 0.99)
    )
    parity = compare_runs(a, b, Tolerances(**{kind: 0.02}))
    numbers = [each for each in parity.differences if each.kind != "data" and each.name != "intercept"]
    passed = [f"{each.kind}s" for each in numbers if each.verdict is Verdict.PASS]
    assert ([kind], 3, True) == (passed, len(numbers), name in {each.name for each in numbers})


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (("embedded", "databricks"), LOCAL_AGAINST_CLOUD),
        (("databricks", "compose"), LOCAL_AGAINST_CLOUD),
        (("embedded", "compose"), Tolerances()),
        (("databricks", "databricks"), Tolerances()),
    ],
    ids=["to cloud", "from cloud", "local", "cloud alone"],
)
def test_the_targets_decide_the_tolerances(targets: tuple[str, str], expected: Tolerances) -> None:
    """If none are given, the targets decide the tolerances, which the comparison reports."""
    a, b = (samples.result(target=target) for target in targets)
    assert expected == compare_runs(a, b).tolerances


@pytest.mark.parametrize(("apart", "verdict"), [(0.99e-4, Verdict.PASS), (1.01e-4, Verdict.FAIL)])
@pytest.mark.parametrize("kind", ["coefficients", "explanations"])
def test_the_cloud_may_differ_by_one_in_ten_thousand(kind: str, apart: float, verdict: Verdict) -> None:
    """Coefficients and explanations of a run in the cloud have a tolerance of 1e-4."""
    versions = []
    for value in (0.5, 0.5 * (1 - apart)):
        of_kind = {"coefficients": {"raw": 1.0, "per_sd": value}, "explanations": samples.explanation(value)}
        versions.append(samples.version("march", 2, **(EMPTY | {kind: {"dti": of_kind[kind]}})))
    parity = compare_runs(samples.result((versions[0],)), samples.cloud((versions[1],)))
    assert verdict is parity.verdict


@pytest.mark.parametrize(("apart", "verdict"), [(0.99e-6, Verdict.PASS), (1.01e-6, Verdict.FAIL)])
def test_metrics_of_the_cloud_have_the_local_tolerance(apart: float, verdict: Verdict) -> None:
    """Metrics must be as exact in the cloud as between local runs."""
    a, b = (run_of(metrics={"m": value}) for value in (VALUE, VALUE * (1 - apart)))
    assert verdict is compare_runs(a, b.model_copy(update={"target": "databricks"})).verdict


@pytest.mark.parametrize("tolerance", [-1e-6, math.nan, math.inf])
def test_a_tolerance_is_a_finite_number(tolerance: float) -> None:
    """A tolerance of NaN or infinity is rejected, because everything would pass."""
    with pytest.raises(ValidationError):
        Tolerances(metrics=tolerance)
