"""The user's own settings of a scheduled job, ``[targets.databricks.job]``, merged over the harness's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.setting_types import Settings
from harness.targets.databricks import JOB
from harness.targets.databricks.overrides import Section, merge

_SECTION = Section(
    JOB,
    (
        "name",
        "tasks",
        "job_clusters",
        "environments",
        "git_source",
        "parameters",
        "schedule",
        "trigger",
        "triggers",
        "continuous",
        "timeout_seconds",
        "deployment",
        "edit_mode",
        "format",
    ),
    "Set 'time_limit_min' under [targets.databricks]; put the rest into the bundle's folder 'additions'.",
)


def read_job_overrides(settings: Settings) -> Mapping[str, Any]:
    """Return the user's own settings of a scheduled job.

    Raises:
        UsageError: One of them doesn't exist, or the harness manages it.
    """
    from databricks.sdk.service.jobs import JobSettings

    overrides = _SECTION.read(settings)
    _SECTION.check(overrides, JobSettings, lambda: JobSettings.from_dict(overrides).as_dict())
    return overrides


def merge_job_overrides(job: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the settings of a job with the user's own merged over them: mappings key by key."""
    merged: dict[str, Any] = merge(dict(job), dict(read_job_overrides(settings)))
    return merged
