"""The memory of this machine or container: how much it has, and which processes ended for lack of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

HEAP = "Java heap space"
"""Java's name for what a JVM usually has too little of."""
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_MACHINE_MEMORY = Path("/proc/meminfo")
_MACHINE_EVENTS = Path("/proc/vmstat")
# Names in the second and in the first version of control groups.
_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")
_EVENT_FILES = ("memory.events", "memory.oom_control")
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_HEAP_ERROR = re.compile(
    # Messages of Java and of Spark.
    r"OutOfMemoryError(?:: (?P<java>[^\n\t]+))?|(?P<overhead>GC overhead limit exceeded)|"
    r"(?P<spark>Unable to acquire \d+ bytes of memory)"
)
_TOO_FEW_THREADS = "unable to create native thread"
"""Java's message of a limit of processes; more heap doesn't help."""


def find_memory_limit() -> int | None:
    """Return the bytes of memory that this process may use: the container's limit or the machine's memory."""
    limits = [_read_number(group / name) for group in _list_groups() for name in _LIMIT_FILES]
    match = re.search(r"^MemTotal:\s+(\d+) kB", _read(_MACHINE_MEMORY), re.MULTILINE)
    found = [each for each in (*limits, int(match[1]) << 10 if match else None) if each is not None]
    return min(found, default=None)


def count_memory_kills() -> int:
    """Count the processes that the kernel has killed for lack of memory, in this container or machine."""
    counters = (_read_kills(group / name) for group in _list_groups() for name in _EVENT_FILES)
    own = next((each for each in counters if each is not None), None)
    return count_machine_memory_kills() if own is None else own


def count_machine_memory_kills() -> int:
    """Count the processes that the kernel has killed for lack of memory, in all containers."""
    return _read_kills(_MACHINE_EVENTS) or 0


def find_heap_error(text: str) -> str | None:
    """Return what a JVM had too little of, such as ``Java heap space``; ``None`` if no error says so."""
    found = _HEAP_ERROR.search(text)
    reason = next(filter(None, found.groups()), HEAP).strip(" .") if found else None
    return None if reason is None or _TOO_FEW_THREADS in reason else reason


def _list_groups() -> Iterator[Path]:
    """Yield the folders of this process's control groups for memory, the innermost first."""
    for line in _read(_OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            root = _CONTROL_GROUPS / "memory"
        elif not controllers:
            root = _CONTROL_GROUPS
        else:
            continue
        # In a container the path can be the one outside; the container's own group is then the root.
        own = root / path.lstrip("/")
        yield from (each for each in (own, *own.parents) if each == root or root in each.parents)


def _read_kills(file: Path) -> int | None:
    found = _KILLS.search(_read(file))
    return int(found[1]) if found else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _read_number(file: Path) -> int | None:
    text = _read(file).strip()
    return int(text) if text.isdigit() else None
