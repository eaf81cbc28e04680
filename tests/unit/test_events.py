"""Events as lines of JSON."""

import pytest

from harness.events import Event


@pytest.mark.parametrize(
    "event",
    [
        Event("session", "started"),
        Event("train", "done", version="january", elapsed_s=1.5, detail="grid of 4"),
        Event("check", "done", detail='a "quoted"\nline with ü'),
    ],
)
def test_an_event_survives_its_line(event: Event) -> None:
    """An event is the same after writing and reading its line."""
    assert event == Event.from_line(event.to_line())


def test_an_event_is_one_line() -> None:
    """An event is one line, even if its detail contains line breaks."""
    assert "\n" not in Event("check", "done", detail="two\nlines").to_line()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "26/01/31 09:45:02 ERROR TaskSetManager",
        '{"level": "info"}',
        '{"event": ',
        '{"event": null}',
        '{"event": []}',
        '{"event": {}}',
        '{"event": {"step": "train"}}',
        '{"event": {"step": "train", "state": "done", "color": "red"}}',
    ],
)
def test_a_line_without_an_event_is_ignored(line: str) -> None:
    """A log line, or part of an event, is not read as an event."""
    assert Event.from_line(line) is None
