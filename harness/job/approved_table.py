"""The approved table of a scenario: a shallow clone of the last version that has passed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from harness.approvals import CLONE, ApprovedVersion, explain_taken
from harness.errors import Location, PrerequisiteError, Problem, ScenarioError
from harness.job.delta_log import read_newest_entry
from harness.job.lake_files import open_lake_files
from harness.job.spark_errors import read_text, summarize_error, translate_storage_error
from harness.job.table_io import describe_detail, format_table
from harness.table_names import is_table_name, normalize_table_name, quote_table_name

_AT: Location = ("approve",)
_NOT_REPLACED = re.compile("DELTA_UNSUPPORTED_(NON_EMPTY_CLONE|COLUMN_MAPPING_MODE_CHANGE)")
"""Open-source Delta clones only into a table without rows and with the same mapping of columns; Databricks
replaces the whole table."""


@dataclass(frozen=True)
class ApprovedTable:
    """The table whose readers only see versions that have passed."""

    spark: SparkSession
    uri: str
    """Its URI, or its name in a catalog."""
    source: str
    """The same of the judged table."""

    def require_replaceable(self) -> None:
        """Require that the table doesn't exist yet, or that a run has made it from the same judged table.

        Raises:
            ScenarioError: It is another one, or its schema doesn't exist.
        """
        if (reason := self._explain_taken()) is not None:
            raise ScenarioError([Problem(reason, _AT)])

    def find_version(self) -> ApprovedVersion | None:
        """Return the version that the table shows; ``None`` if there is none, or others have changed it."""
        properties = self._read_properties()
        if properties is None:
            return None
        newest = read_newest_entry(self.spark, self.uri)
        return ApprovedVersion.parse(properties) if newest and newest.operation == CLONE else None

    def show(self, version: ApprovedVersion, scratch: str) -> None:
        """Make the table show a version, in one commit: readers see the version before it, or this one.

        Args:
            version: A version of the judged table.
            scratch: URI of a folder that doesn't exist, for temporary files.

        Raises:
            PrerequisiteError: The table can't be written, or somebody else wrote it at the same time.
        """
        with self._translate_errors(version):
            try:
                self._clone(version, self.uri)
            except (PySparkException, Py4JJavaError) as error:
                if _NOT_REPLACED.search(read_text(error)) is None:
                    raise
                self._replace(version, scratch)

    def _explain_taken(self) -> str | None:
        if is_table_name(self.uri):
            schema = normalize_table_name(self.uri).rpartition(".")[0]
            if not self.spark.catalog.databaseExists(quote_table_name(schema)):
                return f"the schema {schema} doesn't exist, or you can't see it."
        properties = self._read_properties()
        if properties is not None:
            return explain_taken(self.uri, properties, self.source)
        if not is_table_name(self.uri) and any(open_lake_files(self.spark, self.uri).list_files(self.uri)):
            return f"{self.uri} exists, but it is not a Delta table. Name another folder under 'approve'."
        return None

    def _read_properties(self) -> Mapping[str, str] | None:
        """Return the properties of the table, or of whatever has its name; ``None`` if it doesn't exist."""
        if not is_table_name(self.uri):
            if not DeltaTable.isDeltaTable(self.spark, self.uri):
                return None
            [row] = describe_detail(self.spark, self.uri).select("properties").collect()
            return row["properties"] or {}
        name = quote_table_name(self.uri)
        if not self.spark.catalog.tableExists(name):
            return None
        # Unlike DESCRIBE DETAIL, this also describes views and tables in other formats.
        return {row["key"]: row["value"] for row in self.spark.sql(f"SHOW TBLPROPERTIES {name}").collect()}

    def _clone(self, version: ApprovedVersion, target: str) -> None:
        properties = ", ".join(
            f"{_quote(name)} = {_quote(value)}" for name, value in version.properties.items()
        )
        self.spark.sql(
            f"CREATE OR REPLACE TABLE {format_table(target)} "
            f"SHALLOW CLONE {format_table(self.source)} VERSION AS OF {version.version} "
            f"TBLPROPERTIES ({properties})"
        )

    def _replace(self, version: ApprovedVersion, scratch: str) -> None:
        """Replace all files and the schema of the table by those of a clone, as Databricks' CLONE does.

        Emptying the table first would be another commit, after which readers would see no rows.
        """
        self._clone(version, scratch)
        jvm: Any = self.spark._jvm  # noqa: SLF001 - no public way, here and below
        session: Any = self.spark._jsparkSession  # noqa: SLF001
        delta = jvm.org.apache.spark.sql.delta
        clone = delta.DeltaLog.forTableWithSnapshot(session, scratch)._2()  # noqa: SLF001 - a Scala tuple
        transaction = delta.DeltaLog.forTable(session, self._find_location()).startTransaction()
        old = {_identify(file): file for file in _list(jvm, transaction.filterFiles())}
        new = {_identify(file): file for file in clone.allFiles().collectAsList()}
        # A commit must not both add and remove a file.
        actions = [file.remove() for key, file in old.items() if key not in new]
        actions += [file for key, file in new.items() if key not in old]
        transaction.updateMetadataForNewTable(clone.metadata())
        transaction.updateProtocol(transaction.protocol().merge(_make_sequence(jvm, [clone.protocol()])))
        operation = getattr(delta, "DeltaOperations$Clone")(self.source, version.version)
        transaction.commit(_make_sequence(jvm, actions), operation)

    def _find_location(self) -> str:
        [row] = describe_detail(self.spark, self.uri).select("location").collect()
        return str(row["location"])

    @contextmanager
    def _translate_errors(self, version: ApprovedVersion) -> Iterator[None]:
        try:
            yield
        except (PySparkException, Py4JJavaError) as error:
            reason = summarize_error(error).removesuffix(".")
            raise translate_storage_error(error) or PrerequisiteError(
                f"The table {self.uri} can't show version {version.version} of {self.source}: {reason}.",
                remedy="If another run approved a version at the same time, run the scenario again: nothing "
                "is measured twice. Otherwise, ask for the permission to create and replace the table.",
            ) from error


def _identify(file: Any) -> tuple[str, str]:
    """Return what identifies an entry of the log: a file, and its vector of deleted rows, if it has one."""
    vector = file.getDeletionVectorUniqueId()
    return str(file.path()), str(vector.get()) if vector.isDefined() else ""


def _list(jvm: Any, sequence: Any) -> list[Any]:
    return list(jvm.scala.collection.JavaConverters.seqAsJavaList(sequence))


def _make_sequence(jvm: Any, items: list[Any]) -> Any:
    listed = jvm.java.util.ArrayList()
    for item in items:
        listed.add(item)
    return jvm.scala.collection.JavaConverters.asScalaBuffer(listed).toSeq()


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
