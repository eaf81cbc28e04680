"""The log that ``--verbose`` writes to standard error."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.storage.uris import hide_passwords

_FORMAT = "%(asctime)s.%(msecs)03d %(name)s: %(message)s"
_logger = logging.getLogger(__name__)


class _RedactingFormatter(logging.Formatter):
    """A formatter that hides the passwords of URIs, wherever in a record they are."""

    def format(self, record: logging.LogRecord) -> str:
        return hide_passwords(super().format(record))


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Write the harness's log records to standard error until the block ends.

    Other libraries' logs stay off, as some of them contain request headers.
    """
    harness_logger = logging.getLogger("harness")
    level = harness_logger.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter(_FORMAT, datefmt="%H:%M:%S"))
    harness_logger.addHandler(handler)
    harness_logger.setLevel(logging.DEBUG)
    try:
        _logger.debug("Python %s in %s, %s", platform.python_version(), sys.prefix, platform.platform())
        _logger.debug("current folder: %s", Path.cwd())
        yield
    finally:
        harness_logger.setLevel(level)
        harness_logger.removeHandler(handler)
