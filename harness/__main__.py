"""The entry point of ``python -m harness``."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # The current folder comes last: a file such as queue.py in it must not hide an installed module.
        sys.path.append(sys.path.pop(0))
    from harness.cli import main

    main()
