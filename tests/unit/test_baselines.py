"""Baselines: the numbers of other runs that bounds compare with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.bounds.baselines import Baselines, read_baselines
from harness.cli import app
from harness.errors import ExitCode, Location, ScenarioError
from harness.files import file_lock
from harness.resolve import resolve_plan
from harness.results import Result, Verdict
from harness.runs import PLAN, RunFolder
from harness.scenario.model import Scenario
from harness.settings import read_settings
from harness.targets.base import open_target
from tests.unit import report_samples, studies_samples
from tests.unit.bounds_samples import scenario

RUN = "20260301-101500-three_versions-7f3a"
FROM: Location = ("versions", 0, "expect", "metrics", "test_roc_auc", 0, "baseline", "from")


@pytest.fixture(name="runs")
def _runs(tmp_path: Path) -> Path:
    """Return a folder with one run of three versions."""
    folder = tmp_path / "runs"
    _write(folder / RUN / "result.json", _result(run_id=RUN))
    return folder


def _result(of: Scenario | None = None, **changes: Any) -> Result:
    """Return the result of a passing run of the tests' scenario, or of another one."""
    run_of = scenario([{"name": "march"}]) if of is None else of
    inputs = report_samples.plan(scenario=run_of).inputs
    return report_samples.result(**{"scenario": run_of.name, "inputs": inputs, **changes})


def _write(file: Path, result: Result) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(result.to_json(), encoding="utf-8")


def _expecting(metric: str = "test_roc_auc", version: str = "march", **baseline: Any) -> Scenario:
    bound = {"baseline": {"from": RUN, "min": -0.1, **baseline}}
    return scenario([{"name": version, "expect": {"metrics": {metric: bound}}}])


def _numbers(expected: Scenario, folder: Path, runs: Path) -> dict[str, Any]:
    return read_baselines(expected, folder, runs).numbers


def _problems(expected: Scenario, tmp_path: Path, runs: Path) -> list[tuple[str, Location]]:
    with pytest.raises(ScenarioError) as caught:
        read_baselines(expected, tmp_path, runs)
    return [(problem.message, problem.location) for problem in caught.value.problems]


def test_a_run_is_found_by_its_id(tmp_path: Path, runs: Path) -> None:
    """A baseline that is a run's id has the bounded metric and the positives that it depends on."""
    expected = {RUN: {"march": {"test_roc_auc": 0.7221, "test_rows": 3368.0, "test_positives": 60.0}}}
    assert expected == _numbers(_expecting(), tmp_path, runs)


@pytest.mark.parametrize("path", ["good/result.json", "./good/result.json", "good/best.json"])
def test_a_result_is_found_beside_the_scenario(path: str, tmp_path: Path, runs: Path) -> None:
    """A baseline can be a result file, relative to the scenario file."""
    _write(tmp_path / path, _result())
    baselines = _numbers(_expecting(**{"from": path}), tmp_path, runs)
    assert {
        path: {"march": {"test_roc_auc": 0.7221, "test_rows": 3368.0, "test_positives": 60.0}}
    } == baselines


def test_a_result_is_found_by_its_absolute_path(tmp_path: Path, runs: Path) -> None:
    """A baseline can be the absolute path of a result file."""
    path = str(runs / RUN / "result.json")
    assert [path] == list(_numbers(_expecting(**{"from": path}), tmp_path / "elsewhere", runs))


def test_another_version_can_be_named(tmp_path: Path, runs: Path) -> None:
    """A baseline can name a version, which is read instead of the one of the same name."""
    expected = scenario(
        [{"name": "april", "expect": {"rows": {"baseline": {"from": RUN, "version": "january", "min": 0}}}}]
    )
    assert {RUN: {"january": {"rows": 3395.0}}} == _numbers(expected, tmp_path, runs)


