"""The registry of targets, a fourth target that is added to it, and lazy imports."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.loading.loader import load_scenario
from harness.parity.compare import LOCAL_AGAINST_CLOUD
from harness.request import RunRequest
from harness.resolve import resolve_plan
from harness.runs import RunFolder
from harness.setting_types import SettingSpec
from harness.settings import Settings, read_settings
from harness.targets.base import (
    Attachable,
    Schedulable,
    SearchesRuns,
    Sweepable,
    TracksRuns,
    open_attachable,
    open_defined,
    open_schedulable,
    open_target,
    select_cloud_target,
)
from harness.targets.registry import (
    TARGETS,
    describe_choices,
    find_definition,
    is_local,
    list_auto_candidates,
    select_capable,
)
from harness.targets.run_parity import compare_runs
from harness.targets.target_definition import TargetDefinition
from harness.workflow import validate
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
    gaps=("The neighbor's network: only a run there uses it.",),
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
    """Provide a folder with a fourth target, which is registered and can really run."""
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
    """Return the modules that a command imports without running its job."""
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


def _modules_of_other_targets(modules: list[str]) -> list[str]:
    """Return the Databricks SDK and modules of other targets, except definitions."""
    others = [f"harness.targets.{name}." for name in TARGETS if name != "embedded"]
    return [
        name for name in modules if name.partition(".")[0] == "databricks" or name.startswith(tuple(others))
    ]


def test_an_embedded_run_loads_no_other_target(tmp_path: Path) -> None:
    """A scenario on the embedded target imports neither the Databricks SDK nor another target's code."""
    modules = _imports(tmp_path, "scenario", SCENARIO, "--target", "embedded")
    assert "harness.targets.embedded.embedded_target" in modules
    assert "harness.wheel" in modules  # The plan was resolved: the run got as far as its job.
    assert [] == _modules_of_other_targets(modules)


def test_the_conclusion_of_an_embedded_run_loads_no_other_target(tmp_path: Path) -> None:
    """Judging and reporting an embedded run imports neither the Databricks SDK nor another target's code."""
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    for name in ("plan.json", "result.json"):
        (folder / name).write_bytes((Path(__file__).parent / "samples" / "format_1" / name).read_bytes())
    modules = _imports(tmp_path, "attach", RUN)
    assert "harness.report.html" in modules
    assert (folder / "report.html").is_file()
    assert [] == _modules_of_other_targets(modules)


def test_modules_of_another_target_are_detected() -> None:
    """The two tests above can fail: the SDK and a target's client are detected, its definition is not."""
    detected = _modules_of_other_targets(
        [
            "databricks.sdk",
            "harness.targets.compose.stack",
            "harness.targets.compose",
            "harness.targets.embedded.embedded_target",
        ]
    )
    assert ["databricks.sdk", "harness.targets.compose.stack"] == detected


def _find_literals(source: str) -> list[str]:
    """Return every string in a module that is a target's name, such as one in a comparison."""
    tree = ast.walk(ast.parse(source))
    return [str(node.value) for node in tree if isinstance(node, ast.Constant) and node.value in TARGETS]


def _find_comparisons(source: str) -> list[str]:
    """Return every comparison with the name of a target's definition."""
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
def test_a_targets_name_in_code_is_detected(source: str) -> None:
    """The test below can fail: a comparison, a case, a constant and a subscript are detected."""
    assert 1 == len(_find_literals(source))


def test_a_comparison_with_a_definitions_name_is_detected() -> None:
    """The test below can fail: a comparison with a definition's name is detected."""
    assert ["target == DATABRICKS.name"] == _find_comparisons("if target == DATABRICKS.name: pass")


