"""Baselines: the numbers of other runs that bounds compare with."""

from pathlib import Path
from typing import Any

import pytest

from harness.bounds.baselines import read_baselines
from harness.errors import Location, ScenarioError
from harness.resolve import resolve_plan
from harness.results import Result
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
    _write(folder / RUN / "result.json", report_samples.result(run_id=RUN))
    return folder


def _write(file: Path, result: Result) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(result.model_dump_json(by_alias=True), encoding="utf-8")


def _expecting(metric: str = "test_roc_auc", version: str = "march", **baseline: Any) -> Scenario:
    bound = {"baseline": {"from": RUN, "min": -0.1, **baseline}}
    return scenario([{"name": version, "expect": {"metrics": {metric: bound}}}])


def _problems(expected: Scenario, tmp_path: Path, runs: Path) -> list[tuple[str, Location]]:
    with pytest.raises(ScenarioError) as caught:
        read_baselines(expected, tmp_path, runs)
    return [(problem.message, problem.location) for problem in caught.value.problems]


def test_a_run_is_found_by_its_id(tmp_path: Path, runs: Path) -> None:
    """A baseline that is a run's id has the bounded metric and the positives that it depends on."""
    expected = {RUN: {"march": {"test_roc_auc": 0.7221, "test_rows": 3368.0, "test_positives": 60.0}}}
    assert expected == read_baselines(_expecting(), tmp_path, runs)


@pytest.mark.parametrize("path", ["good/result.json", "./good/result.json", "good/best.json"])
def test_a_result_is_found_beside_the_scenario(path: str, tmp_path: Path, runs: Path) -> None:
    """A baseline can be a result file, relative to the scenario file."""
    _write(tmp_path / path, report_samples.result())
    baselines = read_baselines(_expecting(**{"from": path}), tmp_path, runs)
    assert {
        path: {"march": {"test_roc_auc": 0.7221, "test_rows": 3368.0, "test_positives": 60.0}}
    } == baselines


def test_a_result_is_found_by_its_absolute_path(tmp_path: Path, runs: Path) -> None:
    """A baseline can be the absolute path of a result file."""
    path = str(runs / RUN / "result.json")
    assert [path] == list(read_baselines(_expecting(**{"from": path}), tmp_path / "elsewhere", runs))


def test_another_version_can_be_named(tmp_path: Path, runs: Path) -> None:
    """A baseline can name a version, which is read instead of the one of the same name."""
    expected = scenario(
        [{"name": "april", "expect": {"rows": {"baseline": {"from": RUN, "version": "january", "min": 0}}}}]
    )
    assert {RUN: {"january": {"rows": 3395.0}}} == read_baselines(expected, tmp_path, runs)


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
    baselines = read_baselines(scenario([{"name": "march", "expect": expect}]), tmp_path, runs)[RUN]["march"]
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
    assert {
        RUN: {"january": {"test_f1": 0.0, "test_rows": 1358.0, "test_positives": 25.0}}
    } == read_baselines(expected, tmp_path, runs)


def test_a_baseline_of_added_rows_is_their_metric(tmp_path: Path, runs: Path) -> None:
    """A baseline of added rows is their own metric, and is not read at the first version."""
    bound = {"on": "added", "baseline": {"from": RUN, "min": 0}}
    names = [{"name": name} for name in ("january", "february")]
    expected = scenario(names, every={"metrics": {"test_f1": bound}})
    added = ("added_test_f1", "added_test_rows", "added_test_positives")
    assert {RUN: {"february": dict.fromkeys(added)}} == read_baselines(expected, tmp_path, runs)


def test_without_baselines_nothing_is_read(tmp_path: Path) -> None:
    """A scenario without baselines reads nothing, even if there is no folder of runs."""
    assert {} == read_baselines(scenario([{"name": "march"}]), tmp_path, tmp_path / "none")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (RUN[:-1] + "b", f"there is no run '{RUN[:-1]}b' in {{runs}}, and no file {{folder}}/{RUN[:-1]}b."),
        ("good/results.json", "there is no run 'good/results.json' in {runs}, and no file "),
        ("good", "good is a folder; name the result.json in it."),
        ("good/text.json", "{folder}/good/text.json is not the result of a run of the harness."),
        ("good/bytes.json", "{folder}/good/bytes.json is not the result of a run of the harness."),
        ("unfinished", "can't read the run unfinished: {runs}/unfinished/result.json: "),
        ("abfss://a@b/result.json", "{elsewhere} abfss://a@b/result.json isn't one."),
        ("https://me:secret@b/r.json", "{elsewhere} its URI isn't one."),
        ("a\0b", "can't look for the run 'a\\x00b': "),
        ("good/broken.json", "the run good/broken.json ended early (JobError), "),
    ],
)
def test_an_invalid_baseline_is_reported(source: str, message: str, tmp_path: Path, runs: Path) -> None:
    """A run that is missing or can't be read is reported at its bound."""
    _write(tmp_path / "good" / "result.json", report_samples.result())
    _write(tmp_path / "good" / "broken.json", report_samples.result(failure=report_samples.failure()))
    (tmp_path / "good" / "text.json").write_text("{}")
    (tmp_path / "good" / "bytes.json").write_bytes(b"\xff\xfe")
    (runs / "unfinished").mkdir()
    [(text, at)] = _problems(_expecting(**{"from": source}), tmp_path, runs)
    elsewhere = "a baseline must be a file on this machine:"
    assert text.startswith(message.format(runs=runs, folder=tmp_path, elsewhere=elsewhere))
    assert FROM == at


@pytest.mark.parametrize(
    ("source", "suggestion"), [(RUN[:-1] + "b", RUN), ("good/results.json", "good/result.json")]
)
def test_a_similar_run_is_suggested(source: str, suggestion: str, tmp_path: Path, runs: Path) -> None:
    """For a misspelled run, the message suggests a stored run or a file next to it."""
    _write(tmp_path / "good" / "result.json", report_samples.result())
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
    _write(tmp_path / "good.json", report_samples.result())
    plan = _plan(tmp_path, {"from": "good.json", "version": "march", "min": 0})
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
