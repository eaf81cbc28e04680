"""How many versions are trained at once."""

from __future__ import annotations

import pytest

from harness.job.spark_session import fit


@pytest.mark.parametrize(
    ("free", "used", "kept", "expected"),
    [
        (900, 300, 3, 9),  # Plenty of room.
        (250, 300, 3, 2),
        (50, 300, 3, 1),  # No room for a single one: it may spill.
        (0, 0, 3, 3),  # Nothing is cached.
        (0, 0, 0, 1),
    ],
)
def test_as_many_trainings_run_at_once_as_the_free_memory_has_room_for(
    free: int, used: int, kept: int, expected: int
) -> None:
    """Each needs as many bytes as its cached rows; one always runs."""
    assert fit(free, used, kept) == expected
