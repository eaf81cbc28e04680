import math
from typing import Any

import pytest
from pydantic import ValidationError

from harness.results import Measured, Result, Verdict
from harness.verdict.parity import FLOOR, TOLERANCE, Difference, Parity, compare
from tests.unit import report_samples as samples

VALUE = 0.65
FINGERPRINT, SCHEMA = "5" * 32, "id int, dti int"
_EMPTY: dict[str, Any] = {
    "metrics": {},
    "coefficients": {},
    "explanations": {},
    "intercept": None,
    "fingerprint": FINGERPRINT,
}


def _run(**changes: Any) -> Result:
    """A run of one version with next to nothing in it but what is compared."""
    return samples.result((samples.version("march", 2, **(_EMPTY | changes)),))


def _metric(a: Measured, b: Measured, tolerance: float = TOLERANCE) -> Difference:
    """What is found of one metric in two runs."""
    return _found(compare(_run(metrics={"m": a}), _run(metrics={"m": b}), tolerance), "m")


def _found(parity: Parity, name: str) -> Difference:
    (found,) = (each for each in parity.differences if each.name == name)
    return found


def test_a_run_agrees_with_itself() -> None:
    """Every value of every version is compared, and none differs."""
    parity = compare(samples.result(), samples.result())
    assert (Verdict.PASS, {Verdict.PASS}, {None, 0.0}) == (
        parity.verdict,
        {each.verdict for each in parity.differences},
        {each.difference for each in parity.differences},
    )


def test_everything_is_compared() -> None:
    """Data, metrics, intercept, coefficients and explanations of each version, each once."""
    version = samples.version("march", 2)
    expected = [
        *(("data", name) for name in ("version", "rows", "fingerprint", "schema")),
        *(("metric", name) for name in version.metrics),
        *(("coefficient", name) for name in ("intercept", *version.coefficients)),
        *(("explanation", name) for name in version.explanations),
    ]
    parity = compare(samples.result((version,)), samples.result((version,)))
    assert expected == [(each.kind, each.name) for each in parity.differences]


def test_the_runs_are_named() -> None:
    """Which run is a and which is b can be told from the answer."""
    parity = compare(samples.result(run_id="one"), samples.result(run_id="other"))
    assert (parity.run_a, parity.run_b) == ("one", "other")


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
    a: Measured, b: Measured, verdict: Verdict, swapped: bool
) -> None:
    """Relative to the larger one, or below the floor, whichever run comes first."""
    assert verdict is (_metric(b, a) if swapped else _metric(a, b)).verdict


@pytest.mark.parametrize(
    ("tolerance", "verdict"),
    [(0.0, Verdict.FAIL), (0.0099, Verdict.FAIL), (0.0101, Verdict.PASS)],
    ids=["none", "too small", "large enough"],
)
def test_another_tolerance_counts(tolerance: float, verdict: Verdict) -> None:
    """The tolerance that is asked for is used, and told with the number."""
    found = _metric(1.0, 0.99, tolerance)
    assert (verdict, tolerance) == (found.verdict, found.tolerance)


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
def test_the_difference_is_relative_to_the_larger(a: Measured, b: Measured, expected: Measured) -> None:
    """Twice at most, and none where there is nothing to be compared."""
    assert expected == _metric(a, b).difference


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=["nan", "infinity"])
def test_what_is_no_number_never_gets_into_a_comparison(value: float) -> None:
    """A result can't hold NaN or infinity, so that no comparison can pass with them."""
    with pytest.raises(ValidationError, match="finite"):
        _run(metrics={"m": value})


@pytest.mark.parametrize("kind", ["metrics", "coefficients", "explanations"])
@pytest.mark.parametrize("swapped", [False, True], ids=["b lacks", "a lacks"])
def test_what_only_one_run_has_is_not_proven(kind: str, swapped: bool) -> None:
    """A feature or a metric that one run lacks is no agreement, and no disagreement."""
    values = {
        "metrics": {"dti": 0.5},
        "coefficients": {"dti": {"raw": 1.0, "per_sd": 0.5}},
        "explanations": {"dti": samples.explanation(0.5)},
    }
    runs = (_run(**{kind: values[kind]}), _run())
    parity = compare(*(reversed(runs) if swapped else runs))
    found = _found(parity, "dti")
    expected = (Verdict.NOT_PROVEN, Verdict.NOT_PROVEN, {None, 0.5})
    assert expected == (parity.verdict, found.verdict, {found.a, found.b})


def test_what_only_one_run_could_not_measure_is_not_proven() -> None:
    """A metric without a value in one run is not the same as one that the other does not know."""
    assert Verdict.NOT_PROVEN is _found(compare(_run(metrics={"m": None}), _run()), "m").verdict


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        pytest.param("rows", {"rows": 8422}, ("8421", "8422"), id="rows"),
        pytest.param("version", {"version": 3}, ("2", "3"), id="version"),
        pytest.param("fingerprint", {"fingerprint": "6" * 32}, (FINGERPRINT, "6" * 32), id="fingerprint"),
        pytest.param("schema", {"schema": {"dti": "int"}}, (SCHEMA, "dti int"), id="column gone"),
        pytest.param(
            "schema", {"schema": {"dti": "int", "id": "int"}}, (SCHEMA, "dti int, id int"), id="order"
        ),
        pytest.param(
            "schema", {"schema": {"id": "int", "dti": "date"}}, (SCHEMA, "id int, dti date"), id="type"
        ),
    ],
)
def test_data_are_the_very_same_or_not(name: str, changes: dict[str, Any], expected: tuple[str, str]) -> None:
    """No tolerance makes up for other data, and both runs' are told."""
    schema = {"schema": {"id": "int", "dti": "int"}}
    parity = compare(_run(**schema), _run(**(schema | changes)), tolerance=1.0)
    found = _found(parity, name)
    assert (Verdict.FAIL, Verdict.FAIL, expected, 0.0) == (
        parity.verdict,
        found.verdict,
        (found.a, found.b),
        found.tolerance,
    )


def test_raw_coefficients_do_not_count() -> None:
    """Coefficients are compared per standard deviation, as features differ in scale."""
    a, b = (_run(coefficients={"dti": {"raw": raw, "per_sd": 0.5}}) for raw in (1.0, 2.0))
    assert Verdict.PASS is compare(a, b).verdict


@pytest.mark.parametrize("swapped", [False, True], ids=["b lacks", "a lacks"])
def test_a_version_that_one_run_lacks_is_not_proven(swapped: bool) -> None:
    """It is one line, and the versions that both runs have are compared all the same."""
    whole = samples.result()
    runs = (whole, samples.result(whole.versions[:2]))
    parity = compare(*(reversed(runs) if swapped else runs))
    (missing,) = (each for each in parity.differences if each.version == "march")
    expected = (Verdict.NOT_PROVEN, "built", ("no", "yes") if swapped else ("yes", "no"))
    assert (expected, {"january", "february", "march"}) == (
        (parity.verdict, missing.name, (missing.a, missing.b)),
        {each.version for each in parity.differences},
    )


def test_runs_of_nothing_are_not_proven() -> None:
    """Two runs that broke before the first version do not agree."""
    assert Verdict.NOT_PROVEN is compare(samples.result(()), samples.result(())).verdict


def test_a_disagreement_outdoes_what_is_missing() -> None:
    """Where one value differs and another is missing, the runs differ."""
    a, b = _run(metrics={"one": 1.0, "two": 1.0}), _run(metrics={"one": 2.0})
    assert Verdict.FAIL is compare(a, b).verdict
