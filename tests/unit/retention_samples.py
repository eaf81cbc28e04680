"""A Delta table with pinned versions, aged without waiting."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

DAY_S = 86_400
DATA = "delta.deletedFileRetentionDuration"
LOG = "delta.logRetentionDuration"


@dataclass(frozen=True)
class SampleTable:
    """A table of three versions: one row, two rows, and a third row in place of both."""

    path: Path
    store: Path
    """The model store with the bundles that pin versions."""

    @classmethod
    def create(cls, folder: Path) -> SampleTable:
        """Create the table and an empty model store."""
        table = cls(folder / "loans", folder / "models")
        table.write([1])
        table.write([2])
        table.write([3], mode="overwrite")
        return table

    def write(self, ids: Sequence[int], mode: str = "append") -> None:
        """Write rows as the next version."""
        rows = {"id": ids, "amount": [1.5 * number for number in ids], "status": ["late"] * len(ids)}
        write_deltalake(self.path, pa.table(rows), mode=mode)  # type: ignore[call-overload] # A mode.

    def set(self, **properties: str) -> None:
        """Set properties of the table, whose names start with ``delta.``; it makes a version."""
        named = {f"delta.{name}": value for name, value in properties.items()}
        DeltaTable(self.path).alter.set_table_properties(named)

    def pin(self, version: int, run: str = "r1", table: str | None = None, name: str = "loans") -> str:
        """Publish a bundle that was trained from a version, and return its folder."""
        folder = self.store / name / f"v{version}-{run}"
        folder.mkdir(parents=True)
        manifest = {
            "format_version": 2,
            "table": table or f"file://{self.path}",
            "version": version,
            "mlflow_run_id": run,
            "run_id": f"20260101-000000-loans-{run}",
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return str(folder)

    def age_removals(self, days: float) -> None:
        """Make every removal of a file so old."""
        then = int((time.time() - days * DAY_S) * 1000)
        for commit in self.log("*.json"):
            actions = [json.loads(line) for line in commit.read_text().splitlines()]
            for action in actions:
                if "remove" in action:
                    action["remove"]["deletionTimestamp"] = then
            commit.write_text("".join(f"{json.dumps(action)}\n" for action in actions))

    def age_log(self, days: float, pattern: str = "*") -> None:
        """Make files of the log so old."""
        then = time.time() - days * DAY_S
        for file in self.log(pattern):
            os.utime(file, (then, then))

    def log(self, pattern: str) -> list[Path]:
        """Return files of the log."""
        return sorted((self.path / "_delta_log").glob(pattern))
