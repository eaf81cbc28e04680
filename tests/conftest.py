"""The Spark session and the real loans, shared by all tests that need them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Whatever takes time to import is imported by the fixture that needs it: one test file starts at once.
if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from harness.scenario.model import Scenario

# A shell that starts the tests in the background makes them, and every command they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests choose the target of a scenario, whatever this machine has ready.
os.environ["HARNESS_TARGET"] = "embedded"
# Failures on purpose must not become annotations of a GitHub workflow.
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
    os.environ.pop(_name, None)

# The scenarios below this folder are not tests, even with the plugin (see dataset_harness/pytest_plugin.py).
collect_ignore_glob = ["*.yaml"]

SCENARIOS = Path(__file__).parents[1] / "scenarios"


class OneStack(LoadFileScheduling):  # type: ignore[misc] # It has no types.
    """A scheduler that keeps each file, and all files of Compose, in one process, as they share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "tests/compose"
        return folder if nodeid.startswith(f"{folder}/") else str(super()._split_scope(nodeid))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites expected messages for review instead of checking them."""
    parser.addoption(
        "--update",
        action="store_true",
        help="rewrite the messages that tests/unit/bad expects, and docs/loans.ipynb",
    )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneStack | None:
    """Return the scheduler that keeps each file in one process."""
    return OneStack(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Skip Hypothesis's summary if no test used it: the summary alone would import it, which takes 0.6 s."""
    plugin = session.config.pluginmanager.get_plugin("hypothesispytest")
    if plugin is not None and "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(plugin)


@dataclass(frozen=True)
class Loans:
    """The shipped scenario and its source rows."""

    scenario: Scenario
    source: DataFrame

    def january(self) -> DataFrame:
        """Return the rows of version 0."""
        return self.source.where("issue_d = '2018-01-01'")

    def march(self) -> DataFrame:
        """Return the rows of version 2, which are all rows."""
        return self.source


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Open a session like that of the embedded target's job, in this process."""
    from harness.job.spark_session import open_spark_session
    from harness.settings import read_settings
    from harness.targets.embedded.embedded_target import Embedded

    home = tmp_path_factory.mktemp("harness")
    target = Embedded(read_settings({"home": str(home)}, folder=home, environ={}))
    with pytest.MonkeyPatch.context() as patch:
        classes = target._find_class_archive()
        # Only a run that ends before the tests do could write an archive.
        shared = classes.options if classes.file.is_file() else ()
        for name, value in target._process_environment(os.environ, None, shared).items():
            patch.setenv(name, value)
        session = open_spark_session(target.environment(0, "models"))
        yield session
        session.stop()


@pytest.fixture(scope="session")
def loans(spark: SparkSession) -> Loans:
    from harness.content_digests import ContentDigests
    from harness.job.source_reader import read_source
    from harness.loading.loader import load_scenario
    from harness.resolve import describe_source

    loaded = load_scenario(str(SCENARIOS / "three_versions.yaml"))
    [found] = loaded.sources.values()
    source = describe_source(found, ContentDigests(Path()))
    return Loans(loaded.scenario, read_source(spark, source, loaded.scenario.table).persist())
