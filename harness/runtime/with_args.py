"""Start a command with the words of the variable ARGS, for the Makefile.

``with_args.py harness check ARGS -- NAME`` puts the words of ARGS in place of the first ``ARGS``. They are
split as in a shell, but nothing in them is expanded or executed.
"""

from __future__ import annotations

import os
import shlex
import sys

_MARK = "ARGS"
_WRONG_INPUT = 2


def main() -> None:
    """Replace this process by the command."""
    try:
        words = shlex.split(os.environ.get(_MARK, ""))
    except ValueError as error:
        sys.stderr.write(f"{_MARK}={os.environ[_MARK]}: {error}.\n  Close the quotation.\n")
        sys.exit(_WRONG_INPUT)
    command = sys.argv[1:]
    place = command.index(_MARK)
    command[place : place + 1] = words
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted.


if __name__ == "__main__":
    main()