def test_no_code_outside_a_targets_folder_uses_its_name() -> None:
    """No module outside of harness/targets/NAME has that name as a string or compares with it."""
    folders = [HARNESS / "targets" / name for name in TARGETS]
    names_by_file = {
        str(file.relative_to(ROOT)): [*_find_literals(text), *_find_comparisons(text)]
        for file in sorted(HARNESS.rglob("*.py"))
        if not any(folder in file.parents for folder in folders)
        and (text := file.read_text(encoding="utf-8"))
    }
    assert {} == {file: names for file, names in names_by_file.items() if names}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_the_capabilities_of_its_definition(tmp_path: Path, name: str) -> None:
    """The capabilities in a definition are exactly those of the class."""
    definition = TARGETS[name]
    target = open_defined(definition, _settings(tmp_path, name), print)
    expected = (
        definition.can_attach,
        definition.can_schedule,
        definition.can_sweep,
        definition.serves_tracking,
        definition.searches_runs,
    )
    assert expected == (
        isinstance(target, Attachable),
        isinstance(target, Schedulable),
        isinstance(target, Sweepable),
        isinstance(target, TracksRuns),
        isinstance(target, SearchesRuns),
    )


def test_a_definition_that_promises_too_much_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that lacks a capability of its definition is reported as a bug."""
    from dataclasses import replace

    for name in ("databricks", "compose"):
        monkeypatch.delitem(TARGETS, name)
    monkeypatch.setitem(TARGETS, "embedded", replace(TARGETS["embedded"], can_schedule=True))
    with pytest.raises(TypeError, match="Embedded is not SchedulableTarget, but its definition promises it"):
        open_schedulable(_settings(tmp_path, "embedded"), print)


@pytest.mark.parametrize("name", TARGETS)
def test_no_two_targets_share_a_setting(name: str) -> None:
    """No two targets declare the same setting."""
    own = {spec.name for spec in TARGETS[name].settings}
    others = {spec.name for each in TARGETS.values() if each.name != name for spec in each.settings}
    assert set() == own & others


def test_a_fourth_target_is_in_the_help(tmp_path: Path) -> None:
    """A registered target is listed by --help without another change."""
    outcome = subprocess.run(
        [sys.executable, "-c", _HELP_WITH_A_FOURTH_TARGET, "scenario", "--help"],
        env=_environ(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = f"{', '.join(TARGETS)}, borrowed, or auto (compose if "
    assert expected in " ".join(outcome.stdout.split())


def test_a_fourth_target_is_suggested(borrowed: Path) -> None:
    """The message about a mistyped target suggests the fourth one."""
    with pytest.raises(UsageError) as caught:
        open_target(_settings(borrowed, "borowed"))  # codespell:ignore
    assert str(caught.value) == (
        "Unknown target 'borowed' (command line). Did you mean 'borrowed'?\n"  # codespell:ignore
        f"  Known targets: auto, {', '.join(TARGETS)}."
    )


def test_a_fourth_target_has_settings(borrowed: Path) -> None:
    """The settings of a fourth target are read, checked and described like all others."""
    variable = "HARNESS_TARGETS_BORROWED_QUEUE"
    settings = _settings(borrowed, "borrowed", **{variable: "fast"})
    assert ("fast", variable) == (
        settings["targets.borrowed.queue"],
        settings.by_name["targets.borrowed.queue"].origin,
    )
    with pytest.raises(UsageError, match="queue of the jobs: slow or fast"):
        _settings(borrowed, "borrowed", **{variable: "none"})


def test_doctor_checks_a_fourth_target(borrowed: Path) -> None:
    """'harness doctor' shows the checks of a fourth target."""
    outcome = CliRunner().invoke(app, ["doctor", "--target", "borrowed"])
    assert ExitCode.PASS == outcome.exit_code, outcome.output
    assert "Java 17" in outcome.output
    assert not (borrowed / ".harness").exists()


def test_a_plan_is_resolved_for_a_fourth_target(borrowed: Path) -> None:
    """A plan for a fourth target has its environment and settings."""
    settings = _settings(borrowed, "borrowed")
    plan = resolve_plan(load_scenario(SCENARIO), settings, open_target(settings))
    assert ("borrowed", "slow") == (plan.environment.target, plan.environment.experiment)
    assert {"targets.borrowed.queue": "slow"} == {
        each.name: each.value for each in plan.settings if "borrowed" in each.name
    }


def test_a_fourth_target_has_its_own_gaps(borrowed: Path) -> None:
    """A run on a remote fourth target is compared with a local run, with the target's gaps."""
    assert borrowed.is_dir()
    parity = compare_runs(samples.result(), samples.result(target="borrowed"))
    assert (BORROWED.gaps, LOCAL_AGAINST_CLOUD) == (parity.gaps, parity.tolerances)
    assert BORROWED is select_cloud_target(_settings(borrowed, "borrowed"))


