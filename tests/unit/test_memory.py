"""The memory of this machine or container, and the processes that ended for lack of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import memory as module
from harness.memory import count_memory_kills, find_heap_error, find_memory_limit

# Control groups of the second version, of the first, and of a container that sees the path outside.
GROUPS = {
    "second": ("0::/user/job\n", "user/job/memory.max", "user/job/memory.events"),
    "first": ("4:memory:/job\n0::/\n", "memory/job/memory.limit_in_bytes", "memory/job/memory.oom_control"),
    "container": ("4:memory:/outside/job\n", "memory/memory.limit_in_bytes", "memory/memory.oom_control"),
}


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the files in which the kernel describes memory by files of a folder, which is empty."""
    for name, file in (
        ("_CONTROL_GROUPS", "groups"),
        ("_OWN_GROUPS", "own"),
        ("_MACHINE_MEMORY", "meminfo"),
        ("_MACHINE_EVENTS", "vmstat"),
    ):
        monkeypatch.setattr(module, name, tmp_path / file)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("kind", GROUPS)
def test_the_smallest_limit_counts(system: Path, kind: str) -> None:
    """The limit of a container counts if it is smaller than the machine; without any limit, it is unknown."""
    own, limit, _ = GROUPS[kind]
    assert find_memory_limit() is None
    write(system / "own", own)
    write(system / "meminfo", "MemTotal:        2048 kB\n")
    write(system / "groups" / limit, "max\n")
    assert 2 << 20 == find_memory_limit()
    write(system / "groups" / limit, "1024\n")
    assert 1024 == find_memory_limit()


@pytest.mark.parametrize("kind", GROUPS)
def test_the_counter_of_the_container_counts(system: Path, kind: str) -> None:
    """Killed processes of the own container count; without its counter, those of the machine do."""
    own, _, events = GROUPS[kind]
    assert 0 == count_memory_kills()
    write(system / "own", own)
    write(system / "vmstat", "pgfault 9\noom_kill 7\n")
    assert 7 == count_memory_kills()
    write(system / "groups" / events, "oom 4\noom_kill 3\n")
    assert 3 == count_memory_kills()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Caused by: java.lang.OutOfMemoryError: Java heap space\n\tat X", "Java heap space"),
        ("java.lang.OutOfMemoryError", "Java heap space"),
        ("Exception: GC overhead limit exceeded", "GC overhead limit exceeded"),
        ("Unable to acquire 65536 bytes of memory, got 0.", "Unable to acquire 65536 bytes of memory"),
        ("java.lang.OutOfMemoryError: unable to create native thread: possibly a limit", None),
        ("java.lang.IllegalStateException: no", None),
    ],
)
def test_an_error_of_the_heap_is_recognized(text: str, reason: str | None) -> None:
    """Messages of a heap that is too small are recognized, but not a lack of threads."""
    assert reason == find_heap_error(text)
