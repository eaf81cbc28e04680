"""Files that the job lists, reads, writes and removes itself: both kinds of access do the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from harness.job.lake_files import HadoopFiles, LakeFiles, MountedFiles, encode_uri, open_lake_files

pytestmark = pytest.mark.spark


@pytest.fixture(name="files", params=["mounted", "hadoop"])
def _files(request: pytest.FixtureRequest, spark: SparkSession) -> LakeFiles:
    return MountedFiles() if request.param == "mounted" else HadoopFiles(spark)


def test_a_file_lives(files: LakeFiles, tmp_path: Path) -> None:
    """It is written with its folders, replaced, listed with its size, read and removed."""
    file = f"{tmp_path}/a b/ü/one.json"
    for text in ("first", "zweiter ü\n"):
        files.write_text(file, text)
        assert files.read_text(file) == text
    [listed] = files.list_files(f"{tmp_path}", below=True)
    assert (listed.name, listed.bytes) == ("one.json", len("zweiter ü\n".encode()))
    assert abs(listed.modified_ms - Path(file).stat().st_mtime_ns / 1e6) <= 1
    assert files.read_text(listed.uri) == text
    assert list(files.list_files(f"{tmp_path}")) == []
    files.remove_if_empty(f"{tmp_path}/a b/ü")
    assert files.exists(file)
    files.remove(file)
    assert not files.exists(file)
    files.remove_if_empty(f"{tmp_path}/a b/ü")
    assert not files.exists(f"{tmp_path}/a b/ü")
    files.remove(f"{tmp_path}/a b")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_exist(files: LakeFiles, tmp_path: Path) -> None:
    """A missing folder has no files, a missing one can be removed, and reading a missing file is an error."""
    missing = f"{tmp_path}/none"
    assert list(files.list_files(missing)) == []
    files.remove(missing)
    files.remove_if_empty(missing)
    with pytest.raises((OSError, Py4JJavaError)):
        files.read_text(missing)


def test_spark_reads_what_was_replaced_or_removed(spark: SparkSession, tmp_path: Path) -> None:
    """A file that Spark wrote with a checksum may be replaced, or removed and written again."""
    file, hadoop, mounted = f"{tmp_path}/one.json", HadoopFiles(spark), MountedFiles()
    hadoop.write_text(file, "by Spark")
    assert (tmp_path / ".one.json.crc").exists()
    assert [each.name for each in mounted.list_files(f"{tmp_path}")] == ["one.json"]
    mounted.write_text(file, "replaced")
    assert [row[0] for row in spark.read.text(file).collect()] == ["replaced"]
    hadoop.write_text(file, "by Spark")
    mounted.remove(file)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "is_mounted"),
    [
        ("/data/lake", True),
        ("file:/data/lake", True),
        ("file:///data/lake", True),
        ("/Volumes/main/default/harness/lake", True),
        ("dbfs:/Volumes/main/default/harness/lake/part.parquet", True),
        ("dbfs:/mnt/lake", False),
        ("abfss://lake@account.dfs.core.windows.net/runs", False),
    ],
)
def test_volumes_are_accessed_by_their_paths(spark: SparkSession, uri: str, is_mounted: bool) -> None:
    """As is what is on this machine; storage accounts are accessed through Hadoop."""
    assert isinstance(open_lake_files(spark, uri), MountedFiles) is is_mounted


def test_paths_are_encoded_as_in_the_log(spark: SparkSession) -> None:
    """Special characters are encoded, and a path becomes a URI: Delta requires one for deletion vectors."""
    assert encode_uri(spark, "/data/a b%") == "file:/data/a%20b%25"
    assert encode_uri(spark, "file:///data/x") == "file:///data/x"
    assert encode_uri(spark, "/Volumes/main/default/x") == "dbfs:/Volumes/main/default/x"