def test_a_target_is_selected_by_capability(tmp_path: Path) -> None:
    """The settings' target is selected if it has the capability, otherwise the first one that has it."""
    names = {
        target: select_capable(target, lambda each: each.can_sweep, "sweep").name
        for target in ("auto", "embedded", "databricks")
    }
    assert {"auto": "databricks", "embedded": "databricks", "databricks": "databricks"} == names
    with pytest.raises(UsageError, match=r"No target can fly\."):
        select_capable("auto", lambda each: each.name == "", "fly")
    assert "databricks" == select_cloud_target(_settings(tmp_path, "embedded")).name


@pytest.mark.parametrize("command", ["history table", "retain", "ui"])
def test_runs_of_the_cloud_are_not_looked_for_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Commands that read local runs refuse a target that tracks its runs elsewhere."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command.split(), "--target", "databricks"])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == (
        "Runs on Databricks are tracked there; this command only reads local runs.\n"
        "  Look at the MLflow pages of Databricks, or use --target embedded, compose or auto."
    )


def test_validate_names_a_local_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloud target isn't replaced by a local one, as it would be without a word."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="--target databricks: 'validate' runs locally first"):
        validate(RunRequest("three_versions", "databricks"), Console())


def test_auto_prefers_by_rank() -> None:
    """Only targets with a preference are candidates, and the fallback has no condition."""
    assert ["compose", "embedded"] == [each.name for each in list_auto_candidates()]
    assert describe_choices() == (
        f"{', '.join(TARGETS)}, or auto (compose if its images are built and neither 'lake' nor "
        "'stores.models' is a local folder, otherwise embedded)"
    )


def test_auto_stays_with_folders_of_this_machine(tmp_path: Path) -> None:
    """If the settings name local folders, only targets that can use them are candidates."""
    report: list[str] = []
    settings = read_settings({"lake": str(tmp_path)}, folder=tmp_path, environ={})
    target = open_target(settings, report.append)
    expected = ["Target: embedded, because 'lake' is a local folder."]
    assert ("Embedded", expected) == (type(target).__name__, report)


def test_a_run_that_ends_with_its_command_can_not_be_attached_to(tmp_path: Path) -> None:
    """Attaching to such a run is refused with the run, the target and the remedy."""
    run = RunFolder.create(tmp_path, RUN)
    (run.path / "plan.json").write_text('{"environment": {"target": "compose"}}', encoding="utf-8")
    with pytest.raises(UsageError, match=f"Can't attach to the run {RUN}: a run on the Compose target ends"):
        open_attachable(_settings(tmp_path, "auto"), run, print)


def test_attaching_opens_the_target_of_the_plan(tmp_path: Path) -> None:
    """Attaching opens the target of the run's plan, which requires that the run was submitted."""
    run = RunFolder.create(tmp_path, RUN)
    (run.path / "plan.json").write_text('{"environment": {"target": "databricks"}}', encoding="utf-8")
    target = open_attachable(_settings(tmp_path, "auto"), run, print)
    with pytest.raises(PrerequisiteError, match="was never submitted"):
        target.attach(run.path, lambda _event: None)


def test_an_unknown_target_counts_as_local() -> None:
    """A stored run on a target that is no longer registered is compared as a local one."""
    assert [True, True, False] == [is_local(name) for name in ("gone", "compose", "databricks")]
    with pytest.raises(UsageError, match="Unknown target 'gone'"):
        find_definition("gone")
