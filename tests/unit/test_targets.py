"""Targets as a registry: what a new one needs, and what an embedded run does not load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.loading.loader import load_scenario
from harness.parity.compare import LOCAL_AGAINST_REMOTE
from harness.resolve import resolve_plan
from harness.runs import RunFolder
from harness.setting_types import SettingSpec
from harness.settings import Settings, read_settings
from harness.targets.base import (
    Attachable,
    Schedulable,
    Sweepable,
    TracksRuns,
    open_attachable,
    open_defined,
    open_schedulable,
    open_target,
    select_remote,
)
from harness.targets.registry import (
    TARGETS,
    auto_candidates,
    describe_choices,
    find_definition,
    is_local,
    select_capable,
)
from harness.targets.run_parity import compare_runs
from harness.targets.target_definition import TargetDefinition
from tests.unit import report_samples as samples

ROOT = Path(__file__).parents[2]
HARNESS = ROOT / "harness"
SCENARIO = str(ROOT / "scenarios" / "three_versions.yaml")
RUN = "20261129-084527-three_versions-2357"
BORROWED = TargetDefinition(
    name="borrowed",
    title="borrowed",
    implementation="borrowed_target:Borrowed",
    is_local=False,
    gaps=("The neighbour's network: only a run there uses it.",),
    settings=(SettingSpec("targets.borrowed.queue", "slow", "queue of the jobs: slow or fast", "slow|fast"),),
)
_TARGET_CODE = """
from harness.plan import Environment
from harness.targets.embedded.embedded_target import Embedded


class Borrowed(Embedded):
    def environment(self, source_bytes: int | None, store: str) -> Environment:
        queue = self._settings["targets.borrowed.queue"]
        found = super().environment(source_bytes, store)
        return found.model_copy(update={"target": "borrowed", "experiment": queue})
"""
_HELP_WITH_A_FOURTH_TARGET = """
from harness.targets.registry import TARGETS
from harness.targets.target_definition import TargetDefinition

TARGETS["borrowed"] = TargetDefinition("borrowed", "borrowed", "borrowed_target:Borrowed", is_local=False)
from harness.cli import main

main()
"""
_IMPORTS_OF_A_COMMAND = """
import sys
from harness.cli import main
from harness.errors import JobError
from harness.targets.embedded.embedded_target import Embedded


def run(self, folder, listener):
    raise JobError("The job would run now.")


Embedded.run = run
try:
    main()
finally:
    sys.stderr.write("\\nIMPORTED " + " ".join(sorted(sys.modules)))
