"""Bounds on a champion, the deployed model, and on the difference to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.bounds.judge import judge_versions
from harness.cli import app
from harness.errors import UsageError
from harness.loading.champion_override import find_champion, replace_champion
from harness.loading.loader import load_scenario
from harness.results import ChampionResult, Difference, Result, Verdict, VersionResult
from harness.views.plot_data import list_calibrations, list_roc_curves
from harness.views.tables import build_champion_table, build_metric_table
from harness.work import identify_run, identify_version
from tests.unit import report_samples as samples
from tests.unit.bounds_samples import judge, measured, scenario, version
from tests.unit.studies_samples import loaded, make_plan

CHAMPION = "models:/readings@champion"
FAR = Difference(value=0.03, standard_error=0.01)


def _scored(champion: ChampionResult, **metrics: float | None) -> VersionResult:
    return measured("march", test_roc_auc=0.7, **metrics).model_copy(update={"champion": champion})


def _champion(**changes: Any) -> ChampionResult:
    return ChampionResult.model_validate({"model": "models:/readings/3", "rows": "all", **changes})


@pytest.mark.parametrize(
    ("difference", "limit", "verdict"),
    [
        (0.03, 0.0, Verdict.PASS),
        (0.03, 0.02, Verdict.PASS),
        (0.03, 0.021, Verdict.NOT_PROVEN),
        (0.03, 0.035, Verdict.NOT_PROVEN),
        (-0.03, -0.01, Verdict.FAIL),
    ],
)
def test_a_difference_must_exceed_its_error(difference: float, limit: float, verdict: Verdict) -> None:
    """A difference is proven only if its distance to the limit is at least its standard error."""
    champion = _champion(differences={"test_roc_auc": {"value": difference, "standard_error": 0.01}})
    [bound] = judge({"metrics": {"test_roc_auc": {"champion": {"min": limit}}}}, _scored(champion))
    assert verdict is bound.verdict
    assert ("standard error of the difference is 0.01" in bound.reason) == (verdict is Verdict.NOT_PROVEN)
    assert f">= {limit:g} compared with the champion" == bound.text
    assert {"champion": {"min": limit}} == bound.spec.to_mapping()


@pytest.mark.parametrize(
    ("champion", "reason"),
    [
        (None, "at march, the champion was not scored"),
        (_champion(), "at march, the champion's test_roc_auc could not be measured"),
        (_champion(rows="none", reason="it isn't known"), "at march, it isn't known"),
        (
            _champion(input_problems=["column term is missing"]),
            "breaks the champion's input: column term is missing",
        ),
        (
            _champion(differences={"test_roc_auc": {"value": 0.1, "standard_error": None}}),
            "has no standard error",
        ),
    ],
)
def test_a_missing_difference_is_not_proven(champion: ChampionResult | None, reason: str) -> None:
    """Without a difference or its error, the bound is not proven, and the reason is given."""
    now = measured("march", test_roc_auc=0.7).model_copy(update={"champion": champion})
    bound = judge({"metrics": {"test_roc_auc": {"champion": {"min": -0.1}}}}, now)[0]
    assert Verdict.NOT_PROVEN is bound.verdict
    assert reason in bound.reason


def test_a_missing_metric_of_the_champion_is_not_proven() -> None:
    """A bound on a champion's metric that isn't measured is not proven, with the champion's own reason."""
    now = _scored(_champion(rows="added", reason="it isn't known which rows it was trained on"))
    [bound] = judge({"metrics": {"champion_test_roc_auc": {"min": 0.5}}}, now)
    assert Verdict.NOT_PROVEN is bound.verdict
    assert "it isn't known which rows it was trained on" in bound.reason


