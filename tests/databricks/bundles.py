"""Bundles, deployed to the stand-in as the command 'databricks bundle deploy' would."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import Run
from ruamel.yaml import YAML

from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import USER
from tests.databricks.submissions import await_end

_VARIABLE = re.compile(r"\$\{([\w.]+)\}")
TARGET = "prod"
_DEADLINE_S = 900
"""A whole run, on a busy machine."""


def deploy(workspace: StandIn, client: WorkspaceClient, bundle: Path) -> int:
    """Copy a bundle's files to the workspace, and create its job; return the job's id."""
    content = read_bundle(bundle)
    values = {
        "bundle.name": content["bundle"]["name"],
        "bundle.target": TARGET,
        "workspace.current_user.userName": USER,
        **{f"var.{name}": variable["default"] for name, variable in content["variables"].items()},
    }
    root = _substitute(content["targets"][TARGET]["workspace"]["root_path"], values)
    values["workspace.file_path"] = f"{root}/files"
    for name in content["sync"]["include"]:
        _copy(bundle / name, workspace.local(f"{root}/files/{name}"))
    (job,) = _substitute(content["resources"]["jobs"], values).values()
    for library in job["tasks"][0]["libraries"]:
        if "whl" in library:
            uploaded = f"{root}/artifacts/.internal/{Path(library['whl']).name}"
            _copy(bundle / library["whl"], workspace.local(uploaded))
            library["whl"] = uploaded
    created: Any = client.api_client.do("POST", "/api/2.2/jobs/create", body=job)
    return int(created["job_id"])


def read_bundle(bundle: Path) -> dict[str, Any]:
    """Return the content of a bundle's main file."""
    content: dict[str, Any] = YAML(typ="safe").load(bundle / "databricks.yml")
    return content


def run_job(workspace: StandIn, client: WorkspaceClient, job_id: int, **parameters: str) -> Run:
    """Run a job with these parameters until it ends."""
    started: int = client.jobs.run_now(job_id, job_parameters=parameters).bind()["run_id"]
    return await_end(workspace, client, started, _DEADLINE_S)


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)


def _substitute(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: values[found[1]], value)
    if isinstance(value, list):
        return [_substitute(each, values) for each in value]
    if isinstance(value, dict):
        return {name: _substitute(each, values) for name, each in value.items()}
    return value
