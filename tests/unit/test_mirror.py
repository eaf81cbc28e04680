from pathlib import Path

import pytest

from harness.events import Event
from harness.job import event_file
from harness.job.event_file import Mirror

FIRST, SECOND = Event("ingest", "started"), Event("ingest", "done", elapsed_s=1.5)


def test_all_events_so_far_stand_in_the_file(tmp_path: Path) -> None:
    """Each writing has all of them: a volume takes no appending."""
    told = Mirror(tmp_path / "events.jsonl")
    told.tell(FIRST)
    told.write()
    told.tell(SECOND)
    told.write()
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [FIRST, SECOND] == [Event.from_line(line) for line in lines]


def test_an_event_is_written_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to ask: a job that is silent afterwards has still told it."""
    monkeypatch.setattr(event_file, "_AT_MOST_EVERY_S", 0.0)
    told = Mirror(tmp_path / "events.jsonl")
    told.tell(FIRST)
    timer = told._timer
    if timer is not None:
        timer.join()
    assert f"{FIRST.to_line()}\n" == (tmp_path / "events.jsonl").read_text(encoding="utf-8")
