"""The pytest plugin that runs scenario files: install this package and run ``pytest scenarios/``.

A scenario runs once, before its first selected test; each of its versions and bounds is a test, such as
``three_versions.yaml::february::cv_roc_auc >= 0.6``. Every pytest in the same environment loads this
module, so it imports nothing heavy before it finds a scenario, and ignores all other files. The tests of a
project with a package ``harness`` of its own never see ours: it is only imported inside ``own_package``.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from dataset_harness import own_package

if TYPE_CHECKING:
    from harness.loading.loader import LoadedScenario
    from harness.results import VersionResult
    from harness.scenario.bound_spec import BoundSpec
    from harness.scenario.model import Version
    from harness.workflow import Outcome

_KEY = re.compile(rb"^(name|table|pipeline|versions)[ \t]*:", re.MULTILINE)
_ENOUGH_KEYS = 3
_LARGEST_BYTES = 1_000_000
_TARGET = "--scenario-target"
_MARKER = "scenario"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option for the target on which scenarios run."""
    parser.getgroup("dataset-harness").addoption(
        _TARGET,
        metavar="NAME",
        help="The target on which scenarios run, such as embedded (default: from the settings).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and refuse an unknown target before anything is collected."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(name, version): a test of a scenario of dataset-harness, at this version"
    )
    target = config.getoption(_TARGET)
    if target is not None:
        _require_target(target)


@own_package()
def _require_target(target: str) -> None:
    from harness.targets.registry import list_target_names

    if target not in list_target_names():
        raise pytest.UsageError(
            f"{_TARGET}: unknown target '{target}'. Known targets: {', '.join(list_target_names())}."
        )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Collect the YAML files that are scenarios."""
    is_yaml = file_path.suffix in (".yaml", ".yml")
    return ScenarioFile.from_parent(parent, path=file_path) if is_yaml and _is_scenario(file_path) else None


def _is_scenario(file: Path) -> bool:
    """Return whether a file has most of a scenario's keys, as one of them may be mistyped."""
    try:
        text = file.read_bytes() if file.stat().st_size <= _LARGEST_BYTES else b""
    except OSError:
        return False
    return len(set(_KEY.findall(text))) >= _ENOUGH_KEYS


class ScenarioRun:
    """One run of one scenario, which starts when the first of its tests needs it."""

    def __init__(self, loaded: LoadedScenario, target: str | None) -> None:
        self.loaded = loaded
        self._target = target

    @cached_property
    def specs(self) -> tuple[BoundSpec, ...]:
        """Every bound of the scenario."""
        from harness.bounds.specs import list_bound_specs

        return list_bound_specs(self.loaded.scenario)

    def outcome(self) -> Outcome:
        """Return the outcome of the run.

        Raises:
            pytest.fail.Exception: There is no outcome; every test fails with the same message.
        """
        from harness.errors import HarnessError, InterruptedRunError

        found = self._outcome
        if isinstance(found, InterruptedRunError):
            raise KeyboardInterrupt from found
        if isinstance(found, HarnessError):
            _fail(str(found))
        if isinstance(found, Exception):
            raise found
        failure = found.result.failure
        if failure is not None:
            _fail("\n  ".join(filter(None, (failure.message, failure.remedy))))
        return found

    @cached_property
    def _outcome(self) -> Outcome | Exception:
        """The outcome, or the error: a failed run doesn't start again for the next test."""
        from harness.report.terminal.console import PlainConsole
        from harness.request import make_session
        from harness.workflow import execute

        try:
            session = make_session(self.loaded, self._target, PlainConsole(highlight=False))
            return execute(session, self.loaded)
        except Exception as error:
            return error


class ScenarioFile(pytest.File):
    """A scenario file: one run, or one for each combination of its matrix."""

    @own_package()
    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """Return every test of the scenario, without running it.

        Raises:
            CollectError: The scenario or the header of its data has mistakes, or a bound compares with a run
                that can't be a baseline; each with its line.
        """
        from harness.errors import HarnessError
        from harness.loading.baseline_lookup import check_baselines
        from harness.loading.loader import load_scenario
        from harness.loading.matrix_selection import select_combinations
        from harness.scenario.matrix import describe_parameters
        from harness.settings import read_settings

        try:
            loaded = load_scenario(self._shown_path)
            check_baselines(loaded, lambda: read_settings().runs)
        except HarnessError as error:
            raise self.CollectError(str(error)) from error
        tests: list[pytest.Item | pytest.Collector] = []
        for each in select_combinations(loaded):
            name = describe_parameters(each.parameters)
            run = ScenarioRun(each, self.config.getoption(_TARGET))
            tests += (
                [CombinationTests.from_parent(self, name=name, run=run)] if name else _make_tests(self, run)
            )
        return tests

    @property
    def _shown_path(self) -> str:
        """The file as messages name it: relative to the current folder if it is below it."""
        here = self.config.invocation_params.dir
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)


class CombinationTests(pytest.Collector):
    """One combination of a scenario's matrix, which has its own run."""

    def __init__(self, *, run: ScenarioRun, **node: Any) -> None:
        super().__init__(**node)
        self._run = run

    @own_package()
    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """Return every test of this combination."""
        return _make_tests(self, self._run)


