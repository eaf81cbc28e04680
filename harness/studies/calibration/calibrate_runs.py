"""``harness calibrate``: runs of a scenario with several seeds, and bounds from the spread of values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.errors import UsageError
from harness.files import write_text
from harness.loading.loader import LoadedScenario
from harness.request import RunRequest, open_session
from harness.results import Result
from harness.runs import find_run
from harness.scenario.bound_spec import CHANGE_COMPARISONS, BoundSpec
from harness.scenario.expectations import Expect
from harness.scenario.model import Scenario
from harness.scenario.publish import Publish
from harness.studies.calibration.bound_offers import (
    CalibratedBound,
    Calibration,
    calibrate_bounds,
    count_passing,
)
from harness.studies.calibration.statistics import FEWEST
from harness.studies.study_runs import Runner
from harness.views.yaml_text import format_yaml

JSON, YAML = "calibration.json", "calibration.yaml"
"""Names of the files that a calibration writes into the folder of the last seed's run."""
MOST = 1000
"""Maximum number of repeats."""


@dataclass(frozen=True)
class CalibrationRun:
    """A calibration, the YAML to paste into the scenario file, and the folder with both."""

    calibration: Calibration
    proposal: str
    folder: Path


def calibrate(
    request: RunRequest,
    console: Console,
    *,
    repeats: int,
    false_alarms: float = 0.01,
    every_metric: bool = False,
    out: Path | None = None,
) -> CalibrationRun:
    """Run a scenario with its seed and the seeds that follow it, and propose bounds.

    Args:
        request: The scenario, or one combination of its matrix, and where it runs.
        console: Shows a line per run.
        repeats: Number of seeds; an earlier run with the same numbers is used.
        false_alarms: Rate of false alarms that each proposed bound may have.
        every_metric: Whether to include metrics that the scenario doesn't bound; always if it bounds none.
        out: Another file for all numbers, as JSON.

    Raises:
        HarnessError: There is no calibration; the exception has the reason.
    """
    _check_options(repeats, false_alarms)
    # Before the runs, not after hours of them.
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise UsageError(f"--json {out}: not a file in an existing folder.")
    session = open_session(request, console, takes_one=True)
    runner, loaded = Runner(session), session.single_combination
    runs = list(_run_seeds(runner, loaded, repeats))
    results = [result for result, _ in runs]
    baselines = runner.resolve(loaded).baselines
    bounds = calibrate_bounds(loaded.scenario, results, false_alarms, baselines, every_metric=every_metric)
    if not bounds:
        bounds = calibrate_bounds(loaded.scenario, results, false_alarms, baselines, every_metric=True)
    calibration = Calibration(
        scenario=loaded.scenario.name,
        seeds=tuple(loaded.scenario.seed + index for index in range(repeats)),
        run_ids=tuple(result.run_id for result in results),
        taken=sum(is_stored for _, is_stored in runs),
        false_alarms=false_alarms,
        passed=count_passing(loaded.scenario, results, baselines),
        bounds=bounds,
    )
    folder = find_run(session.settings.runs, results[-1].run_id).path
    proposal, text = render_proposal(calibration), calibration.model_dump_json(indent=2) + "\n"
    write_text(folder / YAML, proposal)
    for file in (folder / JSON, *([out] if out is not None else [])):
        write_text(file, text)
    return CalibrationRun(calibration, proposal, folder)


def set_seed(loaded: LoadedScenario, seed: int) -> LoadedScenario:
    """Return the scenario with another seed, which publishes and approves nothing."""
    scenario = _allow_other_seeds(loaded.scenario).model_copy(
        update={"seed": seed, "publish": Publish(when="never"), "approve": None}
    )
    return replace(loaded, scenario=scenario, parameters={**loaded.parameters, "seed": str(seed)})


def _allow_other_seeds(scenario: Scenario) -> Scenario:
    """Return the scenario with bounds that compare with other runs whatever their seed."""

    def allow(expect: Expect) -> Expect:
        values = expect.model_dump(by_alias=True, exclude_unset=True)
        return Expect.model_validate(_allow_seed(values))

    versions = tuple(each.model_copy(update={"expect": allow(each.expect)}) for each in scenario.versions)
    return scenario.model_copy(update={"every": allow(scenario.every), "versions": versions})


