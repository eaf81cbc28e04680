"""Files that other processes read: written under another name, then renamed, and locked while in use."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import PrerequisiteError

_logger = logging.getLogger(__name__)

FULL_DISK_REMEDY = (
    "Free some space ('harness clean --keep-runs 5' removes old runs), "
    "or set HARNESS_HOME to a folder with more space."
)
UNWRITABLE_REMEDY = "Make the folder writable, or set HARNESS_HOME to one that is."
_CHUNK_BYTES = 1 << 20


def write_text(path: Path, text: str) -> None:
    """Write a text file completely, or leave the old one unchanged.

    Raises:
        PrerequisiteError: The folder can't be written or the disk is full.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file completely, or leave the old one unchanged.

    Raises:
        PrerequisiteError: The folder can't be written or the disk is full.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Opened as any file is, so that the user's umask decides who can read it.
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
        _logger.debug("wrote %s", path)
    except OSError as error:
        raise make_unwritable_error(path, error) from error
    finally:
        with suppress(OSError):  # It has been renamed if nothing failed.
            temporary.unlink(missing_ok=True)


def make_unwritable_error(path: Path, error: OSError) -> PrerequisiteError:
    """Return the error for a file or folder that can't be written."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PrerequisiteError(f"The disk is full: can't write {path}: {reason}.", remedy=FULL_DISK_REMEDY)
    return PrerequisiteError(f"Can't write {path}: {reason}.", remedy=UNWRITABLE_REMEDY)


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def digest_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its relative path with ``/``, sorted by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


@contextmanager
def file_lock(path: Path) -> Iterator[int]:
    """Mark a file as in use until the block or the process ends.

    Yields:
        The file's descriptor: a process that inherits it keeps the mark, even if this one is killed.
    """
    with path.open("rb") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)
        yield file.fileno()


def is_locked(path: Path) -> bool:
    """Return whether a process has marked the file as in use."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Lock a file until the block or the process ends, without waiting.

    Yields:
        Whether this process has the lock; on a file system without locks, it always has.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass
        yield True


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Make other processes wait until the block or the process ends.

    On a file system without locks, nobody waits.
    """
    with path.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
