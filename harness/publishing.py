"""Publishing afterwards: the models of a run that has ended are copied to a model store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.bounds.judge import all_hold
from harness.bundles import publish as publish_bundle
from harness.errors import RUN_AGAIN, JobError, PrerequisiteError, UsageError, did_you_mean
from harness.files import digest_files
from harness.plan import Plan
from harness.results import Result, Verdict, VersionResult
from harness.runs import RunFolder, find_run
from harness.setting_types import STORES
from harness.settings import Settings, read_settings
from harness.storage.accounts import select_local_accounts
from harness.storage.model_store import ModelStore, open_store
from harness.targets.base import Settleable, open_defined
from harness.targets.registry import FALLBACK, find_definition
from harness.tracking.lineage import open_client, require_store
from harness.tracking.tracked_models import download_models, tag_bundle


@dataclass(frozen=True)
class _Places:
    """The locations of a run's models, and of the store that they are copied to."""

    tracking_uri: str
    """As this machine reaches it."""
    store: ModelStore
    store_name: str


def publish(
    run: str,
    store: str,
    report: Callable[[str], None],
    *,
    versions: tuple[str, ...] = (),
    force: bool = False,
) -> list[str]:
    """Copy the models of each version of a run to a model store, verify them, and return the bundles' URIs.

    Args:
        run: ID or folder of the run, or ``latest``.
        store: Name of the model store in the settings.
        report: Shows one line for each bundle.
        versions: The versions to publish (default: all that a model was trained on).
        force: Whether to publish even if a bound does not hold.

    Raises:
        UsageError: The run has no verdict, a bound does not hold, or a version has no model.
        PrerequisiteError: The run or the store is unknown, MLflow or the store doesn't answer, or the models
            are gone or were changed.
        JobError: The copy differs from what was copied.
    """
    settings = read_settings()
    folder = find_run(settings.runs, run)
    result = _read_publishable(folder, force=force)
    selected = _select_versions(result, versions)
    # A run that only judged again has built no table: the one that it judged is meant.
    plan = folder.read_plan().model_copy(update={"existing_table": result.table_uri})
    places = _find_places(settings, folder, plan, store)
    return [_publish_version(each, plan, places, report) for each in selected]


def _find_places(settings: Settings, folder: RunFolder, plan: Plan, name: str) -> _Places:
    definition = find_definition(folder.target or FALLBACK)
    own = settings.for_target(definition.name)
    uri = own.store(name)
    target = open_defined(definition, own, lambda _line: None)
    if not isinstance(target, Settleable):
        raise UsageError(
            f"Run {folder.path.name} is on {definition.title}; only runs on local targets can be published "
            "afterwards.",
            remedy="Set publish.to in the scenario, and run it again: nothing is trained again.",
        )
    tracking_uri = target.reach(plan.environment).tracking_uri
    require_store(tracking_uri)
    if own.value_if_set(f"{STORES}{name}") is not None:
        return _Places(tracking_uri, open_store(uri, select_local_accounts(own)), name)
    # The target's own store.
    environment = target.reach(target.environment(None, name))
    return _Places(tracking_uri, open_store(environment.model_store, environment.accounts), name)


def _publish_version(
    version: VersionResult, plan: Plan, places: _Places, report: Callable[[str], None]
) -> str:
    run_id, needs_record = version.run_id or "", not plan.scenario.table.sensitive
    with TemporaryDirectory(prefix="harness-publish-") as folder:
        with open_client(places.tracking_uri) as client:
            models = download_models(client, run_id, Path(folder), needs_record=needs_record)
        digests, store = digest_files(models), places.store
        uri = publish_bundle(store, models, version, plan, lambda uri: _verify(store, uri, digests))
    with open_client(places.tracking_uri) as client:
        tag_bundle(client, run_id, places.store_name, uri)
    report(f"bundle  {version.name}  {uri}")
    return uri


def _verify(store: ModelStore, uri: str, digests: Mapping[str, str]) -> None:
    """Read a copy back from the store, and compare every file.

    Raises:
        JobError: A file differs, or is missing.
    """
    folder = store.find_path(uri)
    for name, digest in digests.items():
        if store.digest(f"{folder}/{name}") != digest:
            raise JobError(
                f"The copy {uri} differs from the model that was copied: {name}.",
                remedy="Publish the run again.",
            )


def _read_publishable(folder: RunFolder, *, force: bool) -> Result:
    name = folder.path.name
    if folder.is_running:
        raise UsageError(f"Run {name} is still running.", remedy="Wait until it has ended.")
    result = folder.read_result()
    if result.failure is not None:
        raise UsageError(
            f"Run {name} ended without a verdict: {result.failure.message}",
            remedy=f"'harness resume {name}' resumes it.",
        )
    if not folder.has_intact_result:
        raise PrerequisiteError(
            f"The result of run {name} was edited.",
            remedy=RUN_AGAIN,
        )
    holds = all_hold(bound for version in result.versions for bound in version.bounds)
    if not force and (result.verdict is not Verdict.PASS or not holds):
        raise UsageError(
            f"Not all bounds of run {name} hold, or not all are judged (verdict: {result.verdict}), so its "
            "models are not published.",
            remedy="To publish them anyway, add --force.",
        )
    return result


def _select_versions(result: Result, names: tuple[str, ...]) -> list[VersionResult]:
    trained = {each.name: each for each in result.versions if each.status == "trained" and each.run_id}
    if not trained:
        raise UsageError(f"Run {result.run_id} didn't train any models.")
    for name in names:
        if name not in trained:
            raise UsageError(
                f"Run {result.run_id} has no model for version '{name}'.{did_you_mean(name, trained)}",
                remedy=f"It has models for: {', '.join(trained)}.",
            )
    return [each for name, each in trained.items() if not names or name in names]
