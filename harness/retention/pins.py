"""Pins: the reasons why a version of a Delta table must stay readable.

A new kind of pin needs a function here that lists its pins, a value of ``Kind``,
and a call in :func:`list_pins`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from harness.errors import PrerequisiteError
from harness.scenario.model_base import Int64
from harness.storage.model_store import MANIFEST, ModelStore
from harness.storage.uris import find_local_path
from harness.stored_json import parse_json
from harness.table_names import is_built_by, is_table_name, normalize_table_name
from harness.tracked_names import (
    APPROVED_FROM_TAG,
    APPROVED_TABLE_TAG,
    APPROVED_VERSION_TAG,
    BUNDLE_TAG,
    PATH_TAG,
    RUN_TAG,
    TABLE_TAG,
    VERSION_TAG,
)

Client = Any
"""``mlflow.MlflowClient``, which reports must not load to show pins."""
Kind = Literal["bundle", "registered model", "approved table"]
_READS_AT_ONCE = 8
_PAGE = 1000


@dataclass(frozen=True)
class Pin:
    """What depends on a version of a table: a model that was trained from it, or a clone of it."""

    table: str
    """URI of the table, as the run recorded it."""
    table_name: str
    version: int
    kind: Kind
    uri: str
    """URI of the bundle, of the registered model's version, or of the approved table, which may be a name."""
    run_id: str
    """The MLflow run's id."""
    harness_run: str
    """The harness's own id of the run."""

    @property
    def is_of_built_table(self) -> bool:
        """Whether the run built the table itself, so that nobody else writes to it."""
        return f"/runs/{self.harness_run}/" in self.table or is_built_by(self.table, self.harness_run)

    @property
    def text(self) -> str:
        """Short description of the pin."""
        return f"{self.kind} {self.uri}"


class Manifest(BaseModel):
    """The keys that the manifest of a bundle has in every format."""

    table: str
    version: Int64
    mlflow_run_id: str | None
    run_id: str


def normalize_table(uri: str) -> str:
    """Return the URI of a table in a form that is the same for all of its URIs, or its name in a catalog."""
    if is_table_name(uri):
        return normalize_table_name(uri)
    try:
        path = find_local_path(uri, Path("/"))
    except (OSError, ValueError):
        path = None
    return uri.rstrip("/") if path is None else str(path)


def list_pins(
    stores: Iterable[ModelStore], client: Client | None, experiment: str, table: str | None = None
) -> list[Pin]:
    """Return every pin, by table and version.

    Args:
        stores: The model stores.
        client: MLflow's client; ``None`` if there is no tracking store yet.
        experiment: Name of the experiment that runs are recorded in.
        table: URI of the table (default: every table).

    Raises:
        PrerequisiteError: A manifest can't be read.
    """
    listed = list(stores)
    found = [pin for store in listed for pin in _list_bundles(store)]
    if client is not None:
        recorded = _find_runs(client, experiment)
        runs = {run_id: run for run_id, run in recorded.items() if _is_trained_on(run.data.tags, table)}
        found += _list_approved_tables(recorded.values())
        found += _list_bundles_elsewhere(runs, listed)
        found += _list_registered_models(client, runs)
    unique = {(pin.table, pin.version, pin.uri): pin for pin in found if _is_of(pin.table, table)}
    return sorted(unique.values(), key=lambda pin: (pin.table, pin.version, pin.kind, pin.uri))


def _list_bundles(store: ModelStore) -> Iterator[Pin]:
    """Yield a pin for each bundle in a store."""
    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        yield from pool.map(lambda bundle: _read_manifest(store, bundle), store.list_bundles())


def _read_manifest(store: ModelStore, bundle: str) -> Pin:
    uri = store.uri(bundle)
    try:
        manifest = Manifest.model_validate(parse_json(store.read(f"{bundle}/{MANIFEST}") or ""))
    except ValueError as error:
        raise PrerequisiteError(
            f"Can't read the manifest of the bundle {uri}, so the version that it pins is unknown.",
            remedy="Restore the bundle, or remove it from the model store.",
        ) from error
    return Pin(
        table=manifest.table,
        table_name=bundle.partition("/")[0],
        version=manifest.version,
        kind="bundle",
        uri=uri,
        run_id=manifest.mlflow_run_id or "",
        harness_run=manifest.run_id,
    )


