"""Runs that approve versions of an existing table, and those that leave the approved table as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from harness.approvals import ApprovedVersion
from harness.errors import ExitCode, PrerequisiteError
from harness.job.approved_table import ApprovedTable
from harness.job.main import run
from harness.job.mlflow_tracker import Tracker
from harness.parity.compare import Tolerances
from harness.plan import Plan, PlannedParity
from harness.results import Approval, Result, Verdict
from harness.retention.pins import list_pins
from tests.embedded.runner import TrackedHome, make_job, make_plan
from tests.embedded.small import SMALL, write_table

pytestmark = pytest.mark.spark


class Approving(TrackedHome):
    """An existing table of three versions with 200, 300 and 250 rows, and runs that judge them."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        super().__init__(spark, home)
        self.table, self.approved = f"{home}/readings", f"{home}/approved"
        rows = spark.read.csv(str(write_table(home)), header=True, inferSchema=True)
        for batch in (1, 2):
            rows.where(f"batch = {batch}").write.format("delta").mode("append").save(self.table)
        spark.sql(f"DELETE FROM delta.`{self.table}` WHERE id < 50")  # noqa: S608 - our own table

    def plan(self, run_id: str, rows: Mapping[int, int | None], **changes: Any) -> Plan:
        """Return a plan that expects numbers of rows at versions of the table, without training a model."""
        versions = [
            {"name": f"v{number}", "read": number, "train": False}
            | ({} if expected is None else {"expect": {"rows": expected}})
            for number, expected in rows.items()
        ]
        values = SMALL.model_dump(mode="json", by_alias=True, exclude_unset=True)
        table = {"name": "readings", "uri": self.table, "key": "id"}
        scenario = type(SMALL).model_validate(
            {**values, "table": table, "versions": versions, "approve": self.approved}
        )
        plan = make_plan(scenario, self.home / "none.csv", self.home, run_id)
        tables = {"existing_table": self.table, "approved_table": self.approved}
        return plan.model_copy(update={**tables, **changes})

    def run(self, plan: Plan) -> Result:
        """Run a plan, and return its result."""
        return run(make_job(self.spark, plan))

    def approve(self, run_id: str, rows: Mapping[int, int | None]) -> Approval:
        """Run a plan that doesn't fail, and return what it did with the approved table."""
        approval = self.run(self.plan(run_id, rows)).approval
        assert approval is not None
        return approval

    @property
    def shown(self) -> ApprovedVersion | None:
        """The version that the approved table shows."""
        return ApprovedTable(self.spark, self.approved, self.table).find_version()

    def count_rows(self) -> int:
        """Return the rows of the approved table."""
        return self.spark.read.format("delta").load(self.approved).count()

    def tags(self, run_id: str) -> dict[str, str]:
        """Return the tags of a parent run that begin with ``harness.appro``, and the verdict."""
        [parent] = self.search(run_id)
        names = [name for name in parent.data.tags if name.startswith("harness.appro")]
        return {name: parent.data.tags[name] for name in (*names, "harness.verdict")}


@pytest.fixture(name="approving")
def _approving(spark: SparkSession, tmp_path: Path) -> Approving:
    return Approving(spark, tmp_path)


def test_the_last_judged_version_is_approved(approving: Approving) -> None:
    """Later versions without bounds are only looked at; the result, the table and MLflow record it."""
    first = approving.approve("one", {0: 200, 1: 300, 2: None})
    assert (first.version, first.name, first.before, first.is_approved) == (1, "v1", None, True)
    assert first.text == f"{approving.approved} now shows version 1 of {approving.table} (v1)"
    assert approving.count_rows() == 300
    identity = approving.table, 1, first.fingerprint
    assert approving.shown == ApprovedVersion(*identity, "one", "small")
    assert approving.tags("one") == {
        "harness.approval": first.text,
        "harness.approved_table": approving.approved,
        "harness.approved_from": approving.table,
        "harness.approved_version": "1",
        "harness.verdict": "pass",
    }
    again = approving.approve("again", {1: 300})
    assert again.text == f"{approving.approved} still shows version 1 of {approving.table} (v1)"
    assert approving.shown == ApprovedVersion(*identity, "one", "small")
    later = approving.approve("two", {2: 250})
    assert later.text.endswith("now shows version 2 of " + approving.table + " (v2), instead of version 1")
    assert approving.count_rows() == 250


