"""Resolution of a scenario for one target: from scenario, settings and target to the plan of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.approvals import explain_overlap
from harness.content_digests import ContentDigests
from harness.errors import Problem, UsageError
from harness.loading.baseline_lookup import look_up_baselines
from harness.loading.champion_override import locate_bundle
from harness.loading.existing_table import resolve_table_uri
from harness.loading.git_commit import find_git_commit
from harness.loading.loader import LoadedScenario
from harness.loading.local_commits import identify_commits
from harness.loading.sources import SourceFile, measure_size
from harness.plan import Environment, Plan, Setting, SourceData
from harness.runs import make_run_id
from harness.scenario.champion import parse_model_reference
from harness.scenario.model import Scenario
from harness.setting_types import STORES, Settings
from harness.storage.uris import VOLUMES
from harness.table_names import is_table_name, normalize_table_name
from harness.targets.base import Target
from harness.targets.registry import find_definition
from harness.tracked_names import UNITY_CATALOG
from harness.wheel import compute_version


def resolve_plan(loaded: LoadedScenario, settings: Settings, target: Target, *, fresh: bool = False) -> Plan:
    """Resolve a scenario for a target to the plan of a run: the job's only input.

    Args:
        loaded: The scenario.
        settings: The settings.
        target: Where the job runs.
        fresh: Whether nothing that an earlier run has measured may be used.

    Raises:
        ScenarioError: A run that bounds refer to doesn't exist, or can't be compared with; the approved table
            shares files with the judged one; or the target's registry can't have a model of the scenario's
            name.
    """
    scenario = loaded.scenario
    folder = Path(loaded.document.file).parent
    baselines = look_up_baselines(loaded, settings.runs)
    existing = resolve_table_uri(scenario.table.uri, folder) if scenario.table.uri is not None else None
    environment = target.environment(measure_size(scenario, loaded.sources, folder), scenario.publish.to)
    judged = target.locate_table(existing) if existing is not None else None
    _require_model_name(loaded, environment)
    return Plan(
        run_id=make_run_id(scenario.name),
        harness_version=compute_version(),
        scenario=scenario,
        parameters=loaded.parameters,
        scenario_file=loaded.document.file,
        scenario_sha256=loaded.sha256,
        git_commit=find_git_commit(folder),
        environment=environment,
        sources={
            name: _locate(source, target) for name, source in describe_sources(loaded, settings).items()
        },
        code={} if loaded.code is None else dict(loaded.code.files),
        champion=_locate_champion(scenario, folder, environment),
        existing_table=judged,
        approved_table=_locate_approved_table(loaded, target, judged),
        table_name=normalize_table_name(existing) if existing and is_table_name(existing) else None,
        commits=identify_commits(scenario, folder),
        fresh=fresh,
        baselines=baselines.numbers,
        baseline_runs=baselines.runs,
        settings=tuple(_list_effective_settings(settings, environment, scenario.publish.to)),
    )


def _locate_champion(scenario: Scenario, folder: Path, environment: Environment) -> str | None:
    """Return the champion, at a location that the job can read.

    Raises:
        UsageError: It is a folder of this machine, and the job runs elsewhere.
    """
    champion = scenario.champion
    if champion is None or not parse_model_reference(champion).is_bundle:
        return champion
    located = locate_bundle(champion, folder)
    target = find_definition(environment.target)
    if "://" not in located and not located.startswith(VOLUMES) and not target.uses_local_folders:
        raise UsageError(
            f"A job on {target.title} can't read the champion {located}: it is a folder of this machine.",
            remedy="Name a registered model, or the abfss:// URI of a bundle.",
        )
    return located


def _locate_approved_table(loaded: LoadedScenario, target: Target, judged: str | None) -> str | None:
    """Return the approved table as the job writes it.

    Raises:
        ScenarioError: It shares files with the judged one, which may show only here, once both are located.
    """
    if loaded.scenario.approve is None:
        return None
    folder = Path(loaded.document.file).parent
    table = target.locate_table(resolve_table_uri(loaded.scenario.approve, folder))
    reason = explain_overlap(table, judged) if judged is not None else None
    if reason is not None:
        raise loaded.document.error([Problem(reason, ("approve",))])
    return table


def _require_model_name(loaded: LoadedScenario, environment: Environment) -> None:
    name = loaded.scenario.publish.model
    if name is not None and environment.registry_uri == UNITY_CATALOG and "." not in name:
        message = f"Unity Catalog's names of models have three levels; write CATALOG.SCHEMA.{name}."
        raise loaded.document.error([Problem(message, ("publish", "register"))])


def _locate(source: SourceData, target: Target) -> SourceData:
    if is_table_name(source.uri):
        return source.model_copy(update={"uri": target.locate_table(source.uri)})
    return target.locate_source(source)


def describe_sources(loaded: LoadedScenario, settings: Settings) -> dict[str, SourceData]:
    """Describe the sources of a scenario, by their paths as written there."""
    digests = ContentDigests.open(settings.home)
    sources = {name: describe_source(source, digests) for name, source in loaded.sources.items()}
    digests.save()
    return sources


def describe_source(source: SourceFile, digests: ContentDigests) -> SourceData:
    """Describe a source for a plan; its content by a digest, if it is on this machine."""
    path = source.path
    return SourceData(
        uri=source.uri,
        format=source.format,
        options=source.options,
        sha256=digests.digest_file(path) if path is not None and path.is_file() else None,
        folder_sha256=digests.digest_folder(path) if path is not None and path.is_dir() else None,
    )


def _list_effective_settings(settings: Settings, environment: Environment, store: str) -> Iterator[Setting]:
    """Yield the settings that a run uses; the target chooses URIs that are not set."""
    resolved = {
        "lake": environment.lake,
        f"{STORES}{store}": environment.model_store,
        "tracking_uri": environment.tracking_uri,
        "driver_memory": environment.spark.get("spark.driver.memory", settings["driver_memory"]),
    }
    for setting in settings:
        value = resolved.get(setting.name, setting.value)
        if value == setting.value:
            yield setting
        else:
            yield Setting(name=setting.name, value=value, origin=f"target {environment.target}")
