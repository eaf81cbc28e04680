"""Lets pytest run scenario files: with this package installed, ``pytest scenarios/`` is all it takes.

A scenario is run once, when its first chosen test comes; each of its versions and bounds is a test, such as
``three_versions.yaml::february::cv_roc_auc >= 0.6``. Any pytest beside this package loads this module, so it
imports nothing heavy until there is a scenario, and leaves all other files alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

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
    """Let the command line say where scenarios run."""
    parser.getgroup("dataset-harness").addoption(
        _TARGET, metavar="NAME", help="Where scenarios run, such as embedded; as the settings say without."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and refuse a target that does not exist before anything is collected."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(name, version): a test of a scenario of dataset-harness, and of this version"
    )
    target = config.getoption(_TARGET)
    if target is not None:
        from harness.targets.base import NAMES

        if target not in NAMES:
            raise pytest.UsageError(
                f"{_TARGET}: there is no target '{target}'; {', '.join(NAMES)} are known."
            )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Take the YAML files that are scenarios."""
    is_yaml = file_path.suffix in (".yaml", ".yml")
    return ScenarioFile.from_parent(parent, path=file_path) if is_yaml and _is_scenario(file_path) else None


def _is_scenario(file: Path) -> bool:
    """Whether most of a scenario's keys are there: with one mistyped, the file is still meant as one."""
    try:
        text = file.read_bytes() if file.stat().st_size <= _LARGEST_BYTES else b""
    except OSError:
        return False
    return len(set(_KEY.findall(text))) >= _ENOUGH_KEYS


class Run:
    """One run of one scenario, made when the first of its tests needs it."""

    def __init__(self, loaded: LoadedScenario, target: str | None) -> None:
        self.loaded = loaded
        self._target = target

    @cached_property
    def specs(self) -> tuple[BoundSpec, ...]:
        """Every bound of the scenario."""
        from harness.bounds.specs import bound_specs

        return bound_specs(self.loaded.scenario)

    def outcome(self) -> Outcome:
        """What came out.

        Raises:
            pytest.fail.Exception: Nothing did; every test says why in the same words.
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
        """A fault is kept too: a run that broke is not made again for the next test."""
        from rich.console import Console

        from harness.request import session_of
        from harness.workflow import execute

        try:
            session = session_of(self.loaded, self._target, Console(highlight=False))
            return execute(session, self.loaded)
        except Exception as error:
            return error


class ScenarioFile(pytest.File):
    """A scenario file: one run, or one for each combination of its matrix."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Every test of the scenario; nothing is run for it.

        Raises:
            CollectError: The scenario, or the header of its data, is wrong: every problem with its line.
        """
        from harness.errors import HarnessError
        from harness.loading.loader import load_scenario
        from harness.loading.matrix_selection import chosen
        from harness.scenario.matrix import words_of

        try:
            loaded = load_scenario(self._shown_path)
        except HarnessError as error:
            raise self.CollectError(str(error)) from error
        for each in chosen(loaded):
            name = words_of(each.parameters)
            run = Run(each, self.config.getoption(_TARGET))
            yield from [Combination.from_parent(self, name=name, run=run)] if name else _tests_of(self, run)

    @property
    def _shown_path(self) -> str:
        """As messages name it: seen from the current folder where it lies below that."""
        here = self.config.invocation_params.dir
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)


class Combination(pytest.Collector):
    """One combination of a scenario's matrix, which is a run of its own."""

    def __init__(self, *, run: Run, **node: Any) -> None:
        super().__init__(**node)
        self._run = run

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Every test of this combination."""
        return _tests_of(self, self._run)


class VersionTests(pytest.Collector):
    """One version of a scenario."""

    def __init__(self, *, run: Run, index: int, **node: Any) -> None:
        super().__init__(**node)
        self._run, self._index = run, index

    def collect(self) -> Iterator[pytest.Item]:
        """That the version came about as it should, and each of its bounds."""
        place = {"run": self._run, "index": self._index}
        version = self._run.loaded.scenario.versions[self._index]
        yield MadeTest.from_parent(self, name=_made(version), **place)
        names: set[str] = set()
        for spec in self._run.specs:
            if spec.version == version.name:
                name = _unused(_title(spec), names)
                names.add(name)
                yield BoundTest.from_parent(self, name=name, spec=spec, **place)


class _Test(pytest.Item):
    """A test that needs the run; a fault of the run is an error of the test, and no failure."""

    def __init__(self, *, run: Run, index: int | None = None, **node: Any) -> None:
        super().__init__(**node)
        self.run, self.index = run, index
        scenario = run.loaded.scenario
        version = None if index is None else scenario.versions[index].name
        self.add_marker(pytest.mark.scenario(name=scenario.name, version=version))

    def setup(self) -> None:
        """The run, where no test before has made it."""
        outcome = self.run.outcome()
        self.user_properties.append(("run", outcome.result.run_id))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The version's line in the file."""
        document = self.run.loaded.document
        line = document.line_of(() if self.index is None else ("versions", self.index))
        names = [node.name for node in self.listchain() if isinstance(node, Combination | VersionTests)]
        return self.path, None if line is None else line - 1, ": ".join([*names, self.name])

    @property
    def version(self) -> VersionResult:
        """What was found of the version that the test is about."""
        if self.index is None:
            raise LookupError(self.name)
        return self.run.outcome().result.versions[self.index]


