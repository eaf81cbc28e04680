"""Where scenarios run: a target starts the job there, and brings its result back."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from harness.errors import UsageError
from harness.events import Listener
from harness.results import Result
from harness.scenario.plan import Environment
from harness.scenario.suggest import did_you_mean
from harness.settings import Settings

NAMES = ("embedded",)


class Target(Protocol):
    """A place where the job can run."""

    def environment(self, source_bytes: int | None) -> Environment:
        """Everything that is particular to this place.

        Args:
            source_bytes: Size of the data that the scenario starts from; ``None`` where it is not known.
        """

    def prepare(self) -> None:
        """See that everything that the job needs is there.

        Raises:
            NotThereError: Something is not.
        """

    def run(self, folder: Path, listener: Listener) -> Result:
        """Run the job to its end.

        Args:
            folder: The run's local folder, which holds the plan; result and log are written into it.
            listener: Told of every event as it comes.

        Raises:
            JobError: The job ended without a result.
            InterruptedRunError: Ctrl-C; the job has ended too.
        """

    def remove_run(self, run_id: str) -> None:
        """Remove what a run left here besides its folder: its tables."""


def open_target(settings: Settings) -> Target:
    """The target that the settings name.

    Raises:
        UsageError: There is no such target.
    """
    name = settings["target"]
    if name not in NAMES:
        raise UsageError(
            f"There is no target '{name}'.{did_you_mean(name, NAMES)}",
            remedy=f"Known targets: {', '.join(NAMES)}.",
        )
    from harness.targets.embedded import Embedded

    return Embedded(settings)