def test_only_a_pass_approves(approving: Approving) -> None:
    """After a fail, a run without a judged bound and a failed run, the table is as it was."""
    approving.approve("one", {1: 300})
    before = approving.shown
    failed = approving.run(approving.plan("fails", {1: 300, 2: 300}))
    assert failed.verdict is Verdict.FAIL
    assert failed.approval is not None
    assert failed.approval.text == f"{approving.approved} was left as it was: the verdict is fail"
    assert failed.approval.before == 1
    assert approving.tags("fails") == {"harness.approval": failed.approval.text, "harness.verdict": "fail"}
    unjudged = approving.run(approving.plan("unjudged", {2: None}))
    assert (unjudged.verdict, unjudged.approval) == (Verdict.NOT_PROVEN, None)
    broken = approving.run(approving.plan("broken", {9: 1}))
    assert (broken.exit_code, broken.approval) == (ExitCode.WRONG_INPUT, None)
    assert approving.shown == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"versions": ()}, "parity is required, but some values can't be compared with run local"),
        ({"rows": 299}, "parity is required, but the run disagrees with the local run local"),
        (None, "parity is required, but nothing was compared: There is no local run"),
    ],
    ids=["agrees", "not proven", "disagrees", "no run"],
)
def test_required_parity_decides_too(
    approving: Approving, change: dict[str, Any] | None, reason: str
) -> None:
    """A version is approved only if the run agrees with the local run that its plan has."""
    local = approving.run(approving.plan("local", {1: 300}, approved_table=None))
    assert local.approval is None
    if change:
        versions = tuple(each.model_copy(update=change) for each in local.versions if "rows" in change)
        local = local.model_copy(update={"versions": versions})
    parity = PlannedParity(
        local=None if change is None else local,
        reason="There is no local run.",
        tolerances=Tolerances().model_dump(),
    )
    approval = approving.run(approving.plan("cloud", {1: 300}, parity=parity)).approval
    assert approval is not None
    assert approval.reason == reason
    assert (approving.shown is not None) == approval.is_approved == (not reason)


def test_a_table_of_others_stops_the_run_at_once(approving: Approving) -> None:
    """Before anything is read or tracked: the message says what to do, and the table is as it was."""
    approving.spark.range(3).write.format("delta").save(approving.approved)
    result = approving.run(approving.plan("one", {1: 300}))
    assert result.failure is not None
    assert result.exit_code is ExitCode.WRONG_INPUT
    [problem] = result.failure.problems
    assert problem.location == ("approve",)
    assert "no run has made it (it has no property harness.approved_from)" in problem.message
    assert (approving.count_rows(), result.versions, result.mlflow_run_id) == (3, (), None)


def test_a_run_that_cannot_approve_has_failed(approving: Approving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is as it was, MLflow's run has failed, and no temporary files are left."""
    approving.approve("one", {1: 300})

    def refuse(_table: ApprovedTable, _version: ApprovedVersion, _scratch: str) -> None:
        raise PrerequisiteError("The table can't be written.")

    monkeypatch.setattr(ApprovedTable, "show", refuse)
    result = approving.run(approving.plan("two", {2: 250}))
    assert (result.verdict, result.exit_code) == (Verdict.NOT_PROVEN, ExitCode.PREREQUISITE_MISSING)
    assert result.approval is None
    [parent] = approving.search("two")
    assert (parent.info.status, parent.data.tags["harness.verdict"]) == ("FAILED", "not proven")
    assert approving.count_rows() == 300
    assert not list(approving.home.rglob(".scratch"))


def test_a_failed_record_in_mlflow_changes_nothing(
    approving: Approving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is approved already then, and the run has passed; the next run records it."""

    def fail(_tracker: Tracker, _approval: Approval, _run_id: str | None) -> None:
        raise Py4JError

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "record_approval", fail)
        assert approving.approve("one", {1: 300}).is_approved
    assert approving.tags("one") == {"harness.verdict": "pass"}
    assert approving.approve("two", {1: 300}).before == 1
    assert approving.tags("two")["harness.approved_version"] == "1"


def test_the_approved_version_is_pinned(approving: Approving) -> None:
    """Only the one that the table shows now: a vacuum of the judged table would take its files."""
    for run_id, version, rows in (("one", 1, 300), ("two", 2, 250), ("three", 0, 200)):
        approving.approve(run_id, {version: rows})
        [pin] = list_pins((), approving.client, "harness", approving.table)
        assert (pin.version, pin.kind, pin.uri) == (version, "approved table", approving.approved)
        assert (pin.harness_run, pin.table) == (run_id, approving.table)
    assert list_pins((), approving.client, "harness", "/another") == []
