"""Proxy for MLflow's calls: https://docs.databricks.com/api/workspace/experiments."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import urllib3
from starlette.responses import Response

from tests.databricks.standin.state import Workspace
from tests.databricks.standin.wire import ApiError, Call, invalid, missing
from tests.databricks.standin.workspace_files import has_folder

_POOL = urllib3.PoolManager(maxsize=8)
_PASSED_ON = ("accept", "content-type", "user-agent")


def pass_on(workspace: Workspace, call: Call) -> Response:
    """Return the tracking server's own answer."""
    if call.path.endswith("/experiments/create"):
        _check_name(workspace, call)
    if workspace.tracking_url is None:
        raise ApiError(503, "TEMPORARILY_UNAVAILABLE", "This stand-in has no tracking server behind it")
    answer = _POOL.request(
        call.parts["method"],
        f"{workspace.tracking_url}{call.path}?{urlencode(call.query)}",
        body=call.body or None,
        headers={name: call.headers[name] for name in _PASSED_ON if name in call.headers},
        redirect=False,
        retries=False,
    )
    return Response(answer.data, answer.status, media_type=answer.headers.get("content-type"))


def _check_name(workspace: Workspace, call: Call) -> None:
    """https://docs.databricks.com/api/workspace/experiments/createexperiment: a path of the workspace."""
    name = str(json.loads(call.body).get("name", ""))
    if not name.startswith("/"):
        raise invalid(
            f"Got an invalid experiment name '{name}'. An experiment name must be an absolute path "
            "within the Databricks workspace, e.g. '/Users/<some-username>/my-experiment'."
        )
    folder = name.rpartition("/")[0] or "/"
    if not has_folder(workspace, folder):
        raise missing(f"Parent directory {folder} does not exist.")
