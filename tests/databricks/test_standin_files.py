"""The stand-in's files in volumes and in the workspace, each call through the real SDK."""

from __future__ import annotations

import io

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    InvalidParameterValue,
    NotFound,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.workspace import ImportFormat, ObjectType

from tests.databricks.submissions import HOME, ROOT


def test_a_file_of_a_volume_is_read_back(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/upload: missing folders are created."""
    client.files.upload(f"{ROOT}/a b/ü.bin", io.BytesIO(b"\x00\r\n\xff"))
    contents = client.files.download(f"{ROOT}/a b/ü.bin").contents
    assert contents is not None
    assert b"\x00\r\n\xff" == contents.read()


def test_a_file_has_metadata(client: WorkspaceClient) -> None:
    """| https://docs.databricks.com/api/workspace/files/getmetadata: length and time, without a body."""
    client.files.upload(f"{ROOT}/four", io.BytesIO(b"four"))
    assert 4 == client.files.get_metadata(f"{ROOT}/four").content_length


def test_an_existing_file_is_not_overwritten(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/upload: 409 with overwrite=false, else replaced."""
    client.files.upload(f"{ROOT}/twice", io.BytesIO(b"1"), overwrite=True)
    with pytest.raises(ResourceConflict):
        client.files.upload(f"{ROOT}/twice", io.BytesIO(b"2"), overwrite=False)
    assert 1 == client.files.get_metadata(f"{ROOT}/twice").content_length


def test_a_file_is_deleted(client: WorkspaceClient) -> None:
    """| https://docs.databricks.com/api/workspace/files/delete: a deleted file is answered with 404."""
    client.files.upload(f"{ROOT}/gone", io.BytesIO(b""))
    client.files.delete(f"{ROOT}/gone")
    for ask in (client.files.get_metadata, client.files.download, client.files.delete):
        with pytest.raises(NotFound):
            ask(f"{ROOT}/gone")


def test_a_folder_of_a_volume_is_listed(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/listdirectorycontents: page by page."""
    client.files.create_directory(f"{ROOT}/folder/inner")
    client.files.upload(f"{ROOT}/folder/file", io.BytesIO(b"12"))
    listed = client.files.list_directory_contents(f"{ROOT}/folder", page_size=1)
    assert [("file", False, 2), ("inner", True, None)] == [
        (each.name, each.is_directory, each.file_size) for each in listed
    ]


def test_only_an_empty_folder_is_deleted(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/deletedirectory: 400 if it is not, 404 afterwards."""
    client.files.upload(f"{ROOT}/full/file", io.BytesIO(b""))
    with pytest.raises(BadRequest) as caught:
        client.files.delete_directory(f"{ROOT}/full")
    client.files.delete(f"{ROOT}/full/file")
    client.files.delete_directory(f"{ROOT}/full")
    assert ["FILES_API_DIRECTORY_IS_NOT_EMPTY"] == [each.reason for each in caught.value.get_error_info()]
    with pytest.raises(NotFound):
        client.files.get_directory_metadata(f"{ROOT}/full")


@pytest.mark.parametrize(
    "path",
    ["/Volumes/main/default/other/file", "/Volumes/main", "/Users/file"],
    ids=["other", "none", "users"],
)
def test_files_need_an_existing_volume(client: WorkspaceClient, path: str) -> None:
    """https://docs.databricks.com/api/workspace/files/upload: a missing volume is refused."""
    with pytest.raises((NotFound, InvalidParameterValue)):
        client.files.upload(path, io.BytesIO(b""))


def test_a_volume_is_found(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/volumes/read: by its full name; others answer 404."""
    assert "main.default.harness" == client.volumes.read("main.default.harness").full_name
    with pytest.raises(NotFound):
        client.volumes.read("main.default.other")


def test_a_workspace_file_is_read_back(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/import: as the SDK posts it, bytes unchanged."""
    client.workspace.upload(f"{HOME}/a.bin", b"\x00\r\n\xff--", format=ImportFormat.AUTO, overwrite=True)
    assert b"\x00\r\n\xff--" == client.workspace.download(f"/Workspace{HOME}/a.bin").read()


def test_a_workspace_file_is_imported_as_json(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/export: base64 both ways."""
    client.workspace.import_(f"{HOME}/b.txt", content="Yg==", format=ImportFormat.AUTO, overwrite=True)
    assert "Yg==" == client.workspace.export(f"{HOME}/b.txt").content


def test_a_workspace_file_needs_a_folder_and_a_free_name(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/import: 404 and RESOURCE_ALREADY_EXISTS."""
    with pytest.raises(ResourceDoesNotExist, match="parent folder"):
        client.workspace.upload(f"{HOME}/none/c", b"", format=ImportFormat.AUTO)
    client.workspace.upload(f"{HOME}/c", b"", format=ImportFormat.AUTO)
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.upload(f"{HOME}/c", b"", format=ImportFormat.AUTO)


def test_a_workspace_file_is_not_a_notebook(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/import: the default format is for notebooks."""
    with pytest.raises(DatabricksError, match=r"ImportFormat\.AUTO"):
        client.workspace.upload(f"{HOME}/plan.json", b"{}")


def test_workspace_folders_are_created_listed_and_deleted(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/delete: a folder with content only recursively."""
    client.workspace.mkdirs(f"/Workspace{HOME}/d/e")
    client.workspace.upload(f"{HOME}/d/f", b"12", format=ImportFormat.AUTO)
    assert [(f"{HOME}/d/e", ObjectType.DIRECTORY, None), (f"{HOME}/d/f", ObjectType.FILE, 2)] == [
        (each.path, each.object_type, each.size) for each in client.workspace.list(f"{HOME}/d")
    ]
    with pytest.raises(DatabricksError) as caught:
        client.workspace.delete(f"{HOME}/d")
    assert "DIRECTORY_NOT_EMPTY" == caught.value.error_code
    client.workspace.delete(f"{HOME}/d", recursive=True)
    with pytest.raises(ResourceDoesNotExist):
        client.workspace.get_status(f"{HOME}/d")
