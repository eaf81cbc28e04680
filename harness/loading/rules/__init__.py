"""Rules that a scenario must obey beyond the types of its values; a module per part of the file."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Problem
from harness.loading.rules.approve_rules import check_approve
from harness.loading.rules.champion_rules import check_champion
from harness.loading.rules.empty_values import check_empty_values
from harness.loading.rules.expectation_rules import check_expectations, check_outcome, check_segments
from harness.loading.rules.matrix_rules import check_matrix
from harness.loading.rules.pipeline_rules import check_pipeline
from harness.loading.rules.prove_rules import check_prove
from harness.loading.rules.table_rules import check_steps, check_table, check_version_list
from harness.scenario.model import Scenario


def check_rules(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with a scenario, without looking at its data."""
    yield from check_empty_values(scenario)
    yield from check_table(scenario)
    yield from check_pipeline(scenario)
    yield from check_version_list(scenario)
    yield from check_steps(scenario)
    yield from check_expectations(scenario)
    yield from check_champion(scenario)
    yield from check_outcome(scenario)
    yield from check_approve(scenario)
    yield from check_segments(scenario)
    yield from check_prove(scenario)
    yield from check_matrix(scenario, check_rules)
