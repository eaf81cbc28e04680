"""The plan of a run as JSON, and the URIs that it determines."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.loading.loader import load_scenario
from harness.plan import Environment, Plan, Setting, SourceData
from harness.scenario.model import Version
from harness.scenario.steps import STEPS

SCENARIO = Path(__file__).parents[2] / "scenarios" / "three_versions.yaml"
URI = "abfss://lake@account.dfs.core.windows.net"


def _plan(run_id: str = "20260131-094502-three_versions-7f3a", lake: str = URI) -> Plan:
    return Plan(
        run_id=run_id,
        harness_version="0.1.0",
        scenario=load_scenario(str(SCENARIO)).scenario,
        scenario_file="scenarios/three_versions.yaml",
        scenario_sha256="0" * 64,
        environment=Environment(
            target="embedded",
            lake=lake,
            model_store="/models",
            tracking_uri="sqlite:///mlflow.db",
            experiment="harness",
        ),
        sources={
            "data/lc_loan_2018q1.csv": SourceData(uri="/data/loans.csv", format="csv", options={"sep": ";"})
        },
        settings=(Setting(name="cores", value="*", origin="default"),),
    )


def test_a_plan_survives_its_file() -> None:
    """A plan is the same after writing and reading its file."""
    plan = _plan()
    assert plan == Plan.model_validate_json(plan.model_dump_json(indent=2, by_alias=True))


@pytest.mark.parametrize("kind", [kind for kind, step in STEPS.items() if step.may_be_empty])
def test_an_empty_step_survives_the_plans_file(kind: str) -> None:
    """An empty step is still the version's only step after writing and reading the plan's file."""
    plan = _plan()
    version = Version.model_validate({"name": "only", kind: None})
    scenario = plan.scenario.model_copy(update={"versions": (version,)})
    text = plan.model_copy(update={"scenario": scenario}).model_dump_json(by_alias=True)
    [loaded] = Plan.model_validate_json(text).scenario.versions
    assert ([kind], version) == (list(loaded.steps), loaded)


def test_each_run_has_its_own_table() -> None:
    """A run's table is in the run's own folder in the lake."""
    assert f"{URI}/runs/one/lc_loan" == _plan("one").table_uri


def test_two_runs_share_no_folder() -> None:
    """Two runs have different tables and different scratch folders."""
    one, two = _plan("one"), _plan("two")
    assert len({one.table_uri, two.table_uri, one.scratch_uri, two.scratch_uri}) == 4


def test_a_plan_is_immutable() -> None:
    """The values of a plan can't be changed."""
    with pytest.raises(ValidationError, match="frozen"):
        _plan().run_id = "another"  # type: ignore[misc]


def test_a_plan_with_an_unknown_key_is_refused() -> None:
    """A plan with an unknown key is refused instead of being read without it."""
    with pytest.raises(ValidationError, match="color"):
        Plan.model_validate(_plan().model_dump() | {"color": "red"})
