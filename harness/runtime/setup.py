"""Last stage of the setup: discovery of Java, download of the jars.

``python -m harness.runtime.setup`` finds Java and downloads the jars, ``... java`` only finds Java, and ``...
lock`` writes the lock file of the jars again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from harness.errors import ExitCode, HarnessError
from harness.runtime import jars
from harness.runtime.java import HOME_VARIABLE, Java, find_java


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the action of the command line, and return the harness's exit code."""
    options = _parse(arguments)
    try:
        java = find_java(os.environ.get(HOME_VARIABLE), os.environ)
        _ACTIONS[options.action](java)
    except HarnessError as error:
        if not options.quiet:
            print(f"Setup: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.PASS


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.runtime.setup", description=__doc__)
    parser.add_argument("action", nargs="?", choices=tuple(_ACTIONS), default="all")
    parser.add_argument("--quiet", action="store_true", help="print no error if something is missing")
    return parser.parse_args(arguments)


def _find_java(java: Java) -> None:
    del java  # This action only needs that Java was found.


def _fetch_jars(java: Java) -> None:
    _say(f"Java {java.version} in {java.home} ({java.origin})")
    class_path = jars.load_class_path(java, report=_say)
    _say(f"{len(class_path)} jars in {class_path[0].parent}")


def _lock_jars(java: Java) -> None:
    jars.write_lock(java, report=_say)
    _say(f"wrote {jars.LOCK}")


def _say(message: str) -> None:
    print(f"Setup: {message}", flush=True)


_ACTIONS = {"all": _fetch_jars, "java": _find_java, "lock": _lock_jars}

if __name__ == "__main__":
    sys.exit(main())
