"""Where scenarios run: a target starts the job there, and brings its result back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from harness.errors import NotThereError, UsageError
from harness.events import Listener
from harness.plan import Environment, Plan, SourceData
from harness.results import Result
from harness.settings import Settings
from harness.suggestions import did_you_mean
from harness.targets.checks import Check

NAMES = ("auto", "embedded", "compose", "databricks")


class Target(Protocol):
    """A place where the job can run."""

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Everything that is particular to this place.

        Args:
            source_bytes: Size of the data that the scenario starts from; ``None`` where it is not known.
            store: Name of the model store that the scenario publishes to.
        """

    def place(self, source: SourceData) -> SourceData:
        """The scenario's rows where the job can read them; :meth:`prepare` copies them there.

        Raises:
            NotThereError: The job can't read them there, and they can't be copied.
        """

    def existing_table(self, uri: str) -> str:
        """A table that is there already, as the job can read it: it is copied nowhere.

        Args:
            uri: Its URI, or its absolute path on this machine.

        Raises:
            NotThereError: The job can't read it.
        """

    def checks(self) -> Iterator[Check]:
        """What must be there, looked at one by one, without starting anything."""

    def prepare(self, plan: Plan) -> None:
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


def open_target(
    settings: Settings, report: Callable[[str], None] = lambda _line: None, *, keep: bool = False
) -> Target:
    """The target that the settings name; with ``auto`` Compose where it is ready, embedded otherwise.

    Args:
        settings: Name the target.
        report: Told in one line which target was chosen, and why.
        keep: A stack that a run brings up outlives the run's fault.

    Raises:
        UsageError: There is no such target.
    """
    name = settings["target"]
    if name not in NAMES:
        raise UsageError(
            f"There is no target '{name}'.{did_you_mean(name, NAMES)}",
            remedy=f"Known targets: {', '.join(NAMES)}.",
        )
    if name == "auto":
        name = _choose(settings, report)
    # Each target imports what is heavy in its own way.
    if name == "compose":
        from harness.targets.compose.compose_target import Compose

        return Compose(settings, keep=keep)
    if name == "databricks":
        from harness.targets.databricks.databricks_target import Databricks

        return Databricks(settings, report, keep=keep)
    from harness.targets.embedded.embedded_target import Embedded

    return Embedded(settings)


def _choose(settings: Settings, report: Callable[[str], None]) -> str:
    """The better one of the targets that are ready, told with the reason and the way to the other."""
    from harness.targets.compose.stack import Stack

    if any("://" not in (settings.chosen(name) or "://") for name in ("lake", "stores.models")):
        report("Target: embedded, as the settings name folders of this machine.")
        return "embedded"
    try:
        Stack(settings).ready()
    except NotThereError as error:
        report(f"Target: embedded. Compose is not ready: {error.message} {error.remedy or ''}".strip())
        return "embedded"
    report("Target: compose, as its images are there. For the other: --target embedded.")
    return "compose"
