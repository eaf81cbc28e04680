"""The local run that a cloud run is compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.files import file_lock
from harness.parity.compare import LOCAL_AGAINST_CLOUD, Parity, Tolerances
from harness.parity.counterpart import compare_with_local, find_local_run
from harness.plan import CustomCode, Plan
from harness.results import Result, Verdict
from harness.runs import PLAN, RESULT
from harness.settings import read_settings
from harness.targets.registry import TARGETS, is_local
from harness.workflow import compare_with_counterpart
from tests.unit import report_samples as samples

OLD = "20260301-101500-three_versions-0001"
NEW = "20260301-101600-three_versions-0002"
REMEDY = "'make validate NAME=three_versions' runs both."
ENVIRONMENT, SOURCE = samples.plan().environment, samples.plan().sources[samples.SOURCE]
_OTHER_CODE = {"boosted.py": "TREES = 3\n"}
GAPS = TARGETS["databricks"].gaps
LAKE = "abfss://lake@dls.dfs.core.windows.net"


def _plan(target: str, **changes: Any) -> Plan:
    return samples.plan(**({"environment": ENVIRONMENT.model_copy(update={"target": target})} | changes))


CLOUD = _plan("databricks", run_id="20260302-080000-three_versions-0b1c")


def _local(runs: Path, run_id: str, result: Result | None = None, **changes: Any) -> Result:
    """Write a finished local run, changed as a test needs it."""
    kept = (result or samples.result()).model_copy(update={"run_id": run_id})
    folder = runs / run_id
    folder.mkdir(parents=True)
    plan = _plan(changes.pop("target", "embedded"), run_id=run_id, **changes)
    (folder / PLAN).write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")
    (folder / RESULT).write_text(kept.model_dump_json(by_alias=True), encoding="utf-8")
    return kept


def _source(**changes: Any) -> Mapping[str, Any]:
    return {"sources": {samples.SOURCE: SOURCE.model_copy(update=changes)}}


def _compare(runs: Path, result: Result, tolerances: Tolerances = LOCAL_AGAINST_CLOUD) -> Parity:
    """Compare the cloud run with the newest local one."""
    return compare_with_local(runs, CLOUD, result, tolerances, gaps=GAPS, is_local=is_local, required=True)


def _find(runs: Path, plan: Plan = CLOUD) -> str | None:
    """Return the id of the run to compare with."""
    result = find_local_run(runs, plan, is_local).result
    return None if result is None else result.run_id


def test_the_newest_is_taken(tmp_path: Path) -> None:
    """Of two comparable runs, the newest is taken."""
    _local(tmp_path, NEW)
    _local(tmp_path, OLD)
    assert (NEW, "") == (_find(tmp_path), find_local_run(tmp_path, CLOUD, is_local).reason)


@pytest.mark.parametrize("target", ["embedded", "compose"])
def test_every_target_but_the_cloud_is_local(tmp_path: Path, target: str) -> None:
    """A run in Compose counts as local, like one in this process."""
    _local(tmp_path, OLD, target=target)
    assert OLD == _find(tmp_path)


def test_a_run_in_the_cloud_is_not_local(tmp_path: Path) -> None:
    """A newer run in the cloud with the same inputs is ignored, and not mentioned."""
    _local(tmp_path, OLD, target="databricks")
    expected = f"There is no local run of three_versions in {tmp_path}. {REMEDY}"
    assert (None, expected) == (_find(tmp_path), find_local_run(tmp_path, CLOUD, is_local).reason)


def test_a_verdict_does_not_matter(tmp_path: Path) -> None:
    """A run whose bounds failed has finished, and has numbers to compare with."""
    _local(tmp_path, OLD, samples.result(verdict=Verdict.FAIL))
    assert OLD == _find(tmp_path)


def test_the_location_of_a_copied_source_does_not_matter(tmp_path: Path) -> None:
    """Sources with the same digest are the same, wherever they are located."""
    _local(tmp_path, OLD, **_source(uri="/elsewhere/loans.csv"))
    assert OLD == _find(tmp_path)


DIFFERENT = [
    pytest.param({"harness_version": "0.1.0+aaa"}, "used another wheel: 0.1.0+aaa, not 0.1.0", id="wheel"),
    pytest.param(
        {"scenario_sha256": "b" * 64},
        "used another content of the scenario: bbbbbbbbbbbb, not 9c1f9c1f9c1f",
        id="scenario",
    ),
    pytest.param(
        {"code": _OTHER_CODE},
        f"used different Python code: {CustomCode(_OTHER_CODE).sha256[:12]}, not unknown",
        id="code",
    ),
    pytest.param(
        _source(sha256="c" * 64),
        f"used different rows from {samples.SOURCE}: cccccccccccc, not 41d041d041d0",
        id="rows",
    ),
    pytest.param(
        _source(sha256=None),
        f"used different rows from {samples.SOURCE}: unknown, not 41d041d041d0",
        id="folder",
    ),
    pytest.param(
        _source(format="json"), f"read {samples.SOURCE} differently: json, not csv", id="source's format"
    ),
    pytest.param(
        _source(options={"sep": ";"}),
        f"read {samples.SOURCE} differently: csv with sep=';', not csv",
        id="source's options",
    ),
    pytest.param(
        {"parameters": {"seed": "3"}}, "used different parameters: seed=3, not none", id="parameters"
    ),
    pytest.param(
        {"existing_table": f"{LAKE}/loans"},
        f"used another table: {LAKE}/loans, not one that it built",
        id="table",
    ),
]


@pytest.mark.parametrize(("changes", "reason"), DIFFERENT)
def test_a_run_with_other_inputs_is_not_compared_with(
    tmp_path: Path, changes: Mapping[str, Any], reason: str
) -> None:
    """A run with other inputs is not compared; the reason names it, the difference and the remedy."""
    _local(tmp_path, OLD, **changes)
    expected = f"The newest local run of three_versions, {OLD}, {reason}. {REMEDY}"
    assert (None, expected) == (_find(tmp_path), find_local_run(tmp_path, CLOUD, is_local).reason)


@pytest.mark.parametrize(("changes", "_reason"), DIFFERENT)
def test_an_older_run_with_the_same_inputs_is_taken(
    tmp_path: Path, changes: Mapping[str, Any], _reason: str
) -> None:
    """A newer run that isn't comparable doesn't hide an older one that is."""
    _local(tmp_path, OLD)
    _local(tmp_path, NEW, **changes)
    assert OLD == _find(tmp_path)


def test_every_difference_is_reported(tmp_path: Path) -> None:
    """Another wheel and another source are reported in one sentence."""
    _local(tmp_path, OLD, harness_version="0.1.0+aaa", **_source(format="json"))
    expected = f"another wheel: 0.1.0+aaa, not 0.1.0; it read {samples.SOURCE} differently: json, not csv."
    assert expected in find_local_run(tmp_path, CLOUD, is_local).reason


def test_the_newest_near_miss_is_named(tmp_path: Path) -> None:
    """Of two runs that aren't comparable, the reason is about the newest."""
    _local(tmp_path, OLD, harness_version="0.1.0+aaa")
    _local(tmp_path, NEW, scenario_sha256="b" * 64)
    reason = find_local_run(tmp_path, CLOUD, is_local).reason
    assert (True, False) == (NEW in reason, OLD in reason)


