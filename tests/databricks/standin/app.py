"""The calls of a workspace, and what happens to each before its handler gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tests.databricks.standin import (
    catalog,
    files,
    jobs,
    scheduled_jobs,
    tracking_proxy,
    workspace_files,
)
from tests.databricks.standin.faults import Kind, RequestFault
from tests.databricks.standin.state import WORKSPACE_ID, Workspace
from tests.databricks.standin.wire import ApiError, Call

Handler: TypeAlias = Callable[[Workspace, Call], Response]

_METADATA = "/.well-known/databricks-config"
_PRESIGNED = "/presigned/"
_OPEN = (_METADATA, _PRESIGNED)
_FILE, _DIRECTORY = "/api/2.0/fs/files{path:path}", "/api/2.0/fs/directories{path:path}"
_IMPORT = "/api/2.0/workspace/import"
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", _METADATA, catalog.host_metadata),
    ("GET", "/api/2.0/preview/scim/v2/Me", catalog.me),
    ("GET", "/api/2.0/secrets/scopes/list", catalog.list_scopes),
    ("GET", "/api/2.0/secrets/list", catalog.list_secrets),
    ("GET", "/api/2.0/secrets/get", catalog.get_secret),
    ("GET", "/api/2.1/clusters/spark-versions", catalog.spark_versions),
    ("GET", "/api/2.1/clusters/list-node-types", catalog.list_node_types),
    ("GET", "/api/2.1/clusters/get", catalog.get_cluster),
    ("GET", "/api/2.1/clusters/list", catalog.list_clusters),
    ("GET", "/api/2.0/policies/clusters/get", catalog.get_policy),
    ("GET", "/api/2.0/instance-pools/get", catalog.get_pool),
    ("GET", "/api/2.1/unity-catalog/volumes/{name}", catalog.get_volume),
    ("GET", "/api/2.1/unity-catalog/schemas/{name}", catalog.get_schema),
    ("GET", "/api/2.1/unity-catalog/tables", catalog.list_tables),
    ("GET", "/api/2.1/unity-catalog/tables/{name}", catalog.get_table),
    ("DELETE", "/api/2.1/unity-catalog/tables/{name}", catalog.delete_table),
    ("GET", "/api/2.0/permissions/{kind}/{name}", catalog.get_permissions),
    ("GET", "/api/2.0/workspace/get-status", workspace_files.get_status),
    ("POST", "/api/2.0/workspace/mkdirs", workspace_files.mkdirs),
    ("POST", _IMPORT, workspace_files.import_file),
    ("GET", "/api/2.0/workspace/export", workspace_files.export_file),
    ("POST", "/api/2.0/workspace/delete", workspace_files.delete),
    ("GET", "/api/2.0/workspace/list", workspace_files.list_folder),
    ("PUT", _FILE, files.upload),
    ("GET", _FILE, files.download),
    ("DELETE", _FILE, files.delete),
    ("POST", "/api/2.0/fs/create-download-url", files.create_download_url),
    ("GET", _PRESIGNED + "{signature}", files.presigned),
    ("PUT", _DIRECTORY, files.create_directory),
    ("HEAD", _DIRECTORY, files.directory),
    ("GET", _DIRECTORY, files.list_directory),
    ("DELETE", _DIRECTORY, files.delete_directory),
    ("POST", "/api/2.2/jobs/create", scheduled_jobs.create),
    ("POST", "/api/2.2/jobs/run-now", scheduled_jobs.run_now),
    ("POST", "/api/2.2/jobs/runs/submit", jobs.submit),
    ("GET", "/api/2.2/jobs/runs/get", jobs.get_run),
    ("GET", "/api/2.2/jobs/runs/list", jobs.list_runs),
    ("POST", "/api/2.2/jobs/runs/cancel", jobs.cancel),
    ("GET", "/api/2.2/jobs/runs/get-output", jobs.get_output),
    ("POST", "/api/2.2/jobs/runs/delete", jobs.delete),
    *(
        (method, f"/api/{version}/mlflow/{{rest:path}}", tracking_proxy.pass_on)
        for version in ("2.0", "3.0", "4.0")
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE")
    ),
)


class Gate:
    """Records each request, and applies a fault or refuses a wrong token."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._app = _build_routes(workspace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        path: str = scope["path"]
        if not _is_called_by_job(scope, self._workspace):
            self._workspace.calls.append(f"{scope['method']} {path}")
        fault = self._workspace.faults.take(path)
        if fault is not None and fault.kind is Kind.DROPPED:
            await drop(scope, receive)
            return
        refusal = self._refusal(fault, Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
        elif _is_upload(scope) and self._workspace.faults.upload_is_cut():
            await receive()
            await drop(scope, receive)
        else:
            await self._app(scope, receive, partial(_send_with_id, send))

    def _refusal(self, fault: RequestFault | None, request: Request) -> Response | None:
        if fault is not None and fault.kind is Kind.REFUSED:
            return _busy_response(fault)
        if fault is not None and fault.kind is Kind.TOKEN_EXPIRES:
            self._workspace.expire_token()
        if request.url.path.startswith(_OPEN):
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            message = "Credential was not sent or was of an unsupported type for this API."
            return ApiError(401, 401, message).response()
        if not self._workspace.accepts(token):
            return ApiError(403, 403, "Invalid access token.").response()
        return None


async def drop(scope: Scope, receive: Receive) -> None:
    """Close the connection without an answer."""
    scope["state"]["abort"]()
    message: Message = {"type": ""}
    # Wait until the server notices; otherwise it would send its own answer.
    while message["type"] != "http.disconnect":
        message = await receive()
        await asyncio.sleep(0)


def _build_routes(workspace: Workspace) -> Starlette:
    return Starlette(
        routes=[
            Route(path, partial(_answer, workspace, handler), methods=[method])
            for method, path, handler in _ROUTES
        ],
        exception_handlers={
            ApiError: _api_error_response,
            HTTPStatus.NOT_FOUND: _unknown_path_response,
            HTTPStatus.METHOD_NOT_ALLOWED: _unknown_path_response,
            Exception: _internal_error_response,
        },
    )


async def _answer(workspace: Workspace, handler: Handler, request: Request) -> Response:
    call = Call(
        path=request.url.path,
        parts={**request.path_params, "method": request.method},
        query=tuple(request.query_params.multi_items()),
        headers=request.headers,
        body=await request.body(),
    )
    return await run_in_threadpool(handler, workspace, call)


async def _send_with_id(send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = [*message.get("headers", ()), (b"x-databricks-org-id", WORKSPACE_ID.encode())]
    await send(message)


def _is_called_by_job(scope: Scope, workspace: Workspace) -> bool:
    """Return whether the caller is a job on a cluster, such as MLflow's client, not a user."""
    return Request(scope).headers.get("Authorization") == f"Bearer {workspace.job_token}"


def _is_upload(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == _IMPORT or (scope["method"] == "PUT" and path.startswith("/api/2.0/fs/files/"))


def _busy_response(fault: RequestFault) -> Response:
    many = fault.status == HTTPStatus.TOO_MANY_REQUESTS
    code = "REQUEST_LIMIT_EXCEEDED" if many else "TEMPORARILY_UNAVAILABLE"
    response = ApiError(fault.status, code, "Current request has to be retried later.").response()
    response.headers["retry-after"] = "0"
    return response


async def _api_error_response(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, ApiError):
        raise TypeError(error)
    return error.response()


async def _unknown_path_response(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    message = f"No API found for '{request.method} {request.url.path}'"
    return ApiError(404, "ENDPOINT_NOT_FOUND", message).response()


async def _internal_error_response(request: Request, error: Exception) -> Response:
    message = f"Bug of the stand-in at {request.method} {request.url.path}: {error!r}"
    return ApiError(500, "INTERNAL_ERROR", message).response()
