"""The timings of a job's steps, and their events."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from harness.events import Event
from harness.job import clock as module
from harness.job.clock import Clock


def ignore(_event: Event) -> None:
    pass


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock's time by these readings, taken one by one; other threads keep the real time."""
    readings: list[float] = []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: readings.pop(0)))
    return readings


def test_timings_add_up_per_version(seconds: list[float]) -> None:
    """The seconds of a step that runs twice at one version are added up."""
    seconds += [0.0, 1.0, 10.0, 12.0, 20.0, 25.0]
    clock = Clock(ignore)
    for version in ("first", "first", "second"):
        with clock.step("train", version):
            pass
    assert {"train": 3.0} == clock.version_timings("first")


def test_totals_are_over_all_versions(seconds: list[float]) -> None:
    """The total of a step includes all versions, and the step without a version."""
    seconds += [0.0, 1.0, 10.0, 12.0, 20.0, 25.5]
    clock = Clock(ignore)
    for version in ("first", "second", None):
        with clock.step("log", version):
            pass
    assert {"log": 8.5} == clock.total_timings()


def test_an_unknown_version_has_no_timings() -> None:
    """A version without any step has no timings."""
    assert {} == Clock(ignore).version_timings("first")


def test_a_step_reports_its_start_progress_and_end(seconds: list[float]) -> None:
    """A step emits its start, its progress and its end, with the version and the time it took."""
    seconds += [1.0, 1.25]
    events: list[Event] = []
    with Clock(events.append).step("train", "first") as report:
        report("1 of 4 fits")
    assert events == [
        Event("train", "started", "first"),
        Event("train", "running", "first", detail="1 of 4 fits"),
        Event("train", "done", "first", elapsed_s=0.25),
    ]


def test_a_failed_step_is_timed_but_not_done(seconds: list[float]) -> None:
    """A failed step is timed, but emits no 'done'."""
    seconds += [1.0, 3.0]
    events: list[Event] = []
    clock = Clock(events.append)
    with pytest.raises(ValueError, match="broken"), clock.step("train"):
        raise ValueError("broken")
    assert ([Event("train", "started")], {"train": 2.0}) == (events, clock.total_timings())


def test_events_from_many_threads_do_not_overlap() -> None:
    """Events from many threads are emitted one after another, and none is lost."""
    busy = 0
    events: list[Event] = []

    def listen(event: Event) -> None:
        nonlocal busy
        busy += 1
        assert busy == 1
        events.append(event)
        busy -= 1

    clock = Clock(listen)

    def work(number: int) -> None:
        for each in range(20):
            with clock.step(f"step {each}", f"version {number}"):
                clock.version_timings(f"version {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (2 * 8 * 20, 20) == (len(events), len(clock.total_timings()))
