"""Publishing afterwards: the models of a run that has ended are copied to a model store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from harness.bundles import publish as publish_bundle
from harness.errors import JobError, PrerequisiteError, UsageError, did_you_mean
from harness.files import digest_files
from harness.plan import Plan
from harness.results import Result, Verdict, VersionResult
from harness.runs import RunFolder, find_run
from harness.settings import Settings, read_settings
from harness.storage.model_store import ModelStore, open_store
from harness.targets.base import Settleable, open_defined
from harness.targets.registry import FALLBACK, find_definition
from harness.tracking.lineage import open_client
from harness.tracking.tracked_models import download_models, tag_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
        force: Whether to publish although the run did not pass.

    Raises:
        UsageError: The run has no verdict, did not pass, or lacks a version.
        PrerequisiteError: The run or the store is unknown, MLflow or the store doesn't answer, or the models
            are gone or were changed.
        JobError: The copy differs from what was copied.
    """
    settings = read_settings()
    folder = find_run(settings.runs, run)
    result, plan = _read_publishable(folder, force=force), folder.read_plan()
    selected = _select_versions(result, versions)
    with _open(settings, folder, plan, store) as (models, client):
        return [_publish_version(each, plan, models, client, store, report) for each in selected]


@contextmanager
def _open(
    settings: Settings, folder: RunFolder, plan: Plan, store: str
) -> Iterator[tuple[ModelStore, MlflowClient]]:
    """Open the model store and MLflow as this machine reaches them."""
    definition = find_definition(folder.target or FALLBACK)
    own = settings.for_target(definition.name)
    target = open_defined(definition, own, lambda _line: None)
    if not isinstance(target, Settleable):
        raise UsageError(
            f"The run {folder.path.name} is on {definition.title}; only runs on local targets can be "
            "published afterwards.",
            remedy="Set publish.to in the scenario, and run it again: nothing is trained again.",
        )
    there = target.reach(plan.environment)
    models = target.reach(target.environment(None, store))
    with open_client(there.tracking_uri) as client:
        yield open_store(models.model_store, models.accounts), client


def _publish_version(
    version: VersionResult,
    plan: Plan,
    store: ModelStore,
    client: MlflowClient,
    name: str,
    report: Callable[[str], None],
) -> str:
    run_id = version.run_id or ""
    with TemporaryDirectory(prefix="harness-publish-") as folder:
        models = download_models(client, run_id, Path(folder))
        digests = digest_files(models)
        uri = publish_bundle(store, models, version, plan, lambda uri: _verify(store, uri, digests))
    tag_bundle(client, run_id, name, uri)
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
        raise UsageError(f"The run {name} is still running.", remedy="Wait until it has ended.")
    result = folder.read_result()
    if result.failure is not None:
        raise UsageError(
            f"The run {name} ended before its verdict: {result.failure.message}",
            remedy=f"'harness resume {name}' goes on with it.",
        )
    if not folder.has_intact_result:
        raise PrerequisiteError(
            f"The result of the run {name} was edited.",
            remedy="Run the scenario again: make scenario NAME=...",
        )
    if result.verdict is not Verdict.PASS and not force:
        raise UsageError(
            f"The verdict of the run {name} is '{result.verdict}', so its models are not published.",
            remedy="To publish them nevertheless, add --force.",
        )
    return result


def _select_versions(result: Result, names: tuple[str, ...]) -> list[VersionResult]:
    trained = {each.name: each for each in result.versions if each.status == "trained" and each.run_id}
    if not trained:
        raise UsageError(f"The run {result.run_id} has trained no model.")
    for name in names:
        if name not in trained:
            raise UsageError(
                f"The run {result.run_id} has no model of a version '{name}'.{did_you_mean(name, trained)}",
                remedy=f"Its models are of: {', '.join(trained)}.",
            )
    return [each for name, each in trained.items() if not names or name in names]
