"""A new kind of step, registered by a test, which every part of the program supports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, get_args

import jsonschema
import pytest
from pydantic import Field
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, Problem
from harness.loading import rules
from harness.loading.json_schema import make_scenario_schema
from harness.plan import Plan
from harness.report.html import render_html
from harness.scenario.model import Scenario, Version
from harness.scenario.step_base import Commits, Step, StepContext
from harness.scenario.steps import STEPS, AnyStep
from tests.unit import report_samples as samples

ROOT = Path(__file__).parents[2]
GOOD = ROOT / "scenarios" / "three_versions.yaml"
EMPTY: dict[str, Any] = {"name": "empty", "truncate": {"keep": 3}, "train": False}


class Truncate(Step):
    """Keeps the first rows of the table."""

    kind: ClassVar[str] = "truncate"
    commits: ClassVar[Commits] = 1
    possible_commits: ClassVar[tuple[int, ...] | None] = (1,)
    operation: ClassVar[str | None] = "TRUNCATE"
    form_hint: ClassVar[str] = "must be a mapping with keep"

    keep: int = Field(ge=0)

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Report a step that keeps no row."""
        if self.keep == 0:
            yield Problem(f"version '{context.version}' keeps no row.", (*context.at, "keep"))


@pytest.fixture(name="_registered")
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the kind in the registry and as a field of ``Version``."""
    field = FieldInfo.from_annotated_attribute(Truncate | None, None)  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        patch.setitem(STEPS, Truncate.kind, Truncate)
        patch.setitem(Version.model_fields, Truncate.kind, field)
        _rebuild()
        yield
    _rebuild()


def _rebuild() -> None:
    for model in (Version, Scenario, Plan):
        model.model_rebuild(force=True)


def _file(folder: Path, step: str) -> str:
    text = GOOD.read_text(encoding="utf-8").replace("data/", f"{GOOD.parent}/data/")
    file = folder / "truncated.yaml"
    version = f"  - name: empty\n    truncate: {step}\n    train: false\n"
    file.write_text(
        f"{text.split('# Each version against')[0]}versions:\n  - name: one\n    append:\n{version}"
    )
    return str(file)


def _run(*arguments: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, list(arguments))
    return outcome.exit_code, outcome.stdout + outcome.stderr


@pytest.mark.usefixtures("_registered")
def test_check_accepts_the_step(tmp_path: Path) -> None:
    """'harness check' accepts a scenario with a step of the new kind."""
    assert _run("check", _file(tmp_path, "{ keep: 3 }"))[0] == ExitCode.PASS


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{ keep: 0 }", "version 'empty' keeps no row."),
        ("{ keep: 3 }\n    commits: 2", "version 'empty': truncate makes 1 commit, not 2."),
        ("{ keep: 3 }\n    expect: { operation: WRITE }", "TRUNCATE"),
        ("3", "'truncate' in 'versions[1]' must be a mapping with keep (it is 3)."),
        ("{ keeps: 3 }", "unknown key 'keeps' in 'versions[1].truncate'. Did you mean 'keep'?"),
    ],
    ids=["rule", "commits", "operation", "form", "key"],
)
def test_check_applies_the_rules_of_the_class(tmp_path: Path, step: str, message: str) -> None:
    """'harness check' reports what the class's rules, commits, operation and form forbid."""
    exit_code, output = _run("check", _file(tmp_path, step))
    assert exit_code == ExitCode.WRONG_INPUT
    assert message in output


@pytest.mark.usefixtures("_registered")
def test_plan_describes_the_step(tmp_path: Path) -> None:
    """'harness plan' shows what the step does, and predicts its commit."""
    exit_code, output = _run("plan", _file(tmp_path, "{ keep: 3 }"), "--json")
    assert exit_code == ExitCode.PASS
    planned = json.loads(output)["versions"][-1]
    assert ("truncate (keep 3)", "-", 1, 1) == tuple(
        planned[key] for key in ("step", "rows_from", "commits", "version")
    )


@pytest.mark.usefixtures("_registered")
def test_the_schema_accepts_the_step() -> None:
    """The JSON Schema accepts the step, and rejects a wrong value in it."""
    validator = jsonschema.Draft202012Validator(make_scenario_schema())
    values = samples.scenario().model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert validator.is_valid({**values, "versions": [EMPTY]})
    assert not validator.is_valid({**values, "versions": [{**EMPTY, "truncate": {"keep": -1}}]})


@pytest.mark.usefixtures("_registered")
def test_the_report_shows_the_step() -> None:
    """The lineage diagram of the report describes the step."""
    plan = samples.plan()
    versions = (*plan.scenario.versions[:2], Version.model_validate({**EMPTY, "name": "march"}))
    changed = plan.scenario.model_copy(update={"versions": versions})
    page = render_html(plan.model_copy(update={"scenario": changed}), samples.result())
    assert "truncate (keep 3) leads to version" in page


@pytest.mark.usefixtures("_registered")
def test_a_plans_file_keeps_the_step() -> None:
    """A step of the new kind is the same after writing and reading the plan's file."""
    version = Version.model_validate(EMPTY)
    assert version == Version.model_validate_json(version.model_dump_json(by_alias=True))
    assert list(rules.check_rules(samples.scenario())) == []


def test_a_plans_file_from_before_a_kind_existed_is_read() -> None:
    """A plan that was written before the newest kind existed still loads."""
    version = Version.model_validate({"name": "one", "append": None})
    values = version.model_dump(by_alias=True)
    del values["sql"]
    assert version == Version.model_validate(values)


def test_every_kind_is_registered_by_its_key() -> None:
    """The registry, the type for exhaustive matches and the fields of a version list the same kinds."""
    assert list(get_args(AnyStep)) == list(STEPS.values())
    assert [name for name in Version.model_fields if name in STEPS] == list(STEPS)


def test_every_kind_has_its_key_and_a_docstring() -> None:
    """Every kind of step is registered by its own key and has a docstring, which the documentation uses."""
    assert [] == [kind for kind, step in STEPS.items() if step.kind != kind or not step.__doc__]
