"""Files of volumes: https://docs.databricks.com/api/workspace/files."""

from __future__ import annotations

import secrets
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path

from databricks.sdk.service.files import DirectoryEntry, ListDirectoryResponse
from starlette.responses import JSONResponse, Response

from tests.databricks.standin.state import Workspace
from tests.databricks.standin.wire import ApiError, Call, answer, invalid

_PAGE = 1000


def upload(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/files/upload; creates missing folders."""
    overwrite = dict(call.query).get("overwrite", "true")
    target = _in_volume(workspace, call.parts["path"])
    if target.is_dir():
        raise ApiError(409, "ALREADY_EXISTS", "The path is a directory.")
    if target.exists() and overwrite == "false":
        raise ApiError(409, "ALREADY_EXISTS", "The file being created already exists.")
    store(workspace, target, call.body)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def download(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/files/download, and its metadata by HEAD."""
    return _contents(_in_volume(workspace, call.parts["path"]), call)


def delete(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/files/delete."""
    target = _in_volume(workspace, call.parts["path"])
    if not target.is_file():
        raise _not_found("file")
    target.unlink()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def create_download_url(workspace: Workspace, call: Call) -> Response:
    """Return a URL that needs no token, which the SDK requests before each download."""
    asked = dict(call.query)
    if asked.keys() != {"path", "expire_time"}:
        raise invalid(f"Unknown or missing field among {sorted(asked)}")
    if not _in_volume(workspace, asked["path"]).is_file():
        raise _not_found("file")
    signature = secrets.token_urlsafe(16)
    workspace.presigned[signature] = asked["path"]
    return JSONResponse({"url": f"{workspace.host}/presigned/{signature}", "headers": []})


def presigned(workspace: Workspace, call: Call) -> Response:
    """Return the file of such a URL, like the cloud's own storage."""
    path = workspace.presigned.get(call.parts["signature"])
    if path is None:
        raise ApiError(403, "AuthenticationFailed", "Signature did not match.")
    return _contents(_in_volume(workspace, path), call)


def create_directory(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/files/createdirectory."""
    target = _in_volume(workspace, call.parts["path"])
    if target.is_file():
        raise ApiError(409, "ALREADY_EXISTS", "The directory being created is a file.")
    target.mkdir(parents=True, exist_ok=True)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def directory(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/files/getdirectorymetadata."""
    if not _in_volume(workspace, call.parts["path"]).is_dir():
        raise _not_found("directory")
    return Response()


def list_directory(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/files/listdirectorycontents."""
    path = call.parts["path"].rstrip("/")
    asked = {name: int(text) for name, text in call.query if name in {"page_size", "page_token"}}
    if len(asked) != len(call.query):
        raise invalid(f"Unknown field among {[name for name, _ in call.query]}")
    target = _in_volume(workspace, path)
    if not target.is_dir():
        raise _not_found("directory")
    start, size = asked.get("page_token", 0), min(asked.get("page_size", _PAGE), _PAGE)
    entries = sorted(target.iterdir())
    return answer(
        ListDirectoryResponse(
            contents=[_entry(f"{path}/{each.name}", each) for each in entries[start : start + size]],
            next_page_token=str(start + size) if len(entries) > start + size else None,
        )
    )


def delete_directory(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/files/deletedirectory."""
    target = _in_volume(workspace, call.parts["path"])
    if not target.is_dir():
        raise _not_found("directory")
    if any(target.iterdir()):
        raise ApiError(
            400,
            "INVALID_PARAMETER_VALUE",
            "The directory is not empty.",
            reason="FILES_API_DIRECTORY_IS_NOT_EMPTY",
        )
    target.rmdir()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def store(workspace: Workspace, target: Path, content: bytes) -> None:
    """Write a file atomically."""
    aside = workspace.folder / f"upload-{next(workspace.numbers)}"
    aside.write_bytes(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(target)


def _in_volume(workspace: Workspace, path: str) -> Path:
    if not path.startswith("/Volumes/"):
        raise invalid(f"Invalid path: unsupported first path component: {path.strip('/').split('/')[0]}")
    if not workspace.has_volume(path):
        name = ".".join(path.strip("/").split("/")[1:4])
        raise ApiError(404, "NOT_FOUND", f"Volume '{name}' does not exist.")
    return workspace.local(path)


def _contents(target: Path, call: Call) -> Response:
    if not target.is_file():
        raise _not_found("file")
    content, modified = target.read_bytes(), target.stat().st_mtime
    start = int(call.headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])
    return Response(
        content[start:],
        HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK,
        {"last-modified": formatdate(modified, usegmt=True)},
        "application/octet-stream",
    )


def _entry(path: str, file: Path) -> DirectoryEntry:
    if file.is_dir():
        return DirectoryEntry(is_directory=True, name=file.name, path=path)
    status = file.stat()
    return DirectoryEntry(
        file_size=status.st_size,
        is_directory=False,
        last_modified=int(status.st_mtime * 1000),
        name=file.name,
        path=path,
    )


def _not_found(kind: str) -> ApiError:
    return ApiError(404, "NOT_FOUND", f"The {kind} being accessed is not found.")
