from __future__ import annotations

import pytest

from harness.targets.spark_conf import is_small, session_settings, spark_settings


def test_a_cluster_s_session_takes_what_a_session_may_be_told() -> None:
    """For small data as elsewhere, Delta's among it; nothing that a Spark takes at its start alone."""
    session, whole = session_settings(small=True), spark_settings("/lake", small=True)
    assert "spark.databricks.delta.snapshotPartitions" in session
    assert session.items() <= whole.items()
    assert not [name for name in session if not name.startswith(("spark.sql.", "spark.databricks.delta."))]
    assert "spark.sql.codegen.cache.maxEntries" not in session


@pytest.mark.parametrize("size", [None, 64 << 20])
def test_data_that_is_not_small_has_spark_s_defaults(size: int | None) -> None:
    """Of unknown size, and from 64 MB on."""
    assert {} == session_settings(small=is_small(size))