def _allow_seed(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {name: _allow_seed(each) for name, each in value.items()}
        is_baseline = isinstance(value.get("from"), str)
        return {**inner, "may_differ": [*value.get("may_differ", ()), "seed"]} if is_baseline else inner
    return [_allow_seed(each) for each in value] if isinstance(value, list | tuple) else value


def _check_options(repeats: int, false_alarms: float) -> None:
    if not FEWEST <= repeats <= MOST:
        raise UsageError(
            f"--repeats is {repeats}: use {FEWEST} to {MOST} runs.",
            remedy="More runs make the proposed bounds more precise; 10 are usually enough.",
        )
    if not (math.isfinite(false_alarms) and 0 < false_alarms < 1 / 2):
        raise UsageError(f"--false-alarms is {false_alarms:g}; use a rate between 0 and 0.5, such as 0.01.")


def _run_seeds(runner: Runner, loaded: LoadedScenario, repeats: int) -> Iterator[tuple[Result, bool]]:
    """Yield the result of each seed, and whether it is that of an earlier run."""
    for index in range(repeats):
        one = set_seed(loaded, loaded.scenario.seed + index)
        what = f"{index + 1} of {repeats}: seed {one.scenario.seed}"
        known = next(runner.find_known(one), None)
        if known is not None:
            runner.report(f"{what}: as in run {known.result.run_id}")
        yield (known.result, True) if known is not None else (runner.run(one, what), False)


def render_proposal(calibration: Calibration) -> str:
    """Return the YAML for ``expect`` of each version with a proposed bound; empty if there is none."""
    versions = [
        {"name": name, "expect": expect}
        for name in dict.fromkeys(each.version for each in calibration.bounds)
        if (expect := collect_expectations(each for each in calibration.bounds if each.version == name))
    ]
    if not versions:
        return ""
    runs = f"{len(calibration.seeds)} runs, seeds {calibration.seeds[0]} to {calibration.seeds[-1]}"
    rate = f"{100 * calibration.false_alarms:g} %"
    head = f"# harness calibrate: {runs}; each bound fails by chance in at most {rate}.\n"
    return head + format_yaml(_unwrap_lists_of_one({"versions": versions}))


def collect_expectations(bounds: Iterable[CalibratedBound]) -> dict[str, Any]:
    """Return the proposed bounds of one version, as the scenario file writes them."""
    expect: dict[str, Any] = {}
    for each in bounds:
        if each.proposed is not None:
            _add(expect, each.proposed.apply_to(each.spec))
    return expect


def _add(expect: dict[str, Any], spec: BoundSpec) -> None:
    """Add a bound at the location that the scenario file uses for it."""
    *parents, last = spec.location.keys
    for key in parents:
        expect = expect.setdefault(key, {})
    if spec.location.index is None:
        expect[last] = spec.to_mapping()
    else:
        _combine(expect.setdefault(last, []), spec.to_mapping())


def _combine(listed: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Add a part to the bounds on a number, as another bound if it fits into none of them."""
    for other in listed:
        if other.get("on") != part.get("on"):
            continue
        key = next(iter(part))
        if key not in other:
            other.update(part)
            return
        if key in ("change", "baseline") and _has_same_reference(other[key], part[key]):
            other[key].update(part[key])
            return
    listed.append(part)


def _has_same_reference(one: dict[str, Any], other: dict[str, Any]) -> bool:
    limits = {comparison.key for comparison in CHANGE_COMPARISONS}
    return {name: value for name, value in one.items() if name not in limits} == {
        name: value for name, value in other.items() if name not in limits
    }


def _unwrap_lists_of_one(values: Any) -> Any:
    """Replace lists of one bound by that bound; versions stay a list."""
    if isinstance(values, dict):
        return {
            name: value[0]
            if isinstance(value, list) and len(value) == 1 and name != "versions"
            else _unwrap_lists_of_one(value)
            for name, value in values.items()
        }
    return [_unwrap_lists_of_one(each) for each in values] if isinstance(values, list) else values