class RunTest(_Test):
    """The run came to its end and, on the cloud, agrees with the newest one here."""

    def runtest(self) -> None:
        """Look at what it was compared with: the rest has a test each."""
        from harness.results import Verdict
        from harness.views.bound_table import headline

        outcome = self.run.outcome()
        if outcome.parity is not None and outcome.parity.verdict is not Verdict.PASS:
            _fail(f"{headline(outcome.result, outcome.parity).sentence}\n{_report_of(outcome)}")


class MadeTest(_Test):
    """A version came about as the scenario says: trained, only built, or refused."""

    def runtest(self) -> None:
        """Hold what became of the version against what the scenario says."""
        version = self.run.loaded.scenario.versions[self.index or 0]
        expected = ("trained" if version.is_trained else "built", version.expect_error is not None)
        found = (self.version.status, self.version.error is not None)
        if expected != found:
            error = f" with {self.version.error}" if self.version.error else ""
            _fail(f"{version.name} is {found[0]}{error}.\n{_report_of(self.run.outcome())}")


class BoundTest(_Test):
    """One bound of one version, which holds, or fails where the scenario must come to fail by it."""

    def __init__(self, *, spec: BoundSpec, **node: Any) -> None:
        super().__init__(**node)
        self._spec = spec

    def runtest(self) -> None:
        """Take the verdict of the run."""
        from harness.results import Verdict
        from harness.views.bound_table import bound_rows

        version = self.version
        [bound] = [each for each in version.bounds if each.spec == self._spec]
        measured = bound.found if bound.spec.comparison is None else bound.measured
        self.user_properties.append(("measured", measured))
        if bound.outcome is not Verdict.PASS:
            [row] = bound_rows((version.model_copy(update={"bounds": (bound,)}),))
            must = " It must fail here, and does not." if bound.spec.must_fail else ""
            _fail(f"{row.sentence}.{must}\n{_report_of(self.run.outcome())}")


def _tests_of(node: pytest.Collector, run: Run) -> Iterator[pytest.Item | pytest.Collector]:
    yield RunTest.from_parent(node, name="the run is completed", run=run)
    for index, version in enumerate(run.loaded.scenario.versions):
        yield VersionTests.from_parent(node, name=version.name, run=run, index=index)


def _made(version: Version) -> str:
    if version.expect_error is not None:
        return f"refused with {version.expect_error}"
    return "trained" if version.is_trained else "built"


def _title(spec: BoundSpec) -> str:
    what = f"{spec.metric} change" if spec.is_change else spec.metric
    return f"{what} {spec.text}" + (", must fail" if spec.must_fail else "")


def _unused(name: str, used: set[str]) -> str:
    """The same bound may be written twice; names of tests differ."""
    number, unused = 1, name
    while unused in used:
        number += 1
        unused = f"{name} ({number})"
    return unused


def _report_of(outcome: Outcome) -> str:
    from harness.report import HTML

    return f"Report: {outcome.folder / HTML}"


def _fail(message: str) -> NoReturn:
    """Without a traceback: the message is about data, and not about code."""
    pytest.fail(message, pytrace=False)