class VersionTests(pytest.Collector):
    """One version of a scenario."""

    def __init__(self, *, run: ScenarioRun, index: int, **node: Any) -> None:
        super().__init__(**node)
        self._run, self._index = run, index

    @own_package()
    def collect(self) -> list[pytest.Item]:
        """Return a test of the version's status, and one for each of its bounds."""
        options = {"run": self._run, "index": self._index}
        version = self._run.loaded.scenario.versions[self._index]
        tests: list[pytest.Item] = [StatusTest.from_parent(self, name=_make_status_title(version), **options)]
        names: set[str] = set()
        for spec in self._run.specs:
            if spec.version == version.name:
                name = _make_unique_name(_make_title(spec), names)
                names.add(name)
                tests.append(BoundTest.from_parent(self, name=name, spec=spec, **options))
        return tests


class _Test(pytest.Item):
    """A test that needs the run; a failure of the run is an error of the test, not a failed test."""

    def __init__(self, *, run: ScenarioRun, index: int | None = None, **node: Any) -> None:
        super().__init__(**node)
        self.run, self.index = run, index
        scenario = run.loaded.scenario
        version = None if index is None else scenario.versions[index].name
        self.add_marker(pytest.mark.scenario(name=scenario.name, version=version))

    @own_package()
    def setup(self) -> None:
        """Run the scenario if no earlier test has."""
        outcome = self.run.outcome()
        self.user_properties.append(("run", outcome.result.run_id))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the version's line in the file."""
        document = self.run.loaded.document
        line = document.line_of(() if self.index is None else ("versions", self.index))
        names = [node.name for node in self.listchain() if isinstance(node, CombinationTests | VersionTests)]
        return self.path, None if line is None else line - 1, ": ".join([*names, self.name])

    @property
    def version(self) -> VersionResult:
        """The result of the tested version."""
        if self.index is None:
            raise LookupError(self.name)
        return self.run.outcome().result.versions[self.index]


class RunTest(_Test):
    """A test that the run is completed, judges a bound and, in the cloud, agrees with the local run."""

    @own_package()
    def runtest(self) -> None:
        """Check the comparison with another run; other tests check everything else."""
        from harness.results import Verdict
        from harness.views.bound_table import make_headline

        outcome = self.run.outcome()
        if outcome.result.reason:
            _fail(f"{make_headline(outcome.result).sentence}\n{_report_of(outcome)}")
        if outcome.parity is not None and outcome.parity.verdict is not Verdict.PASS:
            _fail(f"{make_headline(outcome.result, outcome.parity).sentence}\n{_report_of(outcome)}")


class StatusTest(_Test):
    """A test that a version has the expected status: trained, only built, or refused."""

    @own_package()
    def runtest(self) -> None:
        """Compare the version's status with the scenario, and check the bounds that every version has."""
        from harness.views.bound_table import make_bound_rows

        version = self.run.loaded.scenario.versions[self.index or 0]
        expected = ("trained" if version.is_trained else "built", version.expect_error is not None)
        found = (self.version.status, self.version.error is not None)
        if expected != found:
            error = f" with {self.version.error}" if self.version.error else ""
            _fail(f"{version.name} is {found[0]}{error}.\n{_report_of(self.run.outcome())}")
        implicit = tuple(bound for bound in self.version.bounds if bound.spec.is_implicit)
        for row in make_bound_rows((self.version.model_copy(update={"bounds": implicit}),)):
            _fail(f"{row.sentence}.\n{_report_of(self.run.outcome())}")


class BoundTest(_Test):
    """A test of one bound of one version, which passes if the bound's outcome is a pass."""

    def __init__(self, *, spec: BoundSpec, **node: Any) -> None:
        super().__init__(**node)
        self._spec = spec

    @own_package()
    def runtest(self) -> None:
        """Check the outcome that the run found."""
        from harness.results import Verdict
        from harness.views.bound_table import make_bound_rows

        version = self.version
        [bound] = [each for each in version.bounds if each.spec == self._spec]
        measured = bound.found if bound.spec.comparison is None else bound.measured
        self.user_properties.append(("measured", measured))
        if bound.outcome is not Verdict.PASS:
            [row] = make_bound_rows((version.model_copy(update={"bounds": (bound,)}),))
            must = " It must fail here, but doesn't." if bound.spec.must_fail else ""
            _fail(f"{row.sentence}.{must}\n{_report_of(self.run.outcome())}")


def _make_tests(node: pytest.Collector, run: ScenarioRun) -> list[pytest.Item | pytest.Collector]:
    versions = [
        VersionTests.from_parent(node, name=version.name, run=run, index=index)
        for index, version in enumerate(run.loaded.scenario.versions)
    ]
    return [RunTest.from_parent(node, name="the run is completed", run=run), *versions]


def _make_status_title(version: Version) -> str:
    if version.expect_error is not None:
        return f"failed as expected with {version.expect_error}"
    return "trained" if version.is_trained else "built"


def _make_title(spec: BoundSpec) -> str:
    what = f"{spec.metric} change" if spec.is_change else spec.metric
    return f"{what} {spec.text}" + (", must fail" if spec.must_fail else "")


def _make_unique_name(name: str, used: set[str]) -> str:
    """Return a name that no other test has, as a scenario may contain the same bound twice."""
    number, unused = 1, name
    while unused in used:
        number += 1
        unused = f"{name} ({number})"
    return unused


def _report_of(outcome: Outcome) -> str:
    from harness.report import HTML

    return f"Report: {outcome.folder / HTML}"


def _fail(message: str) -> NoReturn:
    """Fail without a traceback: the message is about data, not about code."""
    from harness.views.formatting import show_control_characters

    pytest.fail(show_control_characters(message), pytrace=False)