@pytest.mark.parametrize(
    ("uri", "expected"), [("abfss://lake@account/loans", OLD), ("abfss://lake@account/other", None)]
)
def test_a_folder_is_identified_by_its_location(tmp_path: Path, uri: str, expected: str | None) -> None:
    """A folder at the same location is assumed to be the same; fingerprints decide the rest."""
    _local(tmp_path, OLD, **_source(sha256=None, uri="abfss://lake@account/loans"))
    assert expected == _find(tmp_path, CLOUD.model_copy(update=_source(sha256=None, uri=uri)))


def test_a_copied_folder_is_identified_by_its_origin(tmp_path: Path) -> None:
    """The location on this machine counts, not that of the copy."""
    _local(tmp_path, OLD, **_source(sha256=None, uri="/data/loans"))
    copied = _source(sha256=None, uri="/Volumes/a/b/loans", copied_from="/data/loans")
    assert OLD == _find(tmp_path, CLOUD.model_copy(update=copied))


def test_every_source_is_compared(tmp_path: Path) -> None:
    """Every file of the scenario is compared, and one that differs is named by its path."""
    more = SOURCE.model_copy(update={"uri": "more.csv"})
    _local(tmp_path, OLD, sources={samples.SOURCE: SOURCE, "more.csv": more})
    assert OLD == _find(tmp_path, _plan("databricks", sources={samples.SOURCE: SOURCE, "more.csv": more}))
    changed = {samples.SOURCE: SOURCE, "more.csv": more.model_copy(update={"sha256": "c" * 64})}
    reason = find_local_run(tmp_path, _plan("databricks", sources=changed), is_local).reason
    assert f"{OLD}, used different rows from more.csv: 41d041d041d0, not cccccccccccc. {REMEDY}" in reason


def test_an_existing_table_is_the_same_on_both_targets(tmp_path: Path) -> None:
    """Runs that read the same versions of a table are compared; other versions are other parameters."""
    table: Mapping[str, Any] = {"existing_table": f"{LAKE}/loans"}
    parameters = {"table.uri": f"{LAKE}/loans", "table.versions": "v12"}
    _local(tmp_path, OLD, **table, parameters=parameters)
    assert OLD == _find(tmp_path, _plan("databricks", **table, parameters=parameters))
    other = _plan("databricks", **table, parameters={**parameters, "table.versions": "v13"})
    reason = find_local_run(tmp_path, other, is_local).reason
    assert "used different parameters: table.versions=v12, not table.versions=v13." in reason


def test_a_run_that_ended_early_is_not_compared_with(tmp_path: Path) -> None:
    """A run that ended early is incomplete, and the reason says so."""
    _local(tmp_path, OLD, samples.result((), failure=samples.failure()))
    expected = f"The newest local run of three_versions, {OLD}, ended early (JobError). {REMEDY}"
    assert expected == find_local_run(tmp_path, CLOUD, is_local).reason


