"""Results of earlier runs that make new work unnecessary: they are looked up here, and judged again.

A result is only used if it is the intact result of a run that finished, and if all that it refers to still
exists: its table, its MLflow runs, its bundles.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.approvals import CLONE, ApprovedVersion
from harness.authoring.plan_preview import Training
from harness.bounds.judge import allows_publishing, allows_registration, decide_verdict, judge_versions
from harness.bounds.specs import explain_unjudged, find_approved_version
from harness.errors import HarnessError, PrerequisiteError
from harness.files import make_unwritable_error, sha256_of
from harness.loading.loader import LoadedScenario
from harness.loading.local_commits import identify_commits
from harness.plan import Account, Environment, Plan
from harness.registered_models import read_aliases
from harness.resolve import describe_sources
from harness.results import Approval, Result, Verdict, VersionResult
from harness.retention.deltalake_table import open_table
from harness.runs import RunFolder, WorkKeys, list_runs_of
from harness.settings import Settings
from harness.storage.model_store import holds_bundle, open_store
from harness.storage.tracking_store import list_existing_runs
from harness.storage.uris import find_local_path
from harness.table_names import is_table_name
from harness.targets.base import Settleable
from harness.tracking.lineage import open_client
from harness.wheel import compute_version
from harness.work import identify_run, identify_version


@dataclass(frozen=True)
class KnownRun:
    """A finished run whose numbers are those that a new one would measure."""

    folder: RunFolder
    result: Result


def make_keys(plan: Plan) -> WorkKeys:
    """Return the keys of the work that a plan means."""
    works = {name: identify_version(plan, name) for name in plan.scenario.trained}
    whole = identify_run(plan)
    return WorkKeys(
        whole.key if whole.is_known else "",
        {name: work.key for name, work in works.items() if work.is_known},
    )


def find_known_runs(runs: Path, plan: Plan) -> Iterator[KnownRun]:
    """Yield the finished runs of a scenario with the numbers that a plan leads to, newest first.

    A run that itself took them from another one is left out.

    Args:
        runs: The folder of all runs.
        plan: The run that would be started.
    """
    work = identify_run(plan)
    if work.is_known:
        for folder in list_runs_of(runs, plan.scenario.name):
            known = _read_known(folder) if folder.read_keys().run == work.key else None
            if known is not None and not known.result.reused_from:
                yield known


def find_known_versions(runs: Path, plan: Plan, name: str) -> Iterator[tuple[KnownRun, VersionResult]]:
    """Yield the same trained version of finished runs, newest first: its steps and its pipeline are the same.

    Args:
        runs: The folder of all runs.
        plan: The run that would train at the version.
        name: The version.
    """
    work = identify_version(plan, name)
    if work.is_known:
        for folder in list_runs_of(runs, plan.scenario.name):
            known = _read_known(folder) if folder.read_keys().versions.get(name) == work.key else None
            if known is not None:
                trained = (each for each in known.result.versions if each.status == "trained")
                yield from ((known, each) for each in trained if each.name == name)


def find_reason_to_train(runs: Path, plan: Plan, name: str) -> str:
    """Return in words what has changed since the newest run that trained at a version; empty if none did."""
    work = identify_version(plan, name)
    for folder in list_runs_of(runs, plan.scenario.name):
        if name not in folder.read_keys().versions:
            continue
        try:
            return identify_version(folder.read_plan(), name).describe_differences(work)
        except (PrerequisiteError, ValueError):
            continue
    return ""


def preview_trainings(loaded: LoadedScenario, settings: Settings) -> dict[str, Training]:
    """Predict, for each trained version, whether a run would train its model, and why.

    Target, libraries and settings are taken to be those of the scenario's newest run.

    Args:
        loaded: The scenario.
        settings: Settings that locate the runs.
    """
    scenario = loaded.scenario
    newest = next(_read_plans(settings.runs, scenario.name), None)
    if newest is None:
        return dict.fromkeys(scenario.trained, Training())
    plan = newest.model_copy(
        update={
            "scenario": scenario,
            "harness_version": compute_version(),
            "sources": describe_sources(loaded, settings),
            "code": {} if loaded.code is None else dict(loaded.code.files),
            "commits": identify_commits(scenario, Path(loaded.document.file).parent),
        }
    )
    return {name: _predict_training(settings.runs, plan, name) for name in scenario.trained}


def _predict_training(runs: Path, plan: Plan, name: str) -> Training:
    known = next(find_known_versions(runs, plan, name), None)
    if known is not None:
        return Training(known_run=known[1].reused_from or known[0].result.run_id)
    return Training(changed=find_reason_to_train(runs, plan, name))


def _read_plans(runs: Path, scenario: str) -> Iterator[Plan]:
    for folder in list_runs_of(runs, scenario):
        with suppress(PrerequisiteError):  # Another version of the harness wrote it.
            yield folder.read_plan()


def find_usable_run(runs: Path, plan: Plan, target: object) -> KnownRun | None:
    """Return the newest run that makes a run of a plan unnecessary, or ``None``.

    Args:
        runs: The folder of all runs.
        plan: The run that would be started.
        target: Its target, which knows how this machine reaches its stores.
    """
    if plan.fresh or not isinstance(target, Settleable):
        return None
    for known in find_known_runs(runs, plan):
        try:
            if _is_complete(known, plan, target.reach(plan.environment)):
                return known
        except HarnessError:
            return None  # A store doesn't answer: the run itself reports that, if it lasts.
    return None


def describe_reuse(known: KnownRun) -> str:
    """Return the line that says where the numbers come from."""
    run_id, ended = known.result.run_id, known.result.ended
    return (
        f"Nothing has changed since the run {run_id}, which ended at {ended:%Y-%m-%d %H:%M} UTC: its numbers "
        "are judged again. Add --fresh to measure them again."
    )


def take_over(known: KnownRun, plan: Plan, folder: RunFolder) -> Result:
    """Judge the numbers of an earlier run by a plan's bounds, and return the result of the plan's run.

    Args:
        known: The earlier run.
        plan: The new run.
        folder: Its folder, to which the predictions are copied.
    """
    started = datetime.now(UTC)
    scenario, earlier = plan.scenario, known.result
    versions = judge_versions(scenario, earlier.versions, plan.baselines)
    bounds = [bound for version in versions for bound in version.bounds]
    publishes = allows_publishing(scenario, versions)
    registers = allows_registration(scenario, versions)
    verdict = decide_verdict(scenario, bounds)
    _copy_predictions(known, folder)
    return earlier.model_copy(
        update={
            "run_id": plan.run_id,
            "reused_from": earlier.run_id,
            "verdict": verdict,
            "reason": explain_unjudged(scenario) if verdict is Verdict.NOT_PROVEN else "",
            "started": started,
            "duration_s": round((datetime.now(UTC) - started).total_seconds(), 3),
            "timings": {},
            "inputs": plan.inputs,
            "approval": _describe_approval(plan, versions, verdict),
            "versions": tuple(
                _take_over_version(each, earlier, publishes=publishes, registers=registers)
                for each in versions
            ),
        }
    )


def _take_over_version(
    version: VersionResult, earlier: Result, *, publishes: bool, registers: bool
) -> VersionResult:
    update: dict[str, object] = {
        "timings": {},
        "bundle": version.bundle if publishes else None,
        "registered": version.registered if registers else None,
        "reused_from": version.reused_from or (earlier.run_id if version.status == "trained" else ""),
    }
    return version.model_copy(update=update)


def _is_complete(known: KnownRun, plan: Plan, environment: Environment) -> bool:
    """Return whether everything that a result refers to still exists, and nothing is left to be published."""
    result = known.result
    table = find_local_path(result.table_uri, Path())
    if table is not None and not table.exists():
        return False
    if not all(_has_predictions(known.folder, each) for each in result.versions):
        return False
    trained = [each for each in result.versions if each.status == "trained"]
    run_ids = {each.run_id or "" for each in trained} | {result.mlflow_run_id or ""}
    if list_existing_runs(environment.tracking_uri, run_ids) != run_ids:
        return False
    return _is_published(result, trained, plan, environment)


def _is_published(
    result: Result, trained: Sequence[VersionResult], plan: Plan, environment: Environment
) -> bool:
    """Return whether what a run with these numbers approves, publishes and registers is there already."""
    versions = judge_versions(plan.scenario, result.versions, plan.baselines)
    verdict = decide_verdict(plan.scenario, (bound for version in versions for bound in version.bounds))
    approval = _describe_approval(plan, versions, verdict)
    if approval and approval.is_approved and not _shows_version(approval, environment.accounts):
        return False  # Only a job can approve it.
    if not allows_publishing(plan.scenario, versions):
        return True
    store = open_store(environment.model_store, environment.accounts, create=False)
    if not all(holds_bundle(store, each.bundle) for each in trained):
        return False
    return not allows_registration(plan.scenario, versions) or _is_registered(trained[-1], plan, environment)


def _is_registered(version: VersionResult, plan: Plan, environment: Environment) -> bool:
    """Return whether the model of a version is registered as the scenario asks, and its alias has stayed."""
    publish, registered = plan.scenario.publish, version.registered
    if registered is None or (registered.name, registered.alias) != (publish.model, publish.alias):
        return False
    if registered.alias is None:
        return True
    with open_client(environment.registry_uri or environment.tracking_uri) as client:
        points_to = read_aliases(client, registered.name).get(registered.alias)
    return registered.has_alias == (points_to == registered.version)


def _shows_version(approval: Approval, accounts: Sequence[Account]) -> bool:
    """Return whether the approved table shows a version. Only a job can look up a table by its name."""
    table = None if is_table_name(approval.table) else open_table(approval.table, accounts)
    if table is None or [commit.operation for commit in table.list_commits(1)] != [CLONE]:
        return False
    shown = ApprovedVersion.parse(table.properties)
    return shown is not None and shown.is_version(approval.source, approval.version, approval.fingerprint)


def _describe_approval(plan: Plan, versions: Sequence[VersionResult], verdict: Verdict) -> Approval | None:
    """Return what a run without a job does with the approved table: nothing, as it shows the version already.

    Args:
        plan: The run.
        versions: Its judged versions.
        verdict: Its verdict; without a pass, the table may show any version.
    """
    name = find_approved_version(plan.scenario)
    if plan.approved_table is None or name is None:
        return None
    version = next(each for each in versions if each.name == name)
    return Approval(
        table=plan.approved_table,
        source=plan.table_uri,
        name=name,
        version=version.version,
        fingerprint=version.fingerprint,
        before=version.version if verdict is Verdict.PASS else None,
        reason="" if verdict is Verdict.PASS else f"the verdict is {verdict}",
    )


def _read_known(folder: RunFolder) -> KnownRun | None:
    """Return a run that finished and whose result is intact."""
    try:
        result = folder.read_result()
    except PrerequisiteError:  # Running, broken, or written by another version of the harness.
        return None
    is_usable = result.failure is None and not result.faults and folder.has_intact_result
    return KnownRun(folder, result) if is_usable else None


def _has_predictions(folder: RunFolder, version: VersionResult) -> bool:
    """Return whether the file with a version's predictions is as the run wrote it."""
    stored = version.predictions
    if stored is None:
        return True
    file = folder.path / stored.file
    return file.is_file() and sha256_of(file) == stored.sha256


def _copy_predictions(known: KnownRun, folder: RunFolder) -> None:
    for version in known.result.versions:
        if version.predictions is None:
            continue
        source, copy = (each.path / version.predictions.file for each in (known.folder, folder))
        try:
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, copy)
        except OSError as error:
            raise make_unwritable_error(copy, error) from error
