"""Faults in the data of a version, judged on this machine within seconds, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.bounds.judge import Baselines, judge_versions
from harness.bounds.specs import needs_model
from harness.errors import UsageError
from harness.faults.catalogue import ImpossibleFaultError
from harness.faults.statements import fill_in_dose
from harness.plan import Account
from harness.results import BoundResult, Result, VersionResult
from harness.scenario.model import Scenario
from harness.studies.proving.dose_search import DoseSearch
from harness.studies.proving.local_engine import (
    LocalEngine,
    UntranslatableError,
    read_rows,
    select_facts,
    split_rows,
    translate,
)
from harness.studies.proving.local_facts import LocalFacts
from harness.studies.proving.matrix import Control, FaultRow
from harness.studies.proving.selection import ChosenFault


@dataclass(frozen=True)
class LocalProof:
    """A version whose faults are judged by the bounds that need no model."""

    scenario: Scenario
    versions: Sequence[VersionResult]
    baselines: Baselines
    version: str
    facts: LocalFacts
    engine: LocalEngine

    @classmethod
    def open(
        cls,
        scenario: Scenario,
        result: Result,
        version: str,
        baselines: Baselines,
        accounts: Sequence[Account] = (),
    ) -> LocalProof:
        """Read the rows of a version, and count those from before.

        Args:
            scenario: The scenario with the bounds.
            result: A finished run of the scenario.
            version: The version whose added rows get faults.
            baselines: The numbers of other runs that bounds compare with.
            accounts: The storage accounts that this machine has credentials for.

        Raises:
            UsageError: The rows, or an expression, need Spark.
        """
        names = [each.name for each in result.versions]
        now = result.versions[names.index(version)]
        before = result.versions[names.index(version) - 1]
        present = scenario.model_copy(update={"pipeline": scenario.pipeline.at(list(now.data_schema))})
        rows, earlier = (read_rows(result.table_uri, each.version, accounts) for each in (now, before))
        selection = select_facts(present, now.data_schema)
        both, added = split_rows(rows, earlier, scenario.table.key)
        try:
            engine = LocalEngine(both, added, present, selection)
            facts = LocalFacts(engine, now)
        except UntranslatableError as error:
            raise UsageError(
                f"An expression of the scenario needs Spark: {error}.", remedy="Leave out --quick."
            ) from error
        return cls(scenario, result.versions, baselines, version, facts, engine)

    def judge_clean(self) -> list[BoundResult]:
        """Judge the version without a fault."""
        return self._judge(self.facts.measure(self.engine.read_added()))

    def inject(self, chosen: ChosenFault, control: Control, seed: int, *, finds_dose: bool) -> FaultRow:
        """Inject a fault and return its row of the matrix.

        Args:
            chosen: The fault.
            control: The bounds without a fault.
            seed: Decides which rows are hit.
            finds_dose: Whether to find the smallest dose that is caught.
        """
        try:
            statement = translate(chosen.write_statement(seed))
            caught = control.find_caught(self._try(statement, chosen.dose))
            search = DoseSearch(chosen.dose)
            while caught and finds_dose and (dose := search.next_dose) is not None:
                search.record(is_caught=bool(control.find_caught(self._try(statement, dose))))
        except (ImpossibleFaultError, UntranslatableError) as error:
            return chosen.make_row(skipped=str(error))
        return chosen.make_row(
            caught_by=caught, smallest_dose=search.caught if caught and finds_dose else None
        )

    def _try(self, statement: str, dose: float) -> list[BoundResult]:
        return self._judge(self.facts.measure(self.engine.read_added(fill_in_dose(statement, dose))))

    def _judge(self, measured: VersionResult) -> list[BoundResult]:
        versions = [measured if each.name == self.version else each for each in self.versions]
        judged = judge_versions(self.scenario, versions, self.baselines)
        [version] = [each for each in judged if each.name == self.version]
        return [bound for bound in version.bounds if not needs_model(bound.spec)]