def test_a_broken_input_fails_every_version_with_it() -> None:
    """A version whose columns don't fit fails, whatever its scenario expects; others have no such bound."""
    broken = version(
        "two", champion=_champion(input_problems=["column term is string, the model expects int"])
    )
    whole = version("one", champion=_champion())
    judged = judge_versions(scenario([{"name": "one"}, {"name": "two"}]), [whole, broken])
    assert () == judged[0].bounds
    [bound] = judged[1].bounds
    assert (Verdict.FAIL, "champion_input", "column term is string, the model expects int") == (
        bound.verdict,
        bound.metric,
        bound.found,
    )
    assert bound == type(bound).model_validate_json(bound.model_dump_json())


def test_a_champion_on_the_command_line_replaces_the_scenario_s(tmp_path: Path) -> None:
    """--champion makes bounds valid that need one; it is recorded as a parameter of the run."""
    bound = (
        {"name": "one"},
        {"name": "two", "expect": {"metrics": {"test_roc_auc": {"champion": {"min": -0.1}}}}},
    )
    file = str(tmp_path / "readings.yaml")
    with pytest.raises(Exception, match="but the scenario names none"):
        loaded(tmp_path, bound)
    read = load_scenario(file, champion=CHAMPION)
    assert (CHAMPION, {"champion": CHAMPION}) == (read.scenario.champion, read.parameters)
    plan = make_plan().model_copy(update={"scenario": read.scenario, "parameters": read.parameters})
    assert CHAMPION == find_champion(plan)
    assert find_champion(make_plan()) is None


@pytest.mark.parametrize(
    ("champion", "message"),
    [
        ("models:/readings", "--champion: 'models:/readings' names no version of a model"),
        ("abfss://models:secret@x.dfs.core.windows.net/t/v1", "--champion: the bundle's URI contains"),
    ],
)
def test_an_invalid_champion_on_the_command_line_is_one_message(champion: str, message: str) -> None:
    """A mistake in the option is a usage error that names the option."""
    with pytest.raises(UsageError, match=message):
        replace_champion(scenario([{"name": "one"}]), champion)
    done = CliRunner().invoke(app, ["plan", "no_such_scenario", "--champion", champion])
    assert 0 != done.exit_code


def test_an_alias_may_have_moved() -> None:
    """A run with a version of a model is known by it; with an alias, it is measured again."""
    plan = make_plan()
    version_3, alias = (
        plan.model_copy(
            update={"champion": uri, "scenario": plan.scenario.model_copy(update={"champion": uri})}
        )
        for uri in ("models:/readings/3", CHAMPION)
    )
    assert identify_run(plan).is_known == identify_run(version_3).is_known
    assert identify_run(plan).key != identify_run(version_3).key
    assert "the champion" == identify_run(plan).describe_differences(identify_run(version_3))
    assert not identify_run(alias).is_known
    [name] = plan.scenario.trained[:1]
    assert identify_version(plan, name).key == identify_version(alias, name).key


def test_the_report_shows_the_champion_beside_the_model() -> None:
    """The champion has its own table, with the difference to it; its curves are drawn with the others."""
    champion = _champion(
        differences={"test_roc_auc": FAR},
        roc=[{"false_positive_rate": 0, "true_positive_rate": 0}],
        calibration=[{"rows": 5, "predicted": 0.1, "observed": 0.2}],
    )
    result = samples.result()
    scored = [
        each.model_copy(
            update={"champion": champion, "metrics": {**each.metrics, "champion_test_roc_auc": 0.65}}
        )
        for each in result.versions
    ]
    result = result.model_copy(update={"versions": tuple(scored)})
    rows = {row.label: row.cells[-1] for row in build_champion_table(result).rows}
    assert "models:/readings/3" == rows["model"].text
    assert ("0.6500", "+0.0300 ± 0.01") == (rows["test_roc_auc"].text, rows["test_roc_auc"].note)
    assert not any(row.label.startswith("champion_") for row in build_metric_table(result).rows)
    last = f"champion on {result.versions[-1].name}"
    assert champion.roc == list_roc_curves(result.versions)[last]
    assert champion.calibration == list_calibrations(result.versions)[last]
    assert not build_champion_table(samples.result())
    assert result == Result.from_json(result.to_json())
