"""Workspace files: https://docs.databricks.com/api/workspace/workspace."""

from __future__ import annotations

import base64
import io
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from databricks.sdk.service.workspace import (
    ExportFormat,
    ExportResponse,
    ImportFormat,
    ListResponse,
    ObjectInfo,
    ObjectType,
    WorkspaceAPI,
)
from starlette.responses import Response
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from tests.databricks.standin.files import store
from tests.databricks.standin.state import Workspace
from tests.databricks.standin.wire import ApiError, Call, accept, answer, invalid, missing

_IMPORT_BYTES = 10 * 1024 * 1024


def get_status(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/workspace/getstatus."""
    path = call.query_arguments(WorkspaceAPI.get_status)["path"]
    return answer(_info(workspace, _require_existing(workspace, path)))


def mkdirs(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/workspace/mkdirs."""
    path = call.body_arguments(WorkspaceAPI.mkdirs)["path"]
    try:
        _local(workspace, path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.") from error
    return answer()


def import_file(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/workspace/import, as JSON or as a form with the file."""
    content, asked = _posted(call) if "multipart" in call.headers["content-type"] else _encoded(call)
    path, target = asked["path"], _local(workspace, asked["path"])
    if asked.get("format", ImportFormat.SOURCE) not in {ImportFormat.AUTO, ImportFormat.RAW}:
        raise invalid("The stand-in stores files, not notebooks: the format must be AUTO")
    if not target.parent.is_dir():
        raise missing(f"The parent folder ({path.rpartition('/')[0]}) does not exist.")
    if target.is_dir() or (target.exists() and not asked.get("overwrite")):
        raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"{path} already exists. Please pass overwrite.")
    store(workspace, target, content)
    return answer()


def export_file(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/workspace/export, direct or as JSON."""
    query = dict(call.query)
    direct = query.pop("direct_download", "false")
    asked = accept(WorkspaceAPI.export, {"path": query.pop("path", None), **query})
    file = _require_existing(workspace, asked["path"])
    if file.is_dir():
        raise invalid(f"The stand-in can't export a folder: {asked['path']}")
    if asked.get("format", ExportFormat.SOURCE) not in {ExportFormat.AUTO, ExportFormat.SOURCE}:
        raise invalid("A file is exported with the format AUTO or SOURCE")
    content = file.read_bytes()
    if direct == "true":
        return Response(content, media_type="application/octet-stream")
    if len(content) > _IMPORT_BYTES:
        raise ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", "The file is larger than 10 MB.")
    return answer(ExportResponse(base64.b64encode(content).decode(), file.suffix.lstrip(".") or "file"))


def delete(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/workspace/delete."""
    asked = call.body_arguments(WorkspaceAPI.delete)
    target = _require_existing(workspace, asked["path"])
    if target.is_file():
        target.unlink()
    elif not any(target.iterdir()):
        target.rmdir()
    elif asked.get("recursive"):
        shutil.rmtree(target)
    else:
        raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({asked['path']}) is not empty")
    return answer()


def list_folder(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/workspace/list."""
    target = _require_existing(workspace, call.query_arguments(WorkspaceAPI.list)["path"])
    entries = sorted(target.iterdir()) if target.is_dir() else [target]
    return answer(ListResponse([_info(workspace, each) for each in entries]))


def has_folder(workspace: Workspace, path: str) -> bool:
    """Return whether a folder of the workspace exists."""
    return _local(workspace, path).is_dir()


def _local(workspace: Workspace, path: str) -> Path:
    """Return the local path of a workspace path, with or without /Workspace."""
    if not path.startswith("/"):
        raise invalid(f"Path ({path}) doesn't start with '/'")
    return workspace.local("/Workspace/" + path.removeprefix("/Workspace/").strip("/"))


def _require_existing(workspace: Workspace, path: str) -> Path:
    target = _local(workspace, path)
    if not target.exists():
        raise missing(f"Path ({path}) doesn't exist.")
    return target


def _info(workspace: Workspace, file: Path) -> ObjectInfo:
    status = file.stat()
    folder = file.is_dir()
    return ObjectInfo(
        created_at=None if folder else int(status.st_ctime * 1000),
        modified_at=None if folder else int(status.st_mtime * 1000),
        object_id=status.st_ino,
        object_type=ObjectType.DIRECTORY if folder else ObjectType.FILE,
        path=f"/{file.relative_to(workspace.files)}",
        resource_id=str(status.st_ino),
        size=None if folder else status.st_size,
    )


def _encoded(call: Call) -> tuple[bytes, dict[str, Any]]:
    asked = call.body_arguments(WorkspaceAPI.import_)
    content = base64.b64decode(asked.get("content", ""))
    if len(content) > _IMPORT_BYTES:
        raise ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", "The content is larger than 10 MB.")
    return content, asked


def _posted(call: Call) -> tuple[bytes, dict[str, Any]]:
    boundary = parse_options_header(call.headers["content-type"])[1]["boundary"]
    form, files = MultiPartParser().parse(io.BytesIO(call.body), boundary.encode(), len(call.body))
    sent: dict[str, Any] = dict(form)
    if "overwrite" in sent:
        sent["overwrite"] = sent["overwrite"] == "true"
    asked = accept(WorkspaceAPI.import_, sent)
    if set(files) != {"content"}:
        raise invalid(f"The posted file is 'content', not {sorted(files)}")
    with closing(files["content"]) as posted:
        return posted.read(), asked
