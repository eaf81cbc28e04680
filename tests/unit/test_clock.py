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
    """What the clock reads, one after the other; and it alone, as other threads look at the time too."""
    readings: list[float] = []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: readings.pop(0)))
    return readings


def test_adds_up_per_version(seconds: list[float]) -> None:
    """Two rounds of one step of one version are one entry; another version's are apart."""
    seconds += [0.0, 1.0, 10.0, 12.0, 20.0, 25.0]
    clock = Clock(ignore)
    for version in ("first", "first", "second"):
        with clock.step("train", version):
            pass
    assert {"train": 3.0} == clock.of_version("first")


def test_totals_are_over_all_versions(seconds: list[float]) -> None:
    """Steps of no version count too."""
    seconds += [0.0, 1.0, 10.0, 12.0, 20.0, 25.5]
    clock = Clock(ignore)
    for version in ("first", "second", None):
        with clock.step("log", version):
            pass
    assert {"log": 8.5} == clock.totals()


def test_a_version_that_did_nothing_has_no_steps() -> None:
    """It is unknown to the clock, which is no fault."""
    assert {} == Clock(ignore).of_version("first")


def test_tells_when_a_step_starts_and_ends(seconds: list[float]) -> None:
    """In this order, with the version, how far it is and the time that it took."""
    seconds += [1.0, 1.25]
    told: list[Event] = []
    with Clock(told.append).step("train", "first") as tell:
        tell("1 of 4 fits")
    assert told == [
        Event("train", "started", "first"),
        Event("train", "running", "first", detail="1 of 4 fits"),
        Event("train", "done", "first", elapsed_s=0.25),
    ]


def test_a_step_that_fails_is_timed_and_not_done(seconds: list[float]) -> None:
    """Its end is not told; the time is there for the result of the run that broke."""
    seconds += [1.0, 3.0]
    told: list[Event] = []
    clock = Clock(told.append)
    with pytest.raises(ValueError, match="broken"), clock.step("train"):
        raise ValueError("broken")
    assert ([Event("train", "started")], {"train": 2.0}) == (told, clock.totals())


def test_takes_steps_from_many_threads() -> None:
    """No event is lost and none told amid another."""
    busy = 0
    told: list[Event] = []

    def listen(event: Event) -> None:
        nonlocal busy
        busy += 1
        assert busy == 1
        told.append(event)
        busy -= 1

    clock = Clock(listen)

    def work(number: int) -> None:
        for each in range(20):
            with clock.step(f"step {each}", f"version {number}"):
                clock.of_version(f"version {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (2 * 8 * 20, 20) == (len(told), len(clock.totals()))
