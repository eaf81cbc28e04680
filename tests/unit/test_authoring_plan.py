"""The preview of a run: its versions, trainings, publishing and cost."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.authoring.plan_preview import DEPENDS, PlanPreview, preview_run
from harness.authoring.scenario_list import list_scenarios
from harness.errors import UsageError
from harness.loading.document import read_document
from harness.loading.loader import load_scenario
from harness.plan import Environment, Plan, Setting
from harness.report.terminal.command_tables import show_plan, show_scenarios
from harness.results import Result, Verdict
from harness.scenario.model import Scenario
from harness.settings import Settings, read_settings

SCENARIOS = Path(__file__).parents[2] / "scenarios"
STEPS = [
    {"name": "a", "append": {"where": "month = 1", "sample": 0.5}},
    {"name": "b", "append": {"rows": [{"id": 1}]}, "expect_error": "DELTA_X"},
    {"name": "c", "delete": "id = 1", "train": False},
    {"name": "d", "restore": "a", "at": "timestamp"},
]


def _scenario(**changes: Any) -> Scenario:
    values = read_document(SCENARIOS / "three_versions.yaml").values
    return Scenario.model_validate({**values, **changes})


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return read_settings(folder=tmp_path, environ={})


def _store_run(settings: Settings, scenario: Scenario, run_id: str, **changes: Any) -> None:
    """Store a run on Databricks that took six minutes with three workers."""
    workers = Setting(name="targets.databricks.workers", value=changes.get("workers", "3"), origin="default")
    target = changes.get("target", "databricks")
    plan = Plan(
        run_id=run_id,
        harness_version="0",
        scenario=scenario,
        scenario_file="f",
        scenario_sha256="0",
        environment=Environment(target=target, lake="l", model_store="m", tracking_uri="t", experiment="e"),
        settings=(workers,),
    )
    result = Result(
        run_id=run_id,
        scenario=scenario.name,
        target=target,
        verdict=changes.get("verdict", Verdict.PASS),
        started=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=360.0,
        timings={},
        versions=(),
        table_uri="u",
    )
    folder = settings.runs / run_id
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json(by_alias=True))
    (folder / "result.json").write_text(result.model_dump_json(by_alias=True))


def _render(planned: PlanPreview) -> str:
    text = io.StringIO()
    show_plan(Console(file=text, width=300), planned)
    return text.getvalue()


def test_versions_are_predicted(settings: Settings) -> None:
    """Version numbers are predicted up to the first step that depends on the data."""
    planned = preview_run(_scenario(versions=STEPS), settings)
    assert [(1, 0), (0, 0), (None, None), (None, None)] == [(v.commits, v.version) for v in planned.versions]
    assert [True, False, False, True] == [version.trained for version in planned.versions]


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_scenarios_are_predicted(settings: Settings, file: Path) -> None:
    """Version numbers of shipped scenarios are predicted, except after steps that depend on the data."""
    planned = preview_run(load_scenario(str(file)).scenario, settings)
    depends = [version.name for version in planned.versions if version.version is None]
    assert depends == {"late_corrections": ["corrected_twice"]}.get(file.stem, [])
    text = _render(planned)
    assert len(depends) == sum(DEPENDS in line for line in text.splitlines())


def test_a_refused_step_and_a_restore_are_predicted(settings: Settings) -> None:
    """A step that must fail creates no version; restoring another version creates one."""
    numbers = {
        name: [
            version.version
            for version in preview_run(load_scenario(str(SCENARIOS / name)).scenario, settings).versions
        ]
        for name in ("schema_change.yaml", "rollback.yaml")
    }
    assert {"schema_change.yaml": [0, 0, 1], "rollback.yaml": [0, 1, 2, 3]} == numbers


def test_steps_are_described(settings: Settings) -> None:
    """The plan describes each step and the source of its rows."""
    planned = preview_run(_scenario(versions=STEPS), settings)
    assert [
        ("append where month = 1, 0.5 of them", "data/lc_loan_2018q1.csv"),
        ("append; must fail with DELTA_X", "1 row written out"),
        ("delete where id = 1", "-"),
        ("restore to a", "version a"),
    ] == [(version.step, version.rows_from) for version in planned.versions]


def test_trainings_are_counted(settings: Settings) -> None:
    """The counts of fits and explanations for three_versions are those of the job."""
    planned = preview_run(_scenario(), settings)
    assert (3, 4, 5, 20) == (planned.trainings, planned.grid_points, planned.folds, planned.fits)


@pytest.mark.parametrize(
    ("model", "points"),
    [
        ({"kind": "random_forest", "grid": {"num_trees": [5, 10], "max_depth": [2, 3, 4]}}, 6),
        ({"kind": "gradient_boosted_trees", "grid": {"step_size": [0.1, 0.2]}}, 2),
    ],
)
def test_fits_of_every_model_kind_are_counted(settings: Settings, model: dict[str, Any], points: int) -> None:
    """The plan names the model kind, and multiplies its grid by its folds."""
    base = _scenario()
    pipeline = {**base.pipeline.model_dump(by_alias=True, exclude_unset=True), "model": model}
    planned = preview_run(_scenario(pipeline=pipeline), settings)
    assert (model["kind"], points, 3 * points) == (planned.model, planned.grid_points, planned.fits)


def test_a_custom_pipeline_is_named(settings: Settings) -> None:
    """The plan of a custom pipeline has its name instead of a number of fits."""
    loaded = load_scenario(str(SCENARIOS / "custom_pipeline.yaml"))
    planned = preview_run(loaded.scenario, settings)
    assert ("pipelines.boosted:BoostedTrees", None) == (planned.model, planned.fits)
    assert "Trained: pipelines.boosted:BoostedTrees on 2 versions." in _render(planned)


def test_bounds_are_counted_if_they_are_judged(settings: Settings) -> None:
    """Every part of a bound counts, except changes since a version before the first one."""
    every = {
        "metrics": {"cv_roc_auc": {"min": 0.5, "max": 0.9, "change": {"min": -0.1}}},
        "operation": "WRITE",
    }
    steps = [{"name": name, "append": None} for name in ("a", "b")]
    planned = preview_run(_scenario(versions=steps, every=every), settings)
    assert [3, 4] == [version.bounds for version in planned.versions]


def test_bounds_under_every_are_counted_if_they_are_judged(settings: Settings) -> None:
    """A bound on changes since a named version counts after that version only."""
    every = {
        "metrics": {"test_roc_auc": [{"change": {"since": "b", "min": -0.1}}, {"min": 0.6, "on": "added"}]},
        "explanations": {"sign_agreement": {"since": "b", "min": 0.8}},
    }
    steps = [{"name": name, "append": None} for name in ("a", "b", "c")]
    planned = preview_run(_scenario(versions=steps, every=every), settings)
    assert [0, 1, 3] == [version.bounds for version in planned.versions]


def test_numbers_that_depend_on_the_data_are_marked(settings: Settings) -> None:
    """The table shows which numbers depend on the data, and that the cost is unknown."""
    text = _render(preview_run(_scenario(versions=STEPS), settings))
    assert "c\tdelete where id = 1\t-\tdepends on the data\tdepends on the data\t-\tno\t0" in text
    assert "On Databricks: cost unknown" in text


def test_the_cost_is_that_of_the_newest_cloud_run(settings: Settings) -> None:
    """Six minutes on a driver and three workers are 24 cluster minutes; other runs do not count."""
    scenario = _scenario()
    _store_run(settings, scenario, "20260101-000000-three_versions-0001", workers="1")
    _store_run(settings, scenario, "20260102-000000-three_versions-0002")
    _store_run(settings, scenario, "20260103-000000-three_versions-0003", target="embedded")
    _store_run(settings, _scenario(name="other"), "20260104-000000-other-0004")
    planned = preview_run(scenario, settings)
    assert 24.0 == planned.values()["cluster_minutes"]
    assert "On Databricks: 24.0 cluster minutes, as in run 20260102-000000-three_versions-0002" in _render(
        planned
    )


def test_an_unknown_model_store_is_reported(settings: Settings) -> None:
    """A plan that publishes to an unknown model store is refused."""
    with pytest.raises(UsageError, match="Unknown model store 'nowhere'"):
        preview_run(_scenario(publish={"to": "nowhere"}), settings)


def test_scenarios_are_listed_with_their_newest_verdict(settings: Settings, tmp_path: Path) -> None:
    """Each scenario file has a line with its newest verdict; an invalid one is marked."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    text = (SCENARIOS / "three_versions.yaml").read_text()
    (folder / "three_versions.yaml").write_text(text)
    (folder / "wrong.yaml").write_text("name: 1\n")
    _store_run(settings, _scenario(), "20260101-000000-three_versions-0001", verdict=Verdict.PASS)
    _store_run(settings, _scenario(), "20260102-000000-three_versions-0002", verdict=Verdict.FAIL)
    listed = list_scenarios(folder, settings.runs)
    assert [("three_versions", "3", "fail"), ("wrong", "-", "-")] == [
        (each.name, each.versions, each.newest) for each in listed
    ]
    console = Console(file=io.StringIO(), width=300)
    show_scenarios(console, listed)
    assert "wrong\t-\t-\t-\tinvalid: make check NAME=wrong" in console.file.getvalue()  # type: ignore[attr-defined] # the same


