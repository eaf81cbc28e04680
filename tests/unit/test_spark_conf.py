"""The Spark configuration for small and large data."""

from __future__ import annotations

import pytest

from harness.targets.spark_conf import is_small, java_options, make_session_settings, make_spark_settings


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
