from pathlib import Path

import pytest

from harness.events import Event
from harness.job import event_file
from harness.job.event_file import EventFile

FIRST, SECOND = Event("ingest", "started"), Event("ingest", "done", elapsed_s=1.5)


def test_the_file_holds_all_events_so_far(tmp_path: Path) -> None:
    """Each write contains every event, because a volume can't be appended to."""
    events = EventFile(tmp_path / "events.jsonl")
    events.add(FIRST)
    events.write()
    events.add(SECOND)
    events.write()
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [FIRST, SECOND] == [Event.from_line(line) for line in lines]


def test_an_event_is_written_without_being_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that emits one event and then falls silent has still written that event."""
    monkeypatch.setattr(event_file, "_WRITE_INTERVAL_S", 0.0)
    events = EventFile(tmp_path / "events.jsonl")
    events.add(FIRST)
    timer = events._timer
    if timer is not None:
        timer.join()
    assert f"{FIRST.to_line()}\n" == (tmp_path / "events.jsonl").read_text(encoding="utf-8")
