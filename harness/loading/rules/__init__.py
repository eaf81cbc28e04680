"""Rules that a scenario must obey beyond the types of its values; a module per part of the file."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Problem
from harness.loading.rules.empty_values import empty_problems
from harness.loading.rules.expectation_rules import expectation_problems, outcome_problems
from harness.loading.rules.matrix_rules import matrix_problems
from harness.loading.rules.pipeline_rules import pipeline_problems
from harness.loading.rules.table_rules import step_problems, table_problems, version_problems
from harness.scenario.model import Scenario


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with a scenario, without looking at its data."""
    yield from empty_problems(scenario)
    yield from table_problems(scenario)
    yield from pipeline_problems(scenario)
    yield from version_problems(scenario)
    yield from step_problems(scenario)
    yield from expectation_problems(scenario)
    yield from outcome_problems(scenario)
    yield from matrix_problems(scenario, problems)