def test_the_verdict_is_predicted_if_no_bound_is_judged(settings: Settings) -> None:
    """The plan says that nothing will be proven, or that the scenario only observes."""
    bare: dict[str, Any] = {"versions": [{"name": "a", "append": {}}], "every": {}}
    assert "Verdict: 'not proven': no bound is judged, because" in _render(
        preview_run(_scenario(**bare), settings)
    )
    observed = preview_run(_scenario(**bare, observe=True), settings)
    assert "Verdict: 'observed'" in _render(observed)
    assert observed.published == "nothing"
    assert "Verdict:" not in _render(preview_run(_scenario(), settings))


def test_the_plan_lists_the_standard_gate(settings: Settings) -> None:
    """Each check with its limit, once for all versions that have the same ones."""
    shown = _render(preview_run(_scenario(), settings))
    assert "Standard gate (february, march), each check with its limit: nulls 0.05, drift 0.25, " in shown
    every = {"standard": {"except": ["nulls"], "limits": {"drift": 0.4}}}
    assert "each check with its limit: drift 0.4, constant" in _render(
        preview_run(_scenario(every=every), settings)
    )
    assert "Standard gate" not in _render(preview_run(_scenario(every={}), settings))


def test_the_plan_says_which_version_a_pass_approves(settings: Settings) -> None:
    """The last one with bounds; a scenario without 'approve' has no such line."""
    output = io.StringIO()
    for approve in (None, "main.loans.approved"):
        values = _scenario().model_dump(mode="json", by_alias=True, exclude_unset=True)
        scenario = Scenario.model_validate({**values, "approve": approve} if approve else values)
        preview = preview_run(scenario, settings)
        show_plan(Console(file=output, width=200), preview)
    last = scenario.versions[-1].name
    line = f"Approved: {last}, if every bound holds: main.loans.approved then shows it."
    assert [line] == [each for each in output.getvalue().splitlines() if "Approved" in each]
    assert preview.values()["approved"] == line.removeprefix("Approved: ").removesuffix(".")
