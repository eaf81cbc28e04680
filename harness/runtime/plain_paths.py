"""Folders whose names contain characters that Spark or MLflow take for a pattern or a part of a URI."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from harness.reading.file_names import is_plain_path
from harness.runtime.jars import choose_cache_folder

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def choose_plain_path(folder: Path, environ: Mapping[str, str]) -> Path:
    """Return a folder, or a link to it in the cache folder if Spark or MLflow can't use its path.

    Folder and link are made if they don't exist yet; the link is always the same one for a folder. If that
    fails, the folder itself is returned, and whatever uses it reports the reason.
    """
    if is_plain_path(folder):
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    link = choose_cache_folder(environ) / "links" / f"{_ODD.sub('_', folder.name)}-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        # Another command may have made it, as its name is derived from the folder.
        with suppress(FileExistsError):
            link.symlink_to(folder)
    except OSError:
        return folder
    return link