def _is_of(uri: str, table: str | None) -> bool:
    return table is None or normalize_table(uri) == normalize_table(table)


def _find_runs(client: Client, experiment: str) -> dict[str, Any]:
    """Return the recorded runs by their id, newest first."""
    found = client.get_experiment_by_name(experiment)
    runs: dict[str, Any] = {}
    token: str | None = None
    while found is not None:
        page = client.search_runs(
            [found.experiment_id],
            max_results=_PAGE,
            page_token=token,
            order_by=["attributes.start_time DESC"],
        )
        runs |= {run.info.run_id: run for run in page}
        token = page.token
        if not token:
            break
    return runs


def _is_trained_on(tags: Mapping[str, str], table: str | None) -> bool:
    """Return whether a run was trained on a version of a table; anybody can edit its tags in MLflow."""
    return PATH_TAG in tags and tags.get(VERSION_TAG, "").isdecimal() and _is_of(tags[PATH_TAG], table)


def _list_approved_tables(runs: Iterable[Any]) -> Iterator[Pin]:
    """Yield a pin for each approved table: it shares the files of the version that it shows.

    Args:
        runs: All runs, newest first: the newest one that approved a version decides what the table shows.
    """
    newest: dict[str, Any] = {}
    for run in runs:
        tags = run.data.tags
        if APPROVED_FROM_TAG in tags and tags.get(APPROVED_VERSION_TAG, "").isdecimal():
            newest.setdefault(tags.get(APPROVED_TABLE_TAG, ""), run)
    for uri, run in newest.items():
        tags = run.data.tags
        yield Pin(
            table=tags[APPROVED_FROM_TAG],
            table_name=tags.get(TABLE_TAG, ""),
            version=int(tags[APPROVED_VERSION_TAG]),
            kind="approved table",
            uri=uri,
            run_id=run.info.run_id,
            harness_run=tags.get(RUN_TAG, ""),
        )


def _list_bundles_elsewhere(runs: Mapping[str, Any], listed: Sequence[ModelStore]) -> Iterator[Pin]:
    """Yield a pin for each bundle in a store that isn't listed, as MLflow recorded it."""
    roots = tuple(f"{store.uri('').rstrip('/')}/" for store in listed)
    for run in runs.values():
        # Also those that were published afterwards, to other stores.
        tagged = (uri for tag, uri in run.data.tags.items() if f"{tag}.".startswith(f"{BUNDLE_TAG}."))
        for uri in dict.fromkeys(tagged):
            if not uri.removeprefix("file://").startswith(roots):
                yield _make_pin(run, "bundle", uri)


def _list_registered_models(client: Client, runs: Mapping[str, Any]) -> Iterator[Pin]:
    """Yield a pin for each version of a registered model that belongs to one of the runs."""
    for model in search_models(client, runs) if runs else ():
        if (run := runs.get(model.run_id)) is not None:
            yield _make_pin(run, "registered model", f"models:/{model.name}/{model.version}")


def search_models(client: Client, runs: Iterable[str]) -> Iterator[Any]:
    """Yield the versions of registered models, at least those of the runs."""
    try:
        yield from _search_all_models(client)
    except Exception:  # Unity Catalog only searches by name or run; a real error is raised again below.
        for run_id in runs:
            yield from client.search_model_versions(f"run_id = '{run_id}'")


def _search_all_models(client: Client) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _make_pin(run: Any, kind: Kind, uri: str) -> Pin:
    tags = run.data.tags
    return Pin(
        table=tags[PATH_TAG],
        table_name=tags.get(TABLE_TAG, ""),
        version=int(tags[VERSION_TAG]),
        kind=kind,
        uri=uri,
        run_id=run.info.run_id,
        harness_run=tags.get(RUN_TAG, ""),
    )