def test_numbers_of_every_kind_are_read(tmp_path: Path, runs: Path) -> None:
    """Numbers of every kind are read by the names that reports show."""
    bound = {"baseline": {"from": RUN, "min": 0}}
    expect = {
        "rows": bound,
        "null_keys": bound,
        "nulls": {"dti": bound},
        "metrics": {"test_f1": [{"min": 0}, bound]},
        "coefficients": {"dti": bound},
        "explanations": {"weight": {"dti": bound}, "share": {"dti": bound}},
    }
    expected = scenario([{"name": "march", "expect": expect}])
    baselines = _numbers(expected, tmp_path, runs)[RUN]["march"]
    assert (["rows", "null_keys", "nulls(dti)", "test_f1"], 8421.0, None, 0.0009) == (
        list(baselines)[:4],
        baselines["rows"],
        baselines["nulls(dti)"],
        baselines["weight(dti)"],
    )


def test_a_common_baseline_is_read_for_each_version(tmp_path: Path, runs: Path) -> None:
    """A common baseline is read for each trained version that doesn't override its bound."""
    expected = scenario(
        [
            {"name": "january"},
            {"name": "february", "expect": {"metrics": {"test_f1": {"min": 0}}}},
            {"name": "march", "train": False},
        ],
        every={"metrics": {"test_f1": {"baseline": {"from": RUN, "min": 0}}}},
    )
    assert {RUN: {"january": {"test_f1": 0.0, "test_rows": 1358.0, "test_positives": 25.0}}} == _numbers(
        expected, tmp_path, runs
    )


def test_a_baseline_of_added_rows_is_their_metric(tmp_path: Path, runs: Path) -> None:
    """A baseline of added rows is their own metric, and is not read at the first version."""
    bound = {"on": "added", "baseline": {"from": RUN, "min": 0}}
    names = [{"name": name} for name in ("january", "february")]
    expected = scenario(names, every={"metrics": {"test_f1": bound}})
    added = ("added_test_f1", "added_test_rows", "added_test_positives")
    assert {RUN: {"february": dict.fromkeys(added)}} == _numbers(expected, tmp_path, runs)


def test_without_baselines_nothing_is_read(tmp_path: Path) -> None:
    """A scenario without baselines reads nothing, even if there is no folder of runs."""
    assert Baselines() == read_baselines(scenario([{"name": "march"}]), tmp_path, tmp_path / "none")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (RUN[:-1] + "b", f"there is no run '{RUN[:-1]}b' in {{runs}}, and no file {{folder}}/{RUN[:-1]}b."),
        ("good/results.json", "there is no run 'good/results.json' in {runs}, and no file "),
        ("good", "good is a folder; name the result.json in it."),
        ("good/text.json", "{folder}/good/text.json is not the result of a run of the harness."),
        ("good/bytes.json", "{folder}/good/bytes.json is not the result of a run of the harness."),
        (
            "unfinished",
            "the run unfinished was interrupted before it had a result, so it can't be a baseline.",
        ),
        ("running", "the run running is still running, so it can't be a baseline."),
        ("abfss://a@b/result.json", "{elsewhere} abfss://a@b/result.json isn't one."),
        ("https://me:secret@b/r.json", "{elsewhere} its URI isn't one."),
        ("a\0b", "can't look for the run 'a\\x00b': "),
        ("good/broken.json", "the run good/broken.json ended early (JobError), "),
    ],
)
def test_an_invalid_baseline_is_reported(source: str, message: str, tmp_path: Path, runs: Path) -> None:
    """A run that is missing or can't be read is reported at its bound."""
    _write(tmp_path / "good" / "result.json", _result())
    _write(tmp_path / "good" / "broken.json", _result(failure=report_samples.failure()))
    (tmp_path / "good" / "text.json").write_text("{}")
    (tmp_path / "good" / "bytes.json").write_bytes(b"\xff\xfe")
    for name in ("unfinished", "running"):
        (runs / name).mkdir()
        (runs / name / PLAN).touch()
    with file_lock(runs / "running" / PLAN):
        [(text, at)] = _problems(_expecting(**{"from": source}), tmp_path, runs)
    elsewhere = "a baseline must be a file on this machine:"
    assert text.startswith(message.format(runs=runs, folder=tmp_path, elsewhere=elsewhere))
    assert FROM == at


