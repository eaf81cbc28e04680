"""What a scenario must obey beyond its grammar, each part of it in a module of its own."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Problem
from harness.scenario.model import Scenario
from harness.scenario.rules.empty import empty_problems
from harness.scenario.rules.expectations import expectation_problems
from harness.scenario.rules.matrix import matrix_problems
from harness.scenario.rules.outcome import outcome_problems
from harness.scenario.rules.pipeline import pipeline_problems
from harness.scenario.rules.rows import row_problems
from harness.scenario.rules.steps import step_problems
from harness.scenario.rules.table import table_problems
from harness.scenario.rules.versions import version_problems


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that is wrong with a scenario in itself, without looking at its data."""
    yield from empty_problems(scenario)
    yield from table_problems(scenario)
    yield from pipeline_problems(scenario)
    yield from version_problems(scenario)
    yield from step_problems(scenario)
    yield from row_problems(scenario)
    yield from expectation_problems(scenario)
    yield from outcome_problems(scenario)
    yield from matrix_problems(scenario, problems)
