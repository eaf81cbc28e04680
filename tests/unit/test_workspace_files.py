"""The folders for uploads in a workspace, and their expiry."""

from __future__ import annotations

import io
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from harness.errors import PrerequisiteError
from harness.targets.databricks.workspace_files import has_expired, name_expiring_folder, sweep, upload_once

MONDAY = date(2026, 11, 23)
ROOT = "/Volumes/main/default/harness"


class _Folder:
    """Files in memory, with uploads that can be interrupted."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self.removed: list[str] = []
        self.breaks = breaks

    def make_folder(self, path: str) -> None:
        pass

    def exists(self, path: str) -> bool:
        return path in self.files

    def upload(self, path: str, content: BinaryIO) -> None:
        self.files[path] = content.read()
        if self.breaks:
            raise PrerequisiteError("The connection broke.")

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def names(self, folder: str) -> list[tuple[str, bool]]:
        below = [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(f"{folder}/")]
        return [(name, "/" in path) for path in below for name in [path.partition("/")[0]]]

    def remove_file(self, path: str) -> None:
        self.files.pop(path, None)

    def remove_folder(self, path: str) -> None:
        self.removed.append(path)


def test_an_upload_folder_is_the_same_for_a_week() -> None:
    """An upload of one day is found again on the next one."""
    names = [name_expiring_folder(MONDAY + timedelta(days=day), 14) for day in range(-6, 2)]
    assert ["until-20261207"] * 7 + ["until-20261214"] == names


@pytest.mark.parametrize(
    ("name", "expired"),
    [
        ("until-20261122", True),
        ("until-20261123", False),
        ("until-20261199", False),
        ("until-2026112", False),
        ("lake", False),
    ],
)
def test_a_folder_expires_after_the_date_in_its_name(name: str, expired: bool) -> None:
    """A folder expires after the date in its name; one without a date never does."""
    assert expired == has_expired(name, MONDAY)


def test_an_existing_file_is_not_uploaded_again(tmp_path: Path) -> None:
    """A file is uploaded once, because its path identifies its content."""
    files, file = _Folder(), tmp_path / "rows.csv"
    file.write_bytes(b"id\n")
    assert [True, False] == [upload_once(files, f"{ROOT}/rows.csv", file) for _ in range(2)]
    assert {f"{ROOT}/rows.csv": b"id\n"} == files.files


def test_an_interrupted_upload_leaves_nothing(tmp_path: Path) -> None:
    """An interrupted upload leaves no partial file."""
    files, file = _Folder(breaks=True), tmp_path / "rows.csv"
    file.write_bytes(b"id\n")
    with pytest.raises(PrerequisiteError, match="The connection broke"):
        upload_once(files, f"{ROOT}/rows.csv", file)
    assert {} == files.files


def test_expired_folders_are_removed() -> None:
    """Only folders with an expired date are removed, and each is reported."""
    files, reported = _Folder(), list[str]()
    for name in (
        "until-20261101/wheels/a.whl",
        "until-20261207/wheels/a.whl",
        "lake/t/0.json",
        "until-20200101",
    ):
        files.upload(f"{ROOT}/{name}", io.BytesIO(b""))
    assert sweep(files, ROOT, MONDAY, reported.append) == 1
    assert [f"{ROOT}/until-20261101"] == files.removed == reported