@pytest.mark.parametrize(
    ("source", "suggestion"), [(RUN[:-1] + "b", RUN), ("good/results.json", "good/result.json")]
)
def test_a_similar_run_is_suggested(source: str, suggestion: str, tmp_path: Path, runs: Path) -> None:
    """For a misspelled run, the message suggests a stored run or a file next to it."""
    _write(tmp_path / "good" / "result.json", _result())
    [(text, _)] = _problems(_expecting(**{"from": source}), tmp_path, runs)
    assert text.endswith(f" Did you mean '{suggestion}'?")


@pytest.mark.parametrize(
    ("version", "hint"),
    [("marhc", " Did you mean 'march'?"), ("x", " It has january, february, march.")],
)
def test_an_unknown_version_of_a_baseline_is_reported(
    version: str, hint: str, tmp_path: Path, runs: Path
) -> None:
    """An unknown version of a baseline is reported with a similar one, or with all of them."""
    expected = (f"the run {RUN} has no version '{version}'.{hint}", (*FROM[:-1], "version"))
    assert [expected] == _problems(_expecting(version=version), tmp_path, runs)


def test_each_bound_with_an_invalid_baseline_is_reported(tmp_path: Path, runs: Path) -> None:
    """Each bound with an invalid baseline is reported once, at its location in the file."""
    expected = scenario(
        [{"name": "one", "expect": {"rows": {"baseline": {"from": "no", "min": 0}}}}, {"name": "two"}],
        every={"metrics": {"test_f1": {"baseline": {"from": "nothing", "min": 0}}}},
    )
    assert [
        ("versions", 0, "expect", "rows", 0, "baseline", "from"),
        ("every", "metrics", "test_f1", 0, "baseline", "from"),
    ] == [at for _, at in _problems(expected, tmp_path, runs)]


def test_a_plan_contains_its_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan contains the numbers of its baselines, so that the job needs no other run's files."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    _write(tmp_path / "good.json", _result(studies_samples.scenario()))
    plan = _plan(tmp_path, {"from": "good.json", "version": "march", "min": 0})
    assert ("20260301-101500-7f3a", {"march": 2}) == (
        plan.baseline_runs["good.json"].run_id,
        {name: version.version for name, version in plan.baseline_runs["good.json"].versions.items()},
    )
    assert {
        "good.json": {"march": {"test_f1": 0.0, "test_rows": 3368.0, "test_positives": 60.0}}
    } == plan.baselines


def test_an_invalid_baseline_is_reported_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid baseline is reported with the line of the scenario file."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    with pytest.raises(ScenarioError, match=r"readings\.yaml:\d+: there is no run 'good\.json'"):
        _plan(tmp_path, {"from": "good.json", "version": "march", "min": 0})


def _plan(folder: Path, baseline: dict[str, Any]) -> Any:
    expect = {"metrics": {"test_f1": {"baseline": baseline}}}
    loaded = studies_samples.loaded(folder, [{"name": "one", "expect": expect}])
    settings = read_settings({"target": "embedded"})
    return resolve_plan(loaded, settings, open_target(settings, lambda _: None))


@pytest.mark.parametrize(
    "source",
    ["latest", "{runs}/latest/result.json", "runs/latest/result.json", "file://{runs}/latest/result.json"],
)
def test_the_newest_run_is_refused(source: str, tmp_path: Path, runs: Path) -> None:
    """A baseline can't be 'latest', which would let a small loss in each run pass; a passing run is named."""
    RunFolder(runs / RUN).make_latest()
    later = f"{RUN[:-4]}9999".replace("three_versions", "bounds")
    passing = f"{RUN[:-4]}8888".replace("three_versions", "bounds")
    _write(runs / passing / "result.json", _result(run_id=passing))
    _write(runs / later / "result.json", _result(run_id=later, verdict=Verdict.FAIL))
    named = source.format(runs=runs)
    message = (
        f"'{named}' can't be a baseline: it moves with every run, so a small loss in each would go "
        f"unnoticed. Name a run by its ID, such as {passing}, or a copy of its result.json."
    )
    assert [(message, FROM)] == _problems(_expecting(**{"from": named}), tmp_path, runs)


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.NOT_PROVEN, Verdict.OBSERVED])
def test_a_run_that_did_not_pass_is_refused(verdict: Verdict, tmp_path: Path, runs: Path) -> None:
    """Only a run that passed can be a baseline."""
    _write(runs / RUN / "result.json", _result(run_id=RUN, verdict=verdict))
    message = f"the run {RUN} ended with '{verdict}', so it can't be a baseline. Name a run that passed."
    assert [(message, FROM)] == _problems(_expecting(), tmp_path, runs)


