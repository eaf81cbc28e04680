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
from harness.files import FULL_DISK_REMEDY, sha256_of, unwritable, write_text

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


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """The text is there, in a folder that was not, for everybody to read."""
    file = tmp_path / "new" / "folder" / "plan.json"
    write_text(file, "größer\n")
    assert ("größer\n".encode(), 0o644) == (file.read_bytes(), file.stat().st_mode & 0o777)


def test_nothing_else_is_left_beside_it(tmp_path: Path) -> None:
    """The file that was written aside is gone."""
    write_text(tmp_path / "plan.json", "one")
    write_text(tmp_path / "plan.json", "two")
    assert _names(tmp_path) == ["plan.json"]


def test_a_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    """A fault in the middle of writing leaves the old file, and nothing beside it."""
    file = tmp_path / "plan.json"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "new \ud800")
    assert (_names(tmp_path), file.read_text()) == (["plan.json"], "old")


def test_a_full_disk_leaves_the_old_file(small_disk: Path) -> None:
    """Where there is no room the old file stays, the new one's half is gone, and the remedy is room."""
    file = small_disk / "plan.json"
    write_text(file, "old")
    with pytest.raises(PrerequisiteError, match=f"No space left on device[^$]*{re.escape(FULL_DISK_REMEDY)}"):
        write_text(file, "new" * 100_000)
    assert (_names(small_disk), file.read_text()) == (["plan.json"], "old")


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    """What stands in the way is left as it is, and nothing is left beside it."""
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(PrerequisiteError, match=r"Can't write .*plan\.json: Is a directory"):
        write_text(tmp_path / "plan.json", "text")
    assert _names(tmp_path) == ["plan.json"]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    """A path below a file can't be written: something that the run needs is not there."""
    (tmp_path / "runs").touch()
    with pytest.raises(PrerequisiteError, match=r"Can't write .*runs/plan\.json") as caught:
        write_text(tmp_path / "runs" / "plan.json", "text")
    assert caught.value.exit_code == ExitCode.PREREQUISITE_MISSING


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EACCES, "Make the folder writable"),
        (errno.EROFS, "Make the folder writable"),
    ],
)
def test_the_remedy_fits_the_cause(number: int, remedy: str) -> None:
    """A full disk wants room, any other one permission."""
    error = unwritable(Path("plan.json"), OSError(number, os.strerror(number)))
    expected = f"Can't write plan.json: {os.strerror(number)}.\n  {remedy}"
    assert expected == str(error)[: len(expected)]


@pytest.mark.parametrize("size_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_digest_is_of_the_whole_file(tmp_path: Path, size_bytes: int) -> None:
    """However many chunks a file is read in."""
    (tmp_path / "data").write_bytes(b"x" * size_bytes)
    assert hashlib.sha256(b"x" * size_bytes).hexdigest() == sha256_of(tmp_path / "data")
