"""The command's own verdict on a result, compared with the job's."""

from pathlib import Path

import pytest

from harness.errors import ExitCode, JobError
from harness.results import Result, Verdict
from harness.runs import RunFolder
from harness.workflow import confirm_verdict, write_confirmed_result
from tests.unit import report_samples as samples


def _change_bound(**changes: object) -> Result:
    """Return a result in which the first bound of the second version has changed."""
    first, second, *others = samples.result().versions
    bound, *bounds = second.bounds
    changed = second.model_copy(update={"bounds": (bound.model_copy(update=changes), *bounds)})
    return samples.result().model_copy(update={"versions": (first, changed, *others)})


def test_a_verdict_that_the_numbers_lead_to_is_confirmed() -> None:
    """A result whose bounds and verdict follow from its numbers is accepted."""
    confirm_verdict(samples.plan(), samples.result())


def test_another_outcome_of_one_bound_is_reported() -> None:
    """The first bound that differs is reported with both outcomes, even if the run's verdict is the same."""
    bound = samples.result().versions[1].bounds[0]
    wrong = _change_bound(distance=99.0)
    with pytest.raises(JobError) as caught:
        confirm_verdict(samples.plan(), wrong)
    assert (
        f"The bound '{bound.spec.full_name}': the job found 'pass' with a distance of 99.0, but its "
        f"numbers lead to 'pass' with a distance of {bound.distance}."
    ) == caught.value.message
    assert "Check that the job and this command are the same version of the harness." == caught.value.remedy


def test_a_verdict_that_is_not_confirmed_is_not_stored(tmp_path: Path) -> None:
    """A result whose verdict doesn't follow from its numbers is stored as a failure, not as a pass."""
    folder = RunFolder.create(tmp_path, "20260301-101500-three_versions-7f3a")
    with pytest.raises(JobError) as caught:
        write_confirmed_result(samples.plan(), _change_bound(distance=99.0), folder)
    stored = folder.read_result()
    assert stored.failure is not None
    assert (Verdict.NOT_PROVEN, ExitCode.JOB_FAILED, caught.value.message) == (
        stored.verdict,
        stored.exit_code,
        stored.failure.message,
    )
    write_confirmed_result(samples.plan(), samples.result(), folder)
    assert samples.result() == folder.read_result()


def test_a_bound_that_the_job_did_not_judge_is_reported() -> None:
    """A bound of the scenario that is missing from the result is reported by its name."""
    *others, last = samples.result().versions
    missing = last.bounds[-1].spec.full_name
    result = samples.result().model_copy(
        update={"versions": (*others, last.model_copy(update={"bounds": last.bounds[:-1]}))}
    )
    with pytest.raises(JobError, match=f"The bound '{missing}': the job didn't judge it"):
        confirm_verdict(samples.plan(), result)


def test_another_verdict_is_reported() -> None:
    """If all bounds agree and only the run's verdict differs, both verdicts are reported."""
    wrong = samples.result().model_copy(update={"verdict": Verdict.NOT_PROVEN})
    with pytest.raises(JobError, match="The job's verdict is 'not proven', but its numbers lead to 'pass'"):
        confirm_verdict(samples.plan(), wrong)


def test_a_bound_that_the_scenario_lacks_is_reported() -> None:
    """A bound that the job judged, but that the scenario doesn't have, is reported by its name."""
    *others, last = samples.result().versions
    extra = samples.bound("test_f1", version=last.name)
    result = samples.result().model_copy(
        update={"versions": (*others, last.model_copy(update={"bounds": (*last.bounds, extra)}))}
    )
    with pytest.raises(JobError, match=f"The bound '{extra.spec.full_name}': the job judged it, but"):
        confirm_verdict(samples.plan(), result)


def test_a_bound_that_the_job_proved_without_a_distance_is_reported() -> None:
    """An outcome without a distance is described only by its verdict."""
    with pytest.raises(JobError, match="the job found 'pass', but its numbers lead to 'pass' with"):
        confirm_verdict(samples.plan(), _change_bound(distance=None))
