"""``make test-faults``: kill processes of runs at random moments, and look for what they leave.

``python -m tests.faults [--kills N] [--seed N] [--target TARGET] [--resume] [--only NAME]...``. Each kill is
a run of the small scenario, of which one process is killed: its command, its job, the job's JVM, or a service
of its stack. In Compose, MLflow may also be stopped for a minute ('mlflow-outage'), and a run that has begun
must pass. The moments are drawn from the lines of a run that nobody disturbs, so that each phase is hit.
Then, as after a crash, another command is called, and nothing may be left. With ``--resume``, a run that was
killed goes on, and is killed again, until it has its verdict; it must pass with the same numbers, and have
nothing twice.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.compose.conftest import RunningStack, variables
from tests.embedded.small import SMALL, write_scenario
from tests.faults.campaign import COMMAND, Campaign, Victim
from tests.faults.compose import ComposeVictim
from tests.faults.embedded import EmbeddedVictim

_STACK = "harness-faults"


def main(arguments: list[str]) -> int:
    """Run a campaign, and return 1 if something was left, or other numbers were measured."""
    parser = argparse.ArgumentParser(prog="make test-faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--target", choices=("embedded", "compose"), default="embedded")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    options = parser.parse_args(arguments)
    victims: dict[str, type[EmbeddedVictim | ComposeVictim]] = {
        "embedded": EmbeddedVictim,
        "compose": ComposeVictim,
    }
    known = (COMMAND, *victims[options.target].names)
    if unknown := set(options.only) - set(known):
        parser.error(f"--only {min(unknown)}: choose from {', '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="harness-faults-") as folder:
        scenario = write_scenario(Path(folder), SMALL)
        with _open_victim(options.target, Path(folder)) as victim:
            campaign = Campaign(victim, scenario, _show, options.only, options.resume)
            campaign.run(options.kills, options.seed)
            passed, different = campaign.compare_numbers()
    for code, count in sorted(Counter(campaign.codes).items()):
        _show(f"{count:5}  {code}")
    _show(f"{options.kills} kills with seed {options.seed}: {len(campaign.findings)} findings")
    _show(f"{passed} runs passed, {different} of them with other numbers than the first")
    return 1 if campaign.findings or different else 0


@contextmanager
def _open_victim(target: str, folder: Path) -> Iterator[Victim]:
    home = folder / "home"
    if target == "embedded":
        yield EmbeddedVictim(home)
        return
    stack = RunningStack(home, variables(home, _STACK))
    stack.stack.require_own()
    try:
        started = stack.run("up")
        if started.returncode:
            raise SystemExit(started.stderr)
        yield ComposeVictim(stack)
    finally:
        stack.stack.remove_containers(volumes=True)
        shutil.rmtree(home / "stack", ignore_errors=True)


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
