"""MLflow stores, checked without MLflow, which takes seconds to import.

MLflow itself would upgrade some old stores without a backup, and try to open a folder for 100 seconds.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Collection
from contextlib import closing
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.storage.tracking_server import find_experiment, find_run, is_server
from harness.storage.uris import SQLITE, remove_password

_OTHER_STORE = "set HARNESS_TRACKING_URI to another store"
_ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
_REVISION = re.compile(r"^(down_)?revision\s*=\s*(.*)$", re.MULTILINE)
_MIGRATIONS = "store/db_migrations/versions"
_DATABASES = ("postgresql", "mysql", "mssql")
_PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""Module of a database's driver to the package that contains it, if their names differ."""


def find_store_file(uri: str) -> Path | None:
    """Return the file of an MLflow store, or ``None`` if it isn't a SQLite database."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def find_missing_store(uri: str) -> Path | None:
    """Return the file of a store that doesn't exist yet; ``None`` if it does, or the store is on a server."""
    file = find_store_file(uri)
    return None if file is None or file.exists() else file


def is_folder(uri: str) -> bool:
    """Return whether a URI is that of a folder with MLflow's files, such as ``./mlruns``."""
    scheme, colon, _ = uri.partition(":")
    # MLflow has URIs of one word for workspaces.
    return scheme == "file" or (not colon and ("/" in uri or Path(uri).is_dir()))


def require_usable_store(uri: str, experiment: str | None = None) -> None:
    """Require that MLflow can write to a store, as far as that is known without MLflow.

    Args:
        uri: MLflow's tracking URI; the store may not exist yet.
        experiment: Name of the experiment that a run is recorded in.

    Raises:
        PrerequisiteError: The store is a folder, not a database, has another schema, or its experiment is
            deleted; its server doesn't answer, or isn't MLflow's; the driver of its database is missing.
    """
    if is_server(uri):
        _require_server(uri, experiment)
        return
    if uri.partition("://")[0].partition("+")[0] in _DATABASES:
        _require_driver(uri)
        return
    if is_folder(uri) and os.environ.get(_ALLOWED, "").lower() not in ("true", "1"):
        raise PrerequisiteError(
            f"MLflow no longer writes to a folder, such as {uri}.",
            remedy="Copy its runs into a database with 'mlflow migrate-filestore --source FOLDER --target "
            f"sqlite:////PATH/mlflow.db', then set HARNESS_TRACKING_URI to that. Or set {_ALLOWED}=true.",
        )
    file = find_store_file(uri)
    if file is None or not file.exists():
        return
    if file.is_dir():
        raise PrerequisiteError(
            f"MLflow's store {file} is a folder, not a database.",
            remedy=f"S{_OTHER_STORE[1:]}, such as sqlite:///{file / 'mlflow.db'}.",
        )
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if "experiments" in tables:
                _require_schema(database, uri, "alembic_version" in tables)
                _require_active(database, uri, experiment)
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            return  # Another run is writing to it.
        raise PrerequisiteError(
            f"Can't read MLflow's store {file}: {error}.",
            remedy=f"Restore it from a backup, move it away (the next run creates it), or {_OTHER_STORE}.",
        ) from error


def list_existing_runs(uri: str, run_ids: Collection[str]) -> set[str]:
    """Return those of some MLflow runs that exist and are not deleted, found without MLflow.

    Args:
        uri: MLflow's tracking URI: of a server, or of an SQLite file. No runs are found in other stores.
        run_ids: MLflow's ids of the runs.

    Raises:
        PrerequisiteError: The server doesn't answer, or isn't MLflow's.
    """
    if is_server(uri):
        return {each for each in run_ids if find_run(uri, each).get("lifecycle_stage") == "active"}
    file = find_store_file(uri)
    if file is None or not file.is_file():
        return set()
    marks = ", ".join("?" for _ in run_ids)
    query = f"SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND run_uuid IN ({marks})"  # noqa: S608
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return {str(run_id) for (run_id,) in database.execute(query, tuple(run_ids))}
    except sqlite3.DatabaseError:
        return set()  # Somebody is writing to it, or it is not a store: the run itself reports that.


def make_deleted_error(uri: str, name: str, number: object) -> PrerequisiteError:
    """Return the error for an experiment that is deleted, which MLflow keeps until it is purged."""
    return PrerequisiteError(
        f"MLflow's experiment '{name}' in {uri} is deleted.",
        remedy=f"Restore it with 'MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id "
        f"{number}', or set HARNESS_EXPERIMENT to another name.",
    )


def _require_server(uri: str, experiment: str | None) -> None:
    found = find_experiment(uri, experiment or "Default")
    if experiment is not None and found.get("lifecycle_stage") == "deleted":
        raise make_deleted_error(remove_password(uri), experiment, found.get("experiment_id"))


def _require_driver(uri: str) -> None:
    """Require the Python package with which a database is opened."""
    shown = remove_password(uri)
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import SQLAlchemyError

        try:
            make_url(uri).get_dialect().import_dbapi()
        except SQLAlchemyError as error:
            raise PrerequisiteError(
                f"MLflow can't open its store {shown}: {error}.", remedy=f"Correct it, or {_OTHER_STORE}."
            ) from error
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise PrerequisiteError(
            f"MLflow's store {shown} needs the Python package {package}, which is not installed.",
            remedy=f"Install it with '.venv/bin/pip install {package}', or set HARNESS_TRACKING_URI to an "
            "MLflow server in front of the database.",
        ) from error


def _require_schema(database: sqlite3.Connection, uri: str, has_revision: bool) -> None:
    """Require the schema of the installed MLflow."""
    known = _list_revisions()
    rows = database.execute("SELECT version_num FROM alembic_version") if has_revision else ()
    revision = next((str(number) for (number,) in rows), "none")
    if not known or revision == known[0]:
        return
    store, mlflow = find_store_file(uri), f"MLflow {metadata.version('mlflow')}"
    if revision in known or revision == "none":
        raise PrerequisiteError(
            f"MLflow's store {store} has an older schema ({revision}); {mlflow} needs {known[0]}.",
            remedy=f"Back up the file, then run 'mlflow db upgrade {uri}'. Or {_OTHER_STORE}.",
        )
    raise PrerequisiteError(
        f"MLflow's store {store} has a schema that {mlflow} doesn't know ({revision}): a newer one wrote it.",
        remedy=f"Install that MLflow, or {_OTHER_STORE}. MLflow can't downgrade a store.",
    )


def _require_active(database: sqlite3.Connection, uri: str, experiment: str | None) -> None:
    found = database.execute(
        "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'deleted'", (experiment,)
    ).fetchone()
    if experiment is not None and found is not None:
        raise make_deleted_error(uri, experiment, found[0])


@cache
def _list_revisions() -> tuple[str, ...]:
    """Return the schemas that the installed MLflow knows, the newest first; none without a database store."""
    spec = find_spec("mlflow")
    folders = (spec.submodule_search_locations if spec is not None else None) or []
    revisions: list[str] = []
    previous: set[str] = set()
    for file in (file for folder in folders for file in Path(folder, _MIGRATIONS).glob("*.py")):
        for is_previous, value in _REVISION.findall(file.read_text(encoding="utf-8")):
            names = re.findall(r"\w{12}", value)
            revisions += [] if is_previous else names
            previous.update(names if is_previous else ())
    return tuple(sorted(revisions, key=lambda each: each in previous))