@pytest.mark.parametrize("text", [None, "", "{}", '{"run_id": '], ids=["none", "empty", "another", "half"])
def test_a_run_without_a_result_is_not_compared_with(tmp_path: Path, text: str | None) -> None:
    """A run without a readable result, such as one that was killed, is not compared."""
    _local(tmp_path, OLD)
    file = tmp_path / OLD / RESULT
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")
    why = "was interrupted before it had a result" if text is None else "has no readable result"
    expected = f"The newest local run of three_versions, {OLD}, {why}. {REMEDY}"
    assert expected == find_local_run(tmp_path, CLOUD, is_local).reason


def test_a_running_run_is_not_compared_with(tmp_path: Path) -> None:
    """A run in progress is not compared, and the reason is that it is still running."""
    _local(tmp_path, OLD)
    (tmp_path / OLD / RESULT).unlink()
    with file_lock(tmp_path / OLD / PLAN):
        assert f"{OLD}, is still running." in find_local_run(tmp_path, CLOUD, is_local).reason


@pytest.mark.parametrize("text", [None, "", "{}", '{"color": "red"}'], ids=["none", "empty", "bare", "other"])
def test_a_plan_of_another_version_is_ignored(tmp_path: Path, text: str | None) -> None:
    """A plan written by an older harness is not an error, and isn't mentioned."""
    _local(tmp_path, OLD)
    _local(tmp_path, NEW)
    file = tmp_path / NEW / PLAN
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")
    assert OLD == _find(tmp_path)


def test_another_scenario_is_not_mentioned(tmp_path: Path) -> None:
    """Runs of other scenarios are ignored."""
    _local(tmp_path, NEW, scenario=samples.scenario(name="spam"), scenario_sha256="b" * 64)
    assert (
        f"There is no local run of three_versions in {tmp_path}."
        in find_local_run(tmp_path, CLOUD, is_local).reason
    )


def test_a_missing_folder_of_runs_is_not_an_error(tmp_path: Path) -> None:
    """If nothing has run on this machine yet, there is no local run to compare with."""
    assert "There is no local run" in find_local_run(tmp_path / "runs", CLOUD, is_local).reason


def test_a_scenario_elsewhere_is_named_by_its_file(tmp_path: Path) -> None:
    """The remedy's command can be copied: it has the scenario's file if the name is not enough."""
    plan = CLOUD.model_copy(update={"scenario_file": "mine/loans.yaml"})
    assert "'make validate NAME=mine/loans.yaml'" in find_local_run(tmp_path, plan, is_local).reason


def test_the_run_in_the_cloud_is_the_second(tmp_path: Path) -> None:
    """A cloud run is the second one of its comparison with a local run."""
    _local(tmp_path, OLD)
    parity = _compare(tmp_path, samples.cloud())
    assert (OLD, CLOUD.run_id, Verdict.PASS, LOCAL_AGAINST_CLOUD) == (
        parity.run_a,
        parity.run_b,
        parity.verdict,
        parity.tolerances,
    )


def test_tolerances_can_be_given(tmp_path: Path) -> None:
    """Explicit tolerances replace the usual ones."""
    _local(tmp_path, OLD)
    asked = Tolerances.same_for_all(0.5)
    assert asked == _compare(tmp_path, samples.cloud(), asked).tolerances


def test_without_a_local_run_nothing_is_proven(tmp_path: Path) -> None:
    """Without a local run, nothing is proven, and the comparison has the reason."""
    parity = _compare(tmp_path, samples.cloud())
    expected = (Verdict.NOT_PROVEN, find_local_run(tmp_path, CLOUD, is_local).reason)
    assert expected == (parity.verdict, parity.reason)


def test_a_data_bug_on_one_side_is_found(tmp_path: Path) -> None:
    """A fingerprint that differs at one version makes the runs disagree at that version."""
    whole = samples.result().versions
    changed = whole[1].model_copy(update={"fingerprint": "0" * 32})
    _local(tmp_path, OLD)
    parity = _compare(tmp_path, samples.cloud((whole[0], changed, whole[2])))
    wrong = [(each.version, each.name) for each in parity.differences if each.verdict is not Verdict.PASS]
    assert (Verdict.FAIL, [("february", "fingerprint")]) == (parity.verdict, wrong)


def test_a_run_that_validate_asked_for_must_agree_with_whoever_follows_it(tmp_path: Path) -> None:
    """'attach' follows it with settings of its own; the plan knows what was asked for."""
    settings = read_settings(folder=tmp_path, environ={"HARNESS_HOME": str(tmp_path)})
    for own, asked, required in (
        (settings, settings, False),
        (settings, settings.requiring_parity(), True),
        (settings.requiring_parity(), settings, True),
    ):
        plan = CLOUD.model_copy(update={"settings": tuple(asked)})
        parity = compare_with_counterpart(plan, samples.cloud(), own)
        assert parity is not None
        assert parity.required is required
