"""The exit code that follows from a run's verdict and its comparison."""

from __future__ import annotations

import pytest

from harness.errors import ExitCode, select_worst
from harness.parity.compare import Parity, combine_exit_codes, report_not_compared
from harness.results import Result, Verdict
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples

_AGREES = compare_runs(samples.result(), samples.cloud())
_DISAGREES = compare_runs(samples.result((samples.version("march", 2, rows=1),)), samples.cloud())
_DIFFERENT = _DISAGREES.model_copy(update={"required": False})
_NOT_COMPARED = report_not_compared(samples.cloud(), "There is none.")
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
        pytest.param(samples.cloud(), _DIFFERENT, ExitCode.PASS, id="pass, may disagree"),
        pytest.param(_FAILED, _DIFFERENT, ExitCode.BOUND_FAILED, id="fail, may disagree"),
        pytest.param(_FAILED, _AGREES, ExitCode.BOUND_FAILED, id="fail, agrees"),
        pytest.param(_FAILED, _NOT_COMPARED, ExitCode.BOUND_FAILED, id="fail, not compared"),
        pytest.param(_UNPROVEN, _AGREES, ExitCode.NOT_PROVEN, id="not proven, agrees"),
        pytest.param(_UNPROVEN, _DISAGREES, ExitCode.BOUND_FAILED, id="not proven, disagrees"),
        pytest.param(_BROKEN, _DISAGREES, ExitCode.JOB_FAILED, id="broke, disagrees"),
        pytest.param(_BROKEN, _NOT_COMPARED, ExitCode.JOB_FAILED, id="broke, not compared"),
    ],
)
def test_the_worse_exit_code_wins(result: Result, parity: Parity | None, expected: ExitCode) -> None:
    """The worse of the verdict's and the comparison's exit codes is the exit code."""
    assert expected is combine_exit_codes(result, parity)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 4), 4), ((4, 1), 1), ((1, 2), 2), ((3, 2), 3), ((3, 5), 5), ((130, 5), 130), ((0,), 0)],
    ids=str,
)
def test_the_worst_code_is_not_the_largest(codes: tuple[int, ...], expected: int) -> None:
    """A failed bound overrides "not proven", and an interruption overrides everything."""
    assert ExitCode(expected) is select_worst(*map(ExitCode, codes))
