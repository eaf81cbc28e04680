"""The file of all events of a job."""

from pathlib import Path

import pytest

from harness.events import Event
from harness.job import event_file
from harness.job.event_file import EventFile

FIRST, SECOND = Event("ingest", "started"), Event("ingest", "done", elapsed_s=1.5)


def test_the_file_holds_all_events_so_far(tmp_path: Path) -> None:
    """Each write contains all events so far, because files in a volume can't be appended to."""
    events = EventFile(tmp_path / "events.jsonl")
    events.add(FIRST)
    events.write()
    events.add(SECOND)
    events.write()
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [FIRST, SECOND] == [Event.from_line(line) for line in lines]


def test_an_event_is_written_within_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is written after a short interval, even if no other event follows."""
    monkeypatch.setattr(event_file, "_WRITE_INTERVAL_S", 0.0)
    events = EventFile(tmp_path / "events.jsonl")
    events.add(FIRST)
    timer = events._timer
    if timer is not None:
        timer.join()
    assert f"{FIRST.to_line()}\n" == (tmp_path / "events.jsonl").read_text(encoding="utf-8")
