"""``harness watch``: runs a scenario each time one of its files changes.

The target stays open between the runs, and what it can keep warm stays warm. Files are compared twice a
second by size and time of modification, which works on every file system and mount.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ExitCode, HarnessError, InterruptedRunError, ScenarioError, UsageError
from harness.loading.document import read_document
from harness.loading.loader import LoadedScenario, find_scenario
from harness.loading.passwords import list_texts
from harness.request import RunRequest, Session, make_line_printer, open_session
from harness.setting_types import SETTINGS_FILE, Settings
from harness.settings import read_settings
from harness.storage.uris import find_table_folder
from harness.targets.base import KeepsWarm, Target
from harness.targets.registry import TARGETS
from harness.workflow import run_session

if TYPE_CHECKING:
    from rich.console import Console

_INTERVAL_S = 0.5
_MOST_NAMED = 3
State = Mapping[Path, object]
"""Each file or folder with what tells that it has changed."""


def watch(request: RunRequest, console: Console) -> ExitCode:
    """Run a scenario now, and again each time one of its files changes, until Ctrl-C.

    Args:
        request: What to run, and where.
        console: Shows progress, verdicts and errors.

    Returns:
        That of a run that was interrupted; otherwise 0, whatever the verdicts were.

    Raises:
        UsageError: The scenario or the target doesn't exist, or the target isn't on this machine.
        InterruptedRunError: Ctrl-C, before a run had its result.
    """
    report = make_line_printer(console)
    with ExitStack() as warm:
        watched = _Watched(request, console, warm, [find_scenario(request.scenario), SETTINGS_FILE])
        while True:
            if watched.run() is ExitCode.INTERRUPTED:
                return ExitCode.INTERRUPTED
            report(
                f"\nWatching {_name(file for file in watched.files if file.exists())}. To stop, press Ctrl-C."
            )
            try:
                changed = _wait(watched.files, watched.seen)
            except KeyboardInterrupt:
                return ExitCode.PASS
            report(f"\n{datetime.now().astimezone():%H:%M:%S}: {_name(changed)} changed.\n")
            if SETTINGS_FILE in changed:
                watched.close_target()


@dataclass
class _Watched:
    """A scenario that is run on every change, and what stays open between the runs."""

    request: RunRequest
    console: Console
    warm: ExitStack
    """Closes what the target keeps warm."""
    files: Sequence[Path]
    """The files and folders that decide what a run does."""
    seen: State = field(default_factory=dict)
    """What they were when the last run started."""
    target: Target | None = None
    """``None`` if it isn't open."""
    was_open: bool = False
    """Whether a target was ever open: then a mistake in the settings file is a mistake to correct."""

    def run(self) -> ExitCode | None:
        """Run the scenario as it is now.

        Returns:
            ``None`` if it ended without a verdict, and the reason was shown.
        """
        self.seen = _look_at(self.files)
        try:
            session = self._open()
            self._watch(_list_files(session))
            return run_session(session)
        except InterruptedRunError:
            raise
        except HarnessError as error:
            if not self.was_open and isinstance(error, UsageError):
                raise  # No change of a file can help.
            make_line_printer(self.console)(str(error))
            if isinstance(error, ScenarioError):
                self._watch([*self.files, *_guess_inputs(self.files[0])])
            return None

    def _watch(self, files: Sequence[Path]) -> None:
        """Watch these files. One that has changed since it was last looked at counts as changed."""
        self.files = list(dict.fromkeys(files))
        self.seen = {file: self.seen.get(file, now) for file, now in _look_at(self.files).items()}

    def close_target(self) -> None:
        """Close the target, so that the next run opens it with other settings."""
        self.warm.close()
        self.target = None

    def _open(self) -> Session:
        if self.target is None:
            _require_local(read_settings({"target": self.request.target}))
        session = open_session(self.request, self.console, target=self.target)
        if self.target is None and isinstance(session.target, KeepsWarm):
            self.warm.enter_context(session.target.keep_warm())
        self.target, self.was_open = session.target, True
        return session


def _require_local(settings: Settings) -> None:
    """Require a target on this machine.

    Raises:
        UsageError: The target is elsewhere.
    """
    definition = TARGETS.get(settings["target"])
    if definition is not None and not definition.is_local:
        raise UsageError(
            f"'watch' doesn't run on {definition.title}: every change would start a cluster.",
            remedy="Use a local target, such as --target embedded.",
        )


def _list_files(session: Session) -> list[Path]:
    """Return the files and folders that decide what a session's runs do."""
    found = [Path(session.loaded.document.file)]
    for loaded in (session.loaded, *session.combinations):
        found += _list_inputs(loaded, session.settings)
    return [*found, SETTINGS_FILE]


def _guess_inputs(scenario: Path) -> Iterator[Path]:
    """Yield the files that a scenario seems to name, if it can't be loaded: correcting one may help."""
    with suppress(HarnessError):
        for _, text in list_texts(read_document(scenario).values):
            module = scenario.parent.joinpath(*text.partition(":")[0].split(".")).with_suffix(".py")
            with suppress(OSError, ValueError):
                yield from (each for each in (scenario.parent / text, module) if each.is_file())


def _list_inputs(loaded: LoadedScenario, settings: Settings) -> Iterable[Path]:
    folder = Path(loaded.document.file).parent
    yield from (source.path for source in loaded.sources.values() if source.path is not None)
    if loaded.code is not None:
        yield from (folder / path for path in loaded.code.files)
    if (uri := loaded.scenario.table.uri) is not None:
        table = find_table_folder(settings.table(uri) or uri, folder)
        if table is not None:
            yield table / "_delta_log"


def _wait(files: Sequence[Path], seen: State) -> list[Path]:
    """Wait until a file has changed, and then until nothing changes any more; return what has changed."""
    before = _look_at(files)
    while True:
        time.sleep(_INTERVAL_S)
        now = _look_at(files)
        changed = [file for file in files if now[file] != seen[file]]
        if changed and now == before:  # An editor, or a program that writes data, is done.
            return changed
        before = now


def _look_at(files: Iterable[Path]) -> dict[Path, object]:
    return {file: _describe(file) for file in files}


def _describe(path: Path) -> object:
    """Return what changes with a file, or with any file below a folder; ``None`` if it doesn't exist."""
    try:
        if path.is_dir():
            return {str(each): _describe(each) for each in path.rglob("*") if not each.is_dir()}
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _name(files: Iterable[Path]) -> str:
    paths = [str(file) for file in files]
    names = ", ".join(paths[:_MOST_NAMED])
    more = len(paths) - _MOST_NAMED
    return f"{names} and {more} more" if more > 0 else names
