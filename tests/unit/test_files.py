"""Files that are written completely or not at all, and their locks."""

import errno
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ExitCode, PrerequisiteError
from harness.files import FULL_DISK_REMEDY, make_unwritable_error, sha256_of, write_text

MOUNT = shutil.which("mount")


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if MOUNT is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("umask", "modes"), [(0o022, (0o755, 0o644)), (0o077, (0o700, 0o600))])
def test_a_file_is_written(tmp_path: Path, umask: int, modes: tuple[int, int]) -> None:
    """A text is written into a folder that is created; the user's umask decides who can read both."""
    file = tmp_path / "new" / "folder" / "plan.json"
    own = os.umask(umask)
    try:
        write_text(file, "größer\n")
    finally:
        os.umask(own)
    assert "größer\n".encode() == file.read_bytes()
    assert modes == (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777)


def test_the_temporary_file_is_removed(tmp_path: Path) -> None:
    """Writing leaves no temporary file."""
    write_text(tmp_path / "plan.json", "one")
    write_text(tmp_path / "plan.json", "two")
    assert _names(tmp_path) == ["plan.json"]


def test_a_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    """An error while writing leaves the old file unchanged, and no temporary file."""
    file = tmp_path / "plan.json"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "new \ud800")
    assert (_names(tmp_path), file.read_text()) == (["plan.json"], "old")


def test_a_full_disk_leaves_the_old_file(small_disk: Path) -> None:
    """A full disk leaves the old file and no partial one; the remedy is to free space."""
    file = small_disk / "plan.json"
    write_text(file, "old")
    with pytest.raises(PrerequisiteError, match=f"No space left on device[^$]*{re.escape(FULL_DISK_REMEDY)}"):
        write_text(file, "new" * 100_000)
    assert (_names(small_disk), file.read_text()) == (["plan.json"], "old")


def test_a_folder_instead_of_the_file_is_reported(tmp_path: Path) -> None:
    """A folder with the file's name is reported and left unchanged."""
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(PrerequisiteError, match=r"Can't write .*plan\.json: Is a directory"):
        write_text(tmp_path / "plan.json", "text")
    assert _names(tmp_path) == ["plan.json"]


def test_a_file_instead_of_the_folder_is_reported(tmp_path: Path) -> None:
    """A path below a file can't be written, which is a missing prerequisite."""
    (tmp_path / "runs").touch()
    with pytest.raises(PrerequisiteError, match=r"Can't write .*runs/plan\.json") as caught:
        write_text(tmp_path / "runs" / "plan.json", "text")
    assert caught.value.exit_code == ExitCode.PREREQUISITE_MISSING


@pytest.mark.parametrize(
    ("number", "cause", "remedy"),
    [
        (errno.ENOSPC, "The disk is full: can't", "Free some space"),
        (errno.EDQUOT, "The disk is full: can't", "Free some space"),
        (errno.EACCES, "Can't", "Make the folder writable"),
        (errno.EROFS, "Can't", "Make the folder writable"),
    ],
)
def test_the_remedy_fits_the_cause(number: int, cause: str, remedy: str) -> None:
    """The remedy for a full disk is to free space, for any other error permission."""
    error = make_unwritable_error(Path("plan.json"), OSError(number, os.strerror(number)))
    expected = f"{cause} write plan.json: {os.strerror(number)}.\n  {remedy}"
    assert expected == str(error)[: len(expected)]


@pytest.mark.parametrize("size_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_digest_is_of_the_complete_file(tmp_path: Path, size_bytes: int) -> None:
    """A file's digest covers all of it, in however many chunks it is read."""
    (tmp_path / "data").write_bytes(b"x" * size_bytes)
    assert hashlib.sha256(b"x" * size_bytes).hexdigest() == sha256_of(tmp_path / "data")