def test_a_version_whose_bound_failed_as_expected_is_refused(tmp_path: Path, runs: Path) -> None:
    """A version with a bound that had to fail can't be a baseline, although its run passed; others are."""
    caught = report_samples.bound("test_roc_auc", Verdict.FAIL, must_fail=True)
    [january, february, march] = _result().versions
    versions = (january, february, march.model_copy(update={"bounds": (caught,)}))
    _write(runs / RUN / "result.json", _result(run_id=RUN, versions=versions, verdict=Verdict.PASS))
    message = (
        f"'march' of the run {RUN} can't be a baseline: its bound 'test_roc_auc >= 0.6' failed there, as "
        "expected. Name another version."
    )
    assert [(message, (*FROM[:-1], "version"))] == _problems(_expecting(), tmp_path, runs)
    assert [RUN] == list(_numbers(_expecting(version="january"), tmp_path, runs))


def _edit(change: Callable[[dict[str, Any]], object], file: Path) -> None:
    values = json.loads(file.read_text(encoding="utf-8"))
    change(values)
    file.write_text(json.dumps(values), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda values: values["versions"][2]["metrics"].update(test_roc_auc=0.1),
            "doesn't match its digest",
        ),
        (lambda values: values.update(run_id="another"), "doesn't match its digest"),
        (lambda values: values.update(digest=7), "a result without a digest, so it may have been edited"),
        (lambda values: values.pop("digest"), "a result without a digest, so it may have been edited"),
        (lambda values: values.update(format_version=2), "a result of format 2, which has no digest"),
    ],
    ids=["number", "name", "no text", "no digest", "older format"],
)
def test_an_edited_result_is_refused(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path, runs: Path
) -> None:
    """A result that was changed after its run, or that doesn't show whether it was, can't be a baseline."""
    _edit(change, runs / RUN / "result.json")
    [(text, at)] = _problems(_expecting(), tmp_path, runs)
    assert (True, True, FROM) == (
        message in text,
        text.endswith("Run the scenario again, and name the new run."),
        at,
    )


def test_a_result_in_another_layout_is_intact(tmp_path: Path, runs: Path) -> None:
    """A digest depends on the values only, not on layout, the order of keys or how a number is written."""
    file = runs / RUN / "result.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    text = json.dumps(dict(reversed(values.items())), indent=7).replace("3368.0", "3368")
    assert "3368.0" in file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    assert [RUN] == list(_numbers(_expecting(), tmp_path, runs))


_PIPELINE = {
    "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
    "features": ["amount"],
}


