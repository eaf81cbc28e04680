"""``harness prove``: which faults in the rows of a new version a scenario's bounds catch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.bounds.judge import Baselines, judge_versions
from harness.bounds.specs import list_bound_specs, needs_model
from harness.errors import JobError, UsageError, did_you_mean
from harness.faults.catalogue import ImpossibleFaultError
from harness.faults.statements import fill_in_dose
from harness.files import write_text
from harness.loading.loader import LoadedScenario
from harness.plan import Plan, PlannedFault, PlannedProof
from harness.request import RunRequest, open_session
from harness.results import FaultResult, Result
from harness.runs import LOG
from harness.scenario.model import Scenario
from harness.scenario.publish import Publish
from harness.settlement import settle_result
from harness.storage.accounts import select_local_accounts
from harness.storage.uris import SCHEME, find_local_path
from harness.studies.proving.dose_search import DoseSearch
from harness.studies.proving.matrix import Control, FaultRow, Proof, name_spec
from harness.studies.proving.proof_tables import format_markdown
from harness.studies.proving.selection import ChosenFault, choose_faults, find_faults, find_victim
from harness.studies.study_runs import Runner
from harness.views import formatting
from harness.workflow import open_run_folder, raise_mistakes, run_job, write_confirmed_result

MOST_SEEDS = 1000


@dataclass(frozen=True)
class ProofRequest:
    """What to prove, and where to write the outcome."""

    faults: tuple[str, ...] = ()
    """Names of the faults; all if there are none."""
    version: str | None = None
    """The version whose added rows get faults (default: the last trained one)."""
    dose: float | None = None
    """Share of the added rows that a fault hits (default: that of the scenario or the fault)."""
    seeds: int = 1
    """How often each fault is injected, each time into other rows."""
    quick: bool = False
    """Whether to judge only what needs no model, on this machine."""
    finds_doses: bool = False
    """Whether to find the smallest dose of each fault, even if each dose needs a training."""
    json_file: Path | None = None
    """Where to write the matrix as JSON."""
    markdown_file: Path | None = None
    """Where to write the matrix as a Markdown table."""


def prove(request: RunRequest, what: ProofRequest, console: Console) -> Proof:
    """Inject faults into the rows of a version, and judge its bounds for each of them.

    Args:
        request: The scenario, or one combination of its matrix, and where it runs.
        what: The faults.
        console: Shows progress.

    Raises:
        HarnessError: The request is invalid, or a run failed.
    """
    _check_options(what)
    session = open_session(request, console, takes_one=True)
    loaded = session.single_combination
    version = choose_version(loaded.scenario, what.version)
    # Before the run without faults, which may take minutes.
    find_faults(loaded.scenario, what.faults)
    runner = Runner(session)
    plan = runner.resolve(loaded)
    if what.quick:
        require_table_here(plan)
        require_open_features(loaded.scenario)
    result = find_clean_run(runner, loaded)
    measured = next(each for each in result.versions if each.name == version)
    chosen = choose_faults(loaded.scenario, find_victim(loaded.scenario, measured), what.faults, what.dose)
    injection = Injection(runner, loaded, plan.baselines, result, version, chosen, what)
    control, rows = prove_on_this_machine(injection) if what.quick else prove_with_models(injection)
    specs = [spec for spec in list_bound_specs(loaded.scenario) if spec.version == version]
    proof = Proof(
        scenario=loaded.scenario.name,
        version=version,
        run_id=result.run_id,
        holding=tuple(control.holding),
        left_out=tuple(name_spec(spec) for spec in specs if needs_model(spec)) if what.quick else (),
        failing=tuple(control.failing),
        rows=tuple(rows),
    )
    if what.json_file is not None:
        write_text(what.json_file, proof.model_dump_json(indent=2) + "\n")
    if what.markdown_file is not None:
        write_text(what.markdown_file, format_markdown(proof))
    return proof


def choose_version(scenario: Scenario, name: str | None) -> str:
    """Return the version whose added rows get faults.

    Raises:
        UsageError: It is unknown, is not trained, or has no trained version before it.
    """
    names = [each.name for each in scenario.versions]
    if name is not None and name not in names:
        raise UsageError(
            f"Unknown version '{name}'.{did_you_mean(name, names)}", remedy=f"Versions: {', '.join(names)}."
        )
    trained = scenario.trained
    chosen = name or (trained[-1] if trained else names[-1])
    if chosen not in trained:
        raise UsageError(
            f"No model is trained at '{chosen}', so its bounds can't be proven.",
            remedy=f"Trained versions: {', '.join(trained) or 'none'}.",
        )
    if trained.index(chosen) == 0:
        raise UsageError(
            f"'{chosen}' is the first trained version: faults are injected into the rows that a version adds "
            "to an earlier one.",
            remedy="Choose a later version with --at, or add another trained version to the scenario.",
        )
    if not any(spec.version == chosen for spec in list_bound_specs(scenario)):
        raise UsageError(
            f"No bound is set at '{chosen}', so there is nothing to prove.",
            remedy="Set bounds under 'every', or under the version's 'expect'.",
        )
    return chosen


def find_clean_run(runner: Runner, loaded: LoadedScenario) -> Result:
    """Return a finished run of the scenario without faults; run it if there is none."""
    scenario = loaded.scenario.model_copy(update={"publish": Publish(when="never"), "approve": None})
    one = replace(loaded, scenario=scenario)
    for known in runner.find_known(one):
        table = find_local_path(known.result.table_uri, Path())
        if table is None or table.exists():
            runner.report(f"Without faults: using run {known.result.run_id}")
            return known.result
    return runner.run(one, "Without faults")


@dataclass(frozen=True)
class Injection:
    """A version, the faults that are injected into it, and the run without faults."""

    runner: Runner
    loaded: LoadedScenario
    baselines: Baselines
    """The numbers of other runs that bounds compare with."""
    result: Result
    version: str
    chosen: Sequence[ChosenFault]
    what: ProofRequest

    @property
    def seeds(self) -> range:
        """The seeds that decide which rows are hit."""
        first = self.loaded.scenario.seed
        return range(first, first + self.what.seeds)

    @property
    def finds_doses(self) -> bool:
        """Whether to find the smallest dose of each fault: with a model, each dose costs a training."""
        return self.what.seeds == 1 and (self.what.quick or self.what.finds_doses)


def prove_on_this_machine(injection: Injection) -> tuple[Control, list[FaultRow]]:
    """Judge every fault by the bounds that need no model."""
    from harness.studies.proving.local_proof import LocalProof

    accounts = select_local_accounts(injection.runner.session.settings)
    proof = LocalProof.open(
        injection.loaded.scenario, injection.result, injection.version, injection.baselines, accounts
    )
    control = Control.of(proof.judge_clean())
    rows = []
    for chosen in injection.chosen:
        found = [
            proof.inject(chosen, control, seed, finds_dose=injection.finds_doses) for seed in injection.seeds
        ]
        rows.append(combine_repetitions(found))
    return control, rows


def prove_with_models(injection: Injection) -> tuple[Control, list[FaultRow]]:
    """Judge every fault by all bounds: a job trains on the version with each of them."""
    clean = next(each for each in injection.result.versions if each.name == injection.version)
    judged = judge_versions(injection.loaded.scenario, injection.result.versions, injection.baselines)
    control = Control.of(bound for each in judged if each.name == clean.name for bound in each.bounds)
    rows = {
        (chosen.name, seed): row
        for seed in injection.seeds
        for chosen, row in inject_all(injection, control, injection.chosen, seed, {})
    }
    found = [
        combine_repetitions([rows[chosen.name, seed] for seed in injection.seeds])
        for chosen in injection.chosen
    ]
    return control, find_doses(injection, control, found) if injection.finds_doses else found


def find_doses(injection: Injection, control: Control, rows: Sequence[FaultRow]) -> list[FaultRow]:
    """Return the rows with the smallest dose that is caught; each round is one job for all faults."""
    searches = {row.fault: DoseSearch(row.dose) for row in rows if row.is_caught}
    chosen = {each.name: each for each in injection.chosen}
    while doses := {name: dose for name, each in searches.items() if (dose := each.next_dose) is not None}:
        tried = [chosen[name] for name in doses]
        for each, row in inject_all(injection, control, tried, injection.seeds[0], doses):
            searches[each.name].record(is_caught=row.is_caught)
    return [
        row.model_copy(update={"smallest_dose": searches[row.fault].caught}) if row.is_caught else row
        for row in rows
    ]


def inject_all(
    injection: Injection,
    control: Control,
    faults: Sequence[ChosenFault],
    seed: int,
    doses: Mapping[str, float],
) -> Iterator[tuple[ChosenFault, FaultRow]]:
    """Run one job that injects faults, and yield the row of each."""
    planned, skipped = [], {}
    for chosen in faults:
        try:
            statement = fill_in_dose(chosen.write_statement(seed), doses.get(chosen.name, chosen.dose))
            planned.append(PlannedFault(name=chosen.name, statement=statement))
        except ImpossibleFaultError as error:
            skipped[chosen.name] = str(error)
    results = {each.name: each for each in run_faults(injection, planned)} if planned else {}
    for chosen in faults:
        if chosen.name in skipped:
            yield chosen, chosen.make_row(skipped=skipped[chosen.name])
        else:
            found = results[chosen.name]
            caught = control.find_caught(found.bounds)
            yield chosen, chosen.make_row(refused=found.refused, caught_by=caught)


def run_faults(injection: Injection, faults: Sequence[PlannedFault]) -> tuple[FaultResult, ...]:
    """Run the job that judges faults, on the session's target; its folder stays only if it fails.

    Raises:
        JobError: The job failed.
    """
    session = injection.runner.session
    count = formatting.format_count(len(faults), "fault")
    injection.runner.report(f"{count}: training on {injection.version} with each of them ...")
    proof = PlannedProof(version=injection.version, known=injection.result.versions, faults=tuple(faults))
    plan = injection.runner.resolve(injection.loaded).model_copy(
        update={"proof": proof, "existing_table": injection.result.table_uri}
    )
    with open_run_folder(session, plan) as folder:
        session.target.prepare(plan)
        result = run_job(session.target.run, folder.path, session.console)
        settle_result(session.target, plan, folder, result, session.report)
        raise_mistakes(result, injection.loaded.scenario, injection.loaded.document)
    if result.failure is not None:
        write_confirmed_result(plan, result, folder)
        raise JobError(f"{count}: {result.failure.message}", remedy=f"See {folder.path / LOG}.")
    session.target.remove_run(plan.run_id)
    folder.remove()
    return result.faults


def combine_repetitions(rows: Sequence[FaultRow]) -> FaultRow:
    """Return one row for the repetitions of a fault in different rows of the table."""
    first = rows[0]
    if len(rows) == 1:
        return first
    caught = dict(item for row in rows for item in row.caught_by.items())
    times = sum(row.is_caught for row in rows)
    return first.model_copy(update={"caught_by": caught, "caught_in": times, "repetitions": len(rows)})


def require_table_here(plan: Plan) -> None:
    """Require a table that this machine reads without Spark: not one in a volume, or in the stack.

    Raises:
        UsageError: The table is elsewhere.
    """
    in_stack = any(account.endpoint for account in plan.environment.accounts)
    is_here = find_local_path(plan.table_uri, Path()) is not None
    if not is_here and (in_stack or not plan.table_uri.startswith(SCHEME)):
        raise UsageError(
            f"--quick reads the table on this machine, and {plan.table_uri} is elsewhere.",
            remedy="Leave out --quick, or use a target that builds its tables on this machine."
            if plan.existing_table is None
            else "Leave out --quick.",
        )


def require_open_features(scenario: Scenario) -> None:
    """Require features and a label that aren't sensitive: results hide the bins and values to compare with.

    Raises:
        UsageError: One is.
    """
    pipeline = scenario.pipeline
    used = (*pipeline.features, *pipeline.categorical, pipeline.label.column)
    hidden = [name for name in used if name.lower() in scenario.sensitive_columns]
    if hidden:
        raise UsageError(
            f"--quick can't compare the values of {', '.join(hidden)}, which the run hides as sensitive.",
            remedy="Leave out --quick.",
        )


def _check_options(what: ProofRequest) -> None:
    if what.dose is not None and not 0 < what.dose <= 1:
        raise UsageError(f"--dose is {what.dose:g}: use a share of the added rows, above 0 and at most 1.")
    if not 1 <= what.seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds is {what.seeds}: use 1 to {MOST_SEEDS}.")
    # Before the runs, not after minutes of them.
    for option, file in (("--json", what.json_file), ("--markdown", what.markdown_file)):
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            raise UsageError(f"{option} is {file}: use a file in an existing folder.")
