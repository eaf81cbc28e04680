"""The approval of a version: a table shows it to its readers, if the run allows it."""

from __future__ import annotations

import uuid

from harness.approvals import ApprovedVersion
from harness.bounds.specs import find_approved_version
from harness.events import Announcement
from harness.job.approved_table import ApprovedTable
from harness.job.running_job import Job, make_result
from harness.job.spark_errors import log_errors
from harness.job.table_io import remove_scratch
from harness.parity.compare import compare_as_planned, explain_missing_parity
from harness.results import Approval, Verdict

_APPROVED = "approved"
"""Subfolder of the run's scratch folder in the lake."""


def approve(job: Job, verdict: Verdict) -> None:
    """Make the approved table show the last judged version if the run allows it, or say why not.

    Only the move of an alias comes later: a run that fails before leaves the table as it was.
    """
    table, name = open_approved_table(job), find_approved_version(job.plan.scenario)
    if table is None or name is None:
        return
    version = job.find_version(name)
    identity = table.source, version.version, version.fingerprint
    wanted = ApprovedVersion(*identity, job.plan.run_id, job.plan.scenario.name)
    with job.clock.step("approve"):
        shown, reason = table.find_version(), explain_unapproved(job, verdict)
        if not reason and not (shown and shown.is_version(*identity)):
            table.require_replaceable()
            job.announce(Announcement("scratch", job.plan.scratch_uri))
            try:
                # Never a folder that an earlier part of the run has left.
                table.show(wanted, f"{job.plan.scratch_uri}/{_APPROVED}/{uuid.uuid4().hex}")
            finally:
                with log_errors():
                    remove_scratch(job.spark, job.plan)
    job.approval = Approval(
        table=table.uri,
        source=table.source,
        name=name,
        version=version.version,
        fingerprint=version.fingerprint,
        before=shown.version if shown else None,
        reason=reason,
    )
    with log_errors():
        job.tracker.result().record_approval(job.approval, version.run_id)


def open_approved_table(job: Job) -> ApprovedTable | None:
    """Return the table that shows the versions that the scenario approves; ``None`` if it approves none."""
    table = job.plan.approved_table
    return None if table is None else ApprovedTable(job.spark, table, job.plan.table_uri)


def explain_unapproved(job: Job, verdict: Verdict) -> str:
    """Explain that the run approves no version; empty if it does."""
    if verdict is not Verdict.PASS:
        return f"the verdict is {verdict}"
    if job.plan.parity is None:
        return ""
    parity = compare_as_planned(job.plan.parity, make_result(job, verdict))
    return explain_missing_parity(parity)
