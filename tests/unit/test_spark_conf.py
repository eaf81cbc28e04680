"""The Spark configuration for small and large data."""

from __future__ import annotations

import pytest

from harness.targets.spark_conf import (
    choose_heap,
    is_small,
    java_options,
    make_session_settings,
    make_spark_settings,
)


def test_a_session_gets_only_session_settings() -> None:
    """A session on a cluster gets settings for small data, but none that Spark reads only at its start."""
    session, whole = make_session_settings(small=True), make_spark_settings("/lake", small=True)
    assert "spark.databricks.delta.snapshotPartitions" in session
    assert session.items() <= whole.items()
    assert not [name for name in session if not name.startswith(("spark.sql.", "spark.databricks.delta."))]
    assert "spark.sql.codegen.cache.maxEntries" not in session


@pytest.mark.parametrize("size", [None, 64 << 20])
def test_larger_data_has_sparks_defaults(size: int | None) -> None:
    """Data of unknown size, or from 64 MB on, is processed with Spark's defaults."""
    assert {} == make_session_settings(small=is_small(size))


@pytest.mark.parametrize("small", [True, False])
def test_a_jvm_has_one_locale(small: bool) -> None:
    """Every JVM that we start writes ASCII digits and UTF-8, and changes letters as English does."""
    expected = {"-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8"}
    assert expected <= set(java_options("2g", small=small))


@pytest.mark.parametrize(
    ("setting", "limit", "small", "heap"),
    [
        ("3g", 8 << 30, False, "3g"),
        ("auto", 8 << 30, True, "2g"),
        ("auto", 8 << 30, False, "4g"),
        ("auto", 23 << 30, False, "11g"),
        ("auto", 512 << 30, False, "31g"),
        ("auto", 3 << 30, True, "1536m"),
        ("auto", 3 << 30, False, "1536m"),
        ("auto", None, False, "2g"),
        ("auto", 600 << 20, True, "512m"),
    ],
)
def test_the_heap_follows_the_machine(setting: str, limit: int | None, small: bool, heap: str) -> None:
    """Large data gets half of the memory, small data at most 2 GB; a setting is always respected."""
    assert heap == choose_heap(setting, limit, small=small)


@pytest.mark.parametrize(("heap", "start"), [("900m", "900m"), ("2g", "2048m"), ("11g", "2048m")])
def test_a_large_heap_grows(heap: str, start: str) -> None:
    """A JVM starts with at most 2 GB."""
    assert f"-Xms{start}" in java_options(heap, small=False)
