"""The ends of a task, each with its old state and its new status."""

from __future__ import annotations

from dataclasses import dataclass

from databricks.sdk.service.compute import TerminationReason, TerminationReasonCode, TerminationReasonType
from databricks.sdk.service.jobs import (
    RunLifeCycleState,
    RunResultState,
    TerminationCodeCode,
    TerminationTypeType,
)

JOB_FINISHED = TerminationReason(TerminationReasonCode.JOB_FINISHED, type=TerminationReasonType.SUCCESS)


@dataclass(frozen=True)
class End:
    """The end of a task, as the old state and as the new status."""

    result: RunResultState
    code: TerminationCodeCode
    kind: TerminationTypeType
    message: str = ""
    life_cycle: RunLifeCycleState = RunLifeCycleState.TERMINATED

    @property
    def was_stopped(self) -> bool:
        """Whether it was stopped instead of ending by itself."""
        return self.result in {RunResultState.CANCELED, RunResultState.TIMEDOUT}


SUCCESS = End(RunResultState.SUCCESS, TerminationCodeCode.SUCCESS, TerminationTypeType.SUCCESS)
FAILED = End(
    RunResultState.FAILED,
    TerminationCodeCode.RUN_EXECUTION_ERROR,
    TerminationTypeType.CLIENT_ERROR,
    "Workload failed, see run output for details",
)
CANCELED = End(
    RunResultState.CANCELED,
    TerminationCodeCode.USER_CANCELED,
    TerminationTypeType.CLIENT_ERROR,
    "Run cancelled.",
)
TIMED_OUT = End(
    RunResultState.TIMEDOUT,
    TerminationCodeCode.CANCELED,
    TerminationTypeType.CLIENT_ERROR,
    "Run timed out.",
)


class EndedError(Exception):
    """A task that is over before its process has ended."""

    def __init__(self, end: End, reason: TerminationReason = JOB_FINISHED) -> None:
        super().__init__(end.message)
        self.end = end
        self.reason = reason


def platform_error(message: str) -> End:
    """Return the end of a task that failed because of the platform."""
    return End(
        RunResultState.FAILED,
        TerminationCodeCode.INTERNAL_ERROR,
        TerminationTypeType.INTERNAL_ERROR,
        message,
        RunLifeCycleState.INTERNAL_ERROR,
    )


def library_error(message: str) -> End:
    """Return the end of a task whose libraries can't be installed."""
    return End(
        RunResultState.FAILED,
        TerminationCodeCode.LIBRARY_INSTALLATION_ERROR,
        TerminationTypeType.CLIENT_ERROR,
        message,
        RunLifeCycleState.INTERNAL_ERROR,
    )


def missing_wheel_message(path: str) -> str:
    """Return the message about a missing wheel."""
    return (
        f'Library installation failed for library due to user error for whl: "{path}". '
        f"Error code: DRIVER_LIBRARY_INSTALLATION_FAILURE, error message: Library file does not exist: {path}"
    )


def cluster_error(cluster_id: str | None, code: str, kind: TerminationReasonType, message: str) -> EndedError:
    """Return the error for a cluster that does not start."""
    parameters = {"databricks_error_message": message}
    text = (
        f"Unexpected failure while waiting for the cluster ({cluster_id}) to be ready: "
        f"Cluster {cluster_id} is in unexpected state Terminated: "
        f"{code}({kind.value}): databricks_error_message:{message}"
    )
    cloud = kind is TerminationReasonType.CLOUD_FAILURE
    end = End(
        RunResultState.FAILED,
        TerminationCodeCode.CLOUD_FAILURE if cloud else TerminationCodeCode.CLUSTER_ERROR,
        TerminationTypeType.CLOUD_FAILURE if cloud else TerminationTypeType.CLIENT_ERROR,
        text,
        RunLifeCycleState.INTERNAL_ERROR,
    )
    return EndedError(end, TerminationReason(TerminationReasonCode(code), parameters, kind))