@pytest.mark.parametrize(
    ("changes", "difference", "may_differ"),
    [
        ({"name": "others"}, "its scenario is others, not bounds", None),
        (
            {"table": {"name": "loans", "key": "id", "source": "rows.csv"}},
            "its table is loans, not table",
            None,
        ),
        ({"table": {"uri": "/lake/x", "key": "id"}}, "its table is /lake/x, not table", None),
        ({"table": {"key": ["id", "day"], "source": "r.csv"}}, "its key is id, day, not id", None),
        ({"seed": 8}, "its seed is 8, not 0", "seed"),
        (
            {"pipeline": _PIPELINE | {"split": {"test": 0.3}}},
            "its pipeline has split.test 0.3, not 0.4",
            None,
        ),
        (
            {"pipeline": _PIPELINE | {"label": {**_PIPELINE["label"], "positive": ["bad"]}}},  # type: ignore[dict-item]
            "its pipeline has label.positive 'bad', not 'late'",
            None,
        ),
        (
            {"pipeline": _PIPELINE | {"filter": "amount > 0"}},
            "its pipeline has filter 'amount > 0', not none",
            "rows",
        ),
        (
            {"pipeline": _PIPELINE | {"features": ["amount", "dti"], "model": {"max_iter": 7}}},
            "its pipeline has features 'amount, dti', not 'amount', model.max_iter 7, not 100",
            "pipeline",
        ),
        (
            {"pipeline": _PIPELINE | {"features": [f"feature_{n}" for n in range(20)]}},
            "its pipeline has other values of features",
            "pipeline",
        ),
    ],
    ids=["scenario", "table", "uri", "key", "seed", "split", "label", "filter", "model", "long"],
)
def test_a_run_of_something_else_is_refused(
    changes: dict[str, Any], difference: str, may_differ: str | None, tmp_path: Path, runs: Path
) -> None:
    """A run that isn't comparable is refused with what differs; a bound may allow some differences."""
    _write(runs / RUN / "result.json", _result(scenario([{"name": "march"}], **changes), run_id=RUN))
    remedy = f", or add 'may_differ: [{may_differ}]' to compare anyway" if may_differ else ""
    message = (
        f"the run {RUN} isn't comparable: {difference}. Name a run of the scenario as it is now{remedy}."
    )
    assert [(message, FROM)] == _problems(_expecting(), tmp_path, runs)
    if may_differ is not None:
        found = read_baselines(_expecting(may_differ=[may_differ]), tmp_path, runs)
        assert (difference,) == found.runs[RUN].differences


def test_all_differences_are_in_one_message(tmp_path: Path, runs: Path) -> None:
    """All differences of a run are in one message; the remedy keeps what the bound allows already."""
    other = scenario([{"name": "march"}], seed=8, pipeline=_PIPELINE | {"filter": "x", "features": ["dti"]})
    _write(runs / RUN / "result.json", _result(other, run_id=RUN))
    [(text, _)] = _problems(_expecting(may_differ=["rows"]), tmp_path, runs)
    assert "its seed is 8, not 0; its pipeline has features 'dti', not 'amount'. Name" in text
    assert "'may_differ: [rows, seed, pipeline]'" in text


@pytest.mark.parametrize("command", ["check", "plan"])
def test_commands_look_a_baseline_up_before_anything_starts(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'check' and 'plan' report a baseline that doesn't exist with its line, and accept a good one."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    expect = {"metrics": {"test_f1": {"baseline": {"from": "good.json", "version": "march", "min": 0}}}}
    file = studies_samples.loaded(tmp_path, [{"name": "one", "expect": expect}]).document.file
    missing = CliRunner().invoke(app, [command, file])
    _write(tmp_path / "good.json", _result(studies_samples.scenario()))
    found = CliRunner().invoke(app, [command, file])
    assert ExitCode.PASS == found.exit_code, found.output
    shown = "Baseline good.json: the run 20260301-101500-7f3a of 2026-03-01 10:15 UTC."
    assert (command == "plan") == (shown in found.output)
    text = missing.output + str(missing.exception)
    assert "readings.yaml:" in text
    assert "there is no run 'good.json'" in text


def test_check_looks_up_the_baseline_of_each_combination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'check' names the combination of a matrix that a baseline isn't comparable with."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    _write(tmp_path / "good.json", _result(studies_samples.scenario()))
    expect = {"metrics": {"test_f1": {"baseline": {"from": "good.json", "version": "march", "min": 0}}}}
    versions = [{"name": "one", "expect": expect}]
    file = studies_samples.loaded(tmp_path, versions, matrix={"seed": [3, 4]}).document.file
    checked = CliRunner().invoke(app, ["check", file])
    assert ExitCode.WRONG_INPUT == checked.exit_code
    assert "with seed=4: the run good.json isn't comparable: its seed is 3, not 4." in checked.output
    assert "with seed=3" not in checked.output
