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
    """The job reads what the command line wrote, to the last value."""
    plan = _plan()
    assert plan == Plan.model_validate_json(plan.model_dump_json(indent=2, by_alias=True))


@pytest.mark.parametrize("kind", [kind for kind, step in STEPS.items() if step.may_be_empty])
def test_an_empty_step_survives_the_plans_file(kind: str) -> None:
    """A step without a value stays the version's only step."""
    plan = _plan()
    version = Version.model_validate({"name": "only", kind: None})
    scenario = plan.scenario.model_copy(update={"versions": (version,)})
    text = plan.model_copy(update={"scenario": scenario}).model_dump_json(by_alias=True)
    [found] = Plan.model_validate_json(text).scenario.versions
    assert ([kind], version) == (list(found.steps), found)


def test_a_run_has_a_table_of_its_own() -> None:
    """The table lies below the lake, in a folder of the run."""
    assert f"{URI}/runs/one/lc_loan" == _plan("one").table_uri


def test_two_runs_do_not_meet() -> None:
    """Neither in their tables nor in their scratch folders."""
    one, two = _plan("one"), _plan("two")
    assert len({one.table_uri, two.table_uri, one.scratch_uri, two.scratch_uri}) == 4


def test_a_plan_is_not_changed_once_it_is_made() -> None:
    """What was decided stays decided."""
    with pytest.raises(ValidationError, match="frozen"):
        _plan().run_id = "another"  # type: ignore[misc]


def test_a_plan_of_another_harness_is_refused() -> None:
    """A key that this version does not know is a mistake, and not passed over."""
    with pytest.raises(ValidationError, match="colour"):
        Plan.model_validate(_plan().model_dump() | {"colour": "red"})
