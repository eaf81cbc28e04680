"""Digests of the content of files and folders, kept between commands: unchanged files aren't read again.

A file counts as unchanged if its size and its time of modification are the same, unless it was modified in
the last seconds: then it may change again within the resolution of that time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.files import sha256_of, write_text

FILE = "digests.json"
"""Name of the file with the digests, in the home folder."""
_SETTLED_S = 2.0
_MOST_KEPT = 10_000


@dataclass
class ContentDigests:
    """The digests that are known of files, by their path, size and time of modification."""

    file: Path
    _known: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    _is_changed: bool = False

    @classmethod
    def open(cls, home: Path) -> ContentDigests:
        """Read the digests that earlier commands computed; none if they can't be read."""
        try:
            values = json.loads((home / FILE).read_bytes())
            known = {
                str(path): (int(size), int(at), str(digest)) for path, (size, at, digest) in values.items()
            }
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            known = {}
        return cls(home / FILE, known)

    def digest_file(self, path: Path) -> str:
        """Return the SHA-256 of a file as 64 hexadecimal digits."""
        name, state = str(path.absolute()), path.stat()
        known = self._known.get(name)
        if known is not None and known[:2] == (state.st_size, state.st_mtime_ns):
            return known[2]
        digest = sha256_of(path)
        # Somebody may be writing to it: in that case, the digest is of no known state.
        after = path.stat()
        is_settled = time.time() - state.st_mtime > _SETTLED_S
        if is_settled and (after.st_size, after.st_mtime_ns) == (state.st_size, state.st_mtime_ns):
            self._known[name] = (state.st_size, state.st_mtime_ns, digest)
            self._is_changed = True
        return digest

    def digest_folder(self, folder: Path) -> str:
        """Return the SHA-256 of all files below a folder, with their relative paths."""
        digest = hashlib.sha256()
        for root, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(root, name)
                relative = path.relative_to(folder).as_posix()
                digest.update(f"{relative}\n{self.digest_file(path)}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def save(self) -> None:
        """Keep the digests for later commands, which otherwise compute them again."""
        if not self._is_changed:
            return
        kept: Mapping[str, tuple[int, int, str]] = dict(list(self._known.items())[-_MOST_KEPT:])
        with suppress(PrerequisiteError):
            write_text(self.file, json.dumps(kept) + "\n")
        self._is_changed = False