"""


@pytest.fixture(name="borrowed")
def _borrowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, with a fourth target that is registered and can really run."""
    (tmp_path / "borrowed_target.py").write_text(_TARGET_CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(TARGETS, BORROWED.name, BORROWED)
    for name in os.environ:
        if name.startswith("HARNESS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("borrowed_target", None)


def _settings(folder: Path, target: str, **environ: str) -> Settings:
    return read_settings({"target": target}, folder=folder, environ=environ)


def _environ(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    return {**inherited, "HARNESS_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "300"}


def _imports(home: Path, *arguments: str) -> list[str]:
    """Modules that a command imports before, or without, its job."""
    outcome = subprocess.run(
        [sys.executable, "-c", _IMPORTS_OF_A_COMMAND, *arguments],
        cwd=ROOT,
        env=_environ(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "IMPORTED" in outcome.stderr, outcome.stderr
    return outcome.stderr.rpartition("IMPORTED ")[2].split()


def _of_other_targets(modules: list[str]) -> list[str]:
    """The Databricks SDK, and modules of other targets than the embedded one but their definitions."""
    others = [f"harness.targets.{name}." for name in TARGETS if name != "embedded"]
    return [
        name
        for name in modules
        if name.partition(".")[0] == "databricks"
        or (name.startswith(tuple(others)) and not name.endswith("_definition"))
    ]


def test_an_embedded_run_loads_no_other_target(tmp_path: Path) -> None:
    """A scenario on the embedded target imports neither the Databricks SDK nor another target's code."""
    modules = _imports(tmp_path, "scenario", SCENARIO, "--target", "embedded")
    assert "harness.targets.embedded.embedded_target" in modules
    assert "harness.wheel" in modules  # The plan was resolved: the run got as far as its job.
    assert [] == _of_other_targets(modules)


def test_the_conclusion_of_an_embedded_run_loads_no_other_target(tmp_path: Path) -> None:
    """Judging and reporting an embedded run imports neither the Databricks SDK nor another target's code."""
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    for name in ("plan.json", "result.json"):
        (folder / name).write_bytes((Path(__file__).parent / "samples" / "format_1" / name).read_bytes())
    modules = _imports(tmp_path, "attach", RUN)
    assert "harness.report.html" in modules
    assert (folder / "report.html").is_file()
    assert [] == _of_other_targets(modules)


def test_modules_of_another_target_are_noticed() -> None:
    """The two tests above can fail: the SDK and a target's client are noticed, its definition is not."""
    found = _of_other_targets(
        [
            "databricks.sdk",
            "harness.targets.compose.stack",
            "harness.targets.compose.compose_definition",
            "harness.targets.embedded.embedded_target",
        ]
    )
    assert ["databricks.sdk", "harness.targets.compose.stack"] == found


def _literals(source: str) -> list[str]:
    """Every string in a module that is a target's name, such as one that a value is compared with."""
    tree = ast.walk(ast.parse(source))
    return [str(node.value) for node in tree if isinstance(node, ast.Constant) and node.value in TARGETS]


def _compared(source: str) -> list[str]:
    """Every comparison with the name of a target's definition."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and any(name in ast.unparse(node) for name in ("EMBEDDED", "COMPOSE.", "DATABRICKS."))
    ]


@pytest.mark.parametrize(
    "source",
    [
        'if target == "databricks": pass',
        'match target:\n    case "compose": pass',
        'x = target in ("embedded", "other")',
        'CLOUD = "databricks"',
        'TARGETS["compose"]',
    ],
)
def test_a_targets_name_in_code_is_noticed(source: str) -> None:
    """The test below can fail: a comparison, a case, a constant and a subscript are noticed."""
    assert 1 == len(_literals(source))


def test_a_comparison_with_a_definitions_name_is_noticed() -> None:
    """The test below can fail: a comparison with a definition's name is noticed."""
    assert ["target == DATABRICKS.name"] == _compared("if target == DATABRICKS.name: pass")


def test_no_code_outside_a_targets_folder_knows_its_name() -> None:
    """No module outside of harness/targets/NAME has that name as a string, or compares with it."""
    folders = [HARNESS / "targets" / name for name in TARGETS]
    found = {
        str(file.relative_to(ROOT)): [*_literals(text), *_compared(text)]
        for file in sorted(HARNESS.rglob("*.py"))
        if not any(folder in file.parents for folder in folders)
        and (text := file.read_text(encoding="utf-8"))
    }
    assert {} == {file: names for file, names in found.items() if names}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_can_do_what_its_definition_says(tmp_path: Path, name: str) -> None:
    """The capabilities in a definition are those of the class: no more, and no fewer."""
    definition = TARGETS[name]
    target = open_defined(definition, _settings(tmp_path, name), print)
    expected = (
        definition.can_attach,
        definition.can_schedule,
        definition.can_sweep,
        definition.serves_tracking,
    )
    assert expected == (
        isinstance(target, Attachable),
        isinstance(target, Schedulable),
        isinstance(target, Sweepable),
        isinstance(target, TracksRuns),
    )


def test_a_definition_that_promises_too_much_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that can't do what its definition says is a bug, which is reported as such."""
    from dataclasses import replace

    for name in ("databricks", "compose"):
        monkeypatch.delitem(TARGETS, name)
    monkeypatch.setitem(TARGETS, "embedded", replace(TARGETS["embedded"], can_schedule=True))
    with pytest.raises(TypeError, match="Embedded is not SchedulableTarget, as its definition says"):
        open_schedulable(_settings(tmp_path, "embedded"), print)


@pytest.mark.parametrize("name", TARGETS)
def test_a_targets_own_settings_have_its_prefix_or_are_its_own(name: str) -> None:
    """No two targets declare the same setting."""
    own = {spec.name for spec in TARGETS[name].settings}
    others = {spec.name for each in TARGETS.values() if each.name != name for spec in each.settings}
    assert set() == own & others


def test_a_fourth_target_is_in_the_help(tmp_path: Path) -> None:
    """--help lists a target that is registered, without another edit."""
    outcome = subprocess.run(
        [sys.executable, "-c", _HELP_WITH_A_FOURTH_TARGET, "scenario", "--help"],
        env=_environ(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "embedded, compose, databricks, borrowed, or auto: compose if " in " ".join(outcome.stdout.split())


def test_a_fourth_target_is_valid(borrowed: Path) -> None:
    """The message about a mistyped target suggests it."""
    with pytest.raises(UsageError) as caught:
        open_target(_settings(borrowed, "borowed"))  # codespell:ignore
    assert str(caught.value) == (
        "Unknown target 'borowed'. Did you mean 'borrowed'?\n"  # codespell:ignore
        "  Known targets: auto, embedded, compose, databricks, borrowed."
    )


def test_a_fourth_target_has_settings(borrowed: Path) -> None:
    """Its own settings are read, checked and described like any other."""
    variable = "HARNESS_TARGETS_BORROWED_QUEUE"
    settings = _settings(borrowed, "borrowed", **{variable: "fast"})
    assert ("fast", variable) == (
        settings["targets.borrowed.queue"],
        settings.by_name["targets.borrowed.queue"].origin,
    )
    with pytest.raises(UsageError, match="queue of the jobs: slow or fast"):
        _settings(borrowed, "borrowed", **{variable: "none"})


def test_doctor_checks_a_fourth_target(borrowed: Path) -> None:
    """'harness doctor' shows its checks."""
    outcome = CliRunner().invoke(app, ["doctor", "--target", "borrowed"])
    assert ExitCode.PASS == outcome.exit_code, outcome.output
    assert "Java 17" in outcome.output
    assert not (borrowed / ".harness").exists()


def test_a_plan_is_resolved_for_a_fourth_target(borrowed: Path) -> None:
    """A run on it is planned with its environment and settings."""
    settings = _settings(borrowed, "borrowed")
    plan = resolve_plan(load_scenario(SCENARIO), settings, open_target(settings))
    assert ("borrowed", "slow") == (plan.environment.target, plan.environment.experiment)
    assert {"targets.borrowed.queue": "slow"} == {
        each.name: each.value for each in plan.settings if "borrowed" in each.name
    }


def test_a_fourth_target_is_compared_on_its_own_terms(borrowed: Path) -> None:
    """A run on it is compared with a local run as a remote one, with its own gaps."""
    assert borrowed.is_dir()
    parity = compare_runs(samples.result(), samples.result(target="borrowed"))
    assert (BORROWED.gaps, LOCAL_AGAINST_REMOTE) == (parity.gaps, parity.tolerances)
    assert BORROWED is select_remote(_settings(borrowed, "borrowed"))


def test_a_target_is_selected_by_what_it_can_do(tmp_path: Path) -> None:
    """The settings' target if it can, or else the first that can; nobody has to name one."""
    names = {
        target: select_capable(target, lambda each: each.can_sweep, "sweep").name
        for target in ("auto", "embedded", "databricks")
    }
    assert {"auto": "databricks", "embedded": "databricks", "databricks": "databricks"} == names
    with pytest.raises(UsageError, match=r"No target can fly\."):
        select_capable("auto", lambda each: each.name == "", "fly")
    assert "databricks" == select_remote(_settings(tmp_path, "embedded")).name


def test_auto_prefers_by_rank() -> None:
    """Only targets with a preference are candidates, and the fallback has no condition."""
    assert ["compose", "embedded"] == [each.name for each in auto_candidates()]
    assert describe_choices() == (
        "embedded, compose, databricks, or auto: compose if its engine and images are ready, "
        "otherwise embedded"
    )


def test_auto_stays_with_folders_of_this_machine(tmp_path: Path) -> None:
    """Settings that name local folders leave only targets that can use them."""
    report: list[str] = []
    settings = read_settings({"lake": str(tmp_path)}, folder=tmp_path, environ={})
    target = open_target(settings, report.append)
    expected = ["Target: embedded, because the settings name folders of this machine."]
    assert ("Embedded", expected) == (type(target).__name__, report)


def test_a_run_that_ends_with_its_command_can_not_be_attached_to(tmp_path: Path) -> None:
    """The message names the run, the target and what to do instead."""
    run = RunFolder.create(tmp_path, RUN)
    (run.path / "plan.json").write_text('{"environment": {"target": "compose"}}', encoding="utf-8")
    with pytest.raises(UsageError, match=f"Can't attach to the run {RUN}: a run on the Compose target ends"):
        open_attachable(_settings(tmp_path, "auto"), run, print)


def test_a_run_on_a_target_that_outlives_it_needs_a_submission(tmp_path: Path) -> None:
    """Attaching opens the target that the run's plan names."""
    run = RunFolder.create(tmp_path, RUN)
    (run.path / "plan.json").write_text('{"environment": {"target": "databricks"}}', encoding="utf-8")
    target = open_attachable(_settings(tmp_path, "auto"), run, print)
    with pytest.raises(PrerequisiteError, match="was never submitted"):
        target.attach(run.path, lambda _event: None)


def test_an_unknown_target_counts_as_local() -> None:
    """A stored run of a target that is not registered any more is compared as a local one."""
    assert [True, True, False] == [is_local(name) for name in ("gone", "compose", "databricks")]
    with pytest.raises(UsageError, match="Unknown target 'gone'"):
        find_definition("gone")
