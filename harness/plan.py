"""The plan of a run: a scenario resolved for one target, and the job's only input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from harness.errors import RUN_AGAIN, PrerequisiteError
from harness.events import FinishedStep
from harness.results import Failure, MeasuredValue, Result, RunInputs, Verdict, VersionResult
from harness.scenario.model import Scenario
from harness.scenario.model_base import ScenarioPart
from harness.stored_json import parse_json
from harness.table_names import choose_expiry, name_built_table

PLAN_FORMAT: Literal[2] = 2
"""Format of the plans that this version writes. Plans without a format version have format 1."""


class Setting(ScenarioPart):
    """One setting and where its value came from."""

    name: str
    value: str
    origin: str
    """``default``, the settings file with its line, an environment variable, or the command line."""


class Secret(ScenarioPart):
    """The location of a secret's value, never the value."""

    variable: str = ""
    """Name of an environment variable; empty if the value is elsewhere."""
    file: str = ""
    """Path of a file; empty if the value is elsewhere."""
    vault: str = ""
    """Name of a key vault; empty if the value is elsewhere."""
    name: str = ""
    """Name of the secret in the key vault."""

    @model_validator(mode="after")
    def _check_location(self) -> Secret:
        locations = [each for each in (self.variable, self.file, self.vault) if each]
        if len(locations) != 1 or bool(self.vault) != bool(self.name):
            raise ValueError("a secret is either in a variable, in a file or in a key vault")
        return self

    @property
    def location(self) -> str:
        """Where the value is, as part of a sentence."""
        if self.variable:
            return f"the variable {self.variable}"
        if self.file:
            return f"the file {self.file}"
        return f"the secret '{self.name}' of the key vault '{self.vault}'"


class Account(ScenarioPart):
    """A storage account, and the identity with which the harness accesses it."""

    name: str
    auth: Literal["key", "service_principal"]
    secret: Secret
    """The account's key, or the service principal's secret."""
    secret_name: str = ""
    """Name of the secret in the workspace's scope; empty if no cluster needs it."""
    tenant_id: str = ""
    client_id: str = ""
    endpoint: str | None = None
    """Host and port of an emulator that stands in for the account."""
    ca_file: str | None = None
    """Trusted certificates for the endpoint (default: the system's)."""


class ManagedTables(ScenarioPart):
    """Where a catalog keeps the tables that runs build."""

    schema_name: str
    """The schema, with its catalog: ``main.harness``."""
    days: int
    """For how many days a table is kept at least."""
    until: str = ""
    """The day after which a table may be removed, as ``YYYYMMDD``; empty in the plan of a schedule."""

    @classmethod
    def starting(cls, today: date, schema: str, days: int) -> ManagedTables:
        """Return where a run of today builds its table, in a schema with its catalog."""
        return cls(schema_name=schema, days=days, until=choose_expiry(today, days))


class Environment(ScenarioPart):
    """Everything that differs between the targets of a run."""

    target: str
    lake: str
    """Root URI under which runs build their tables, unless a catalog keeps them, and other files."""
    managed_tables: ManagedTables | None = None
    """Where a catalog keeps the tables that runs build; ``None`` if they are folders of the lake."""
    model_store: str
    """Root URI that bundles are copied to."""
    tracking_uri: str
    """URI of the MLflow tracking server or store."""
    experiment: str
    registry_uri: str | None = None
    """URI of MLflow's registry of models (default: the tracking server or store)."""
    scratch: str | None = None
    """Root URI for files that the run's processes exchange (default: in the lake)."""
    artifacts: str | None = None
    """Root URI of a new experiment's artifacts (default: the tracking server decides)."""
    spark: dict[str, str] = Field(default_factory=dict)
    """Spark configuration."""
    libraries: str = ""
    """Identifies the libraries with which the job runs."""
    accounts: tuple[Account, ...] = ()
    """The storage accounts in the URIs."""


class SourceData(ScenarioPart):
    """A source of rows, at a URI that the job can read."""

    uri: str
    format: str
    options: dict[str, str] = Field(default_factory=dict)
    sha256: str | None = None
    """Digest of a file; ``None`` for a folder."""
    folder_sha256: str | None = None
    """Digest of a folder's files, if it is on this machine."""
    copied_from: str | None = None
    """The local path that it was copied from, if the job can't read that."""

    @property
    def content(self) -> str | None:
        """Digest of its content; ``None`` if it is not known, so that it may change unnoticed."""
        return self.sha256 or self.folder_sha256


@dataclass(frozen=True)
class CustomCode:
    """The Python files of a custom pipeline."""

    files: Mapping[str, str]
    """Path relative to the scenario's folder, with ``/``, to the file's text."""

    @property
    def sha256(self) -> str:
        """Digest of all files and their paths."""
        digest = hashlib.sha256()
        for path, text in sorted(self.files.items()):
            digest.update(f"{path}\n{len(text.encode())}\n{text}".encode())
        return digest.hexdigest()


FAULT_VIEWS = ("harness_before", "harness_added")
"""The views that a fault's statement reads: the rows from before, and the added ones."""


class PlannedFault(ScenarioPart):
    """A fault to inject into the added rows of a version."""

    name: str
    statement: str
    """A query in Spark's SQL for the added rows with the fault."""


class PlannedProof(ScenarioPart):
    """The faults to judge, and the run without faults that they are compared with."""

    version: str
    """The version whose added rows get the faults."""
    known: tuple[VersionResult, ...]
    """Every version as it was measured without faults."""
    faults: tuple[PlannedFault, ...]

    def find(self, name: str) -> VersionResult:
        """Return a version as it was measured without faults."""
        return next(each for each in self.known if each.name == name)

    @property
    def previous(self) -> VersionResult:
        """The version before the one that gets the faults."""
        names = [each.name for each in self.known]
        return self.known[names.index(self.version) - 1]


class BaselineVersion(ScenarioPart):
    """A version of another run that bounds compare with."""

    version: int
    """The Delta version."""
    fingerprint: str


class BaselineRun(ScenarioPart):
    """Another run that bounds compare with."""

    run_id: str
    started: AwareDatetime
    target: str
    harness_version: str
    code_sha256: str | None
    """Digest of a custom pipeline's files."""
    digest: str
    """Digest of its result."""
    differences: tuple[str, ...] = ()
    """The differences that the bounds allow, each as the rest of a sentence about the run."""
    versions: dict[str, BaselineVersion] = Field(default_factory=dict)
    """Those that bounds compare with, by name."""

    @property
    def text(self) -> str:
        """Its ID and when it started."""
        return f"{self.run_id} of {self.started:%Y-%m-%d %H:%M %Z}"


class PlannedParity(ScenarioPart):
    """The local run that a run must agree with before it approves a version."""

    local: Result | None
    reason: str = ""
    """Why there is none."""
    tolerances: dict[str, float]
    gaps: tuple[str, ...] = ()
    """What a local run can't prove."""


class Plan(ScenarioPart):
    """The plan of one run: the scenario, its sources, the target and the settings."""

    format_version: Literal[2] = PLAN_FORMAT
    run_id: str
    harness_version: str
    """Identifies the content of the code; see ``harness.wheel``."""
    scenario: Scenario
    parameters: dict[str, str] = Field(default_factory=dict)
    """Values in which this run differs from the scenario file: location to value, as text."""
    scenario_file: str
    """Empty if the scenario was given in Python."""
    scenario_sha256: str
    git_commit: str | None = None
    """Commit that was checked out in the scenario's folder; ``None`` if it isn't in a Git work tree."""
    environment: Environment
    sources: dict[str, SourceData] = Field(default_factory=dict)
    """Every file that the scenario names, by its path as written there."""
    code: dict[str, str] = Field(default_factory=dict)
    """The Python files of the scenario's custom pipeline, by their path; empty for a built-in one."""
    champion: str | None = None
    """The deployed model that is scored at each version, at a location that the job can read."""
    existing_table: str | None = None
    """URI of an existing table, or its name in the target's catalog; ``None`` if the table is built."""
    table_name: str | None = None
    """Name in a catalog by which the scenario, or the command line, gives the existing table."""
    approved_table: str | None = None
    """URI of the table that shows approved versions, or its name in the target's catalog."""
    parity: PlannedParity | None = None
    """The comparison that a version needs to be approved; ``None`` if parity isn't required."""
    commits: dict[str, str] = Field(default_factory=dict)
    """Version that is read from an existing table to what identifies its commit, if that is known."""
    fresh: bool = False
    """Whether nothing that an earlier run has measured may be used."""
    baselines: dict[str, dict[str, dict[str, MeasuredValue]]] = Field(default_factory=dict)
    """For each run that bounds refer to, as written there: by version, the numbers that they compare with."""
    baseline_runs: dict[str, BaselineRun] = Field(default_factory=dict)
    """The same runs, for the report."""
    settings: tuple[Setting, ...] = ()
    proof: PlannedProof | None = None
    """Faults to judge; ``None`` for a run."""
    probe: tuple[str, ...] | None = None
    """Keys of the rows to explain (default: chosen at the first trained version)."""
    is_resumed: bool = False
    """Whether the run is resumed after it was interrupted."""
    finished: tuple[FinishedStep, ...] = ()
    """The steps that it had finished by then."""

    @property
    def source(self) -> SourceData | None:
        """The table's source file; ``None`` if its rows are generated, or the table exists already."""
        source = self.scenario.table.source
        return self.sources.get(source.path) if source is not None else None

    @property
    def code_sha256(self) -> str | None:
        """Digest of the scenario's custom pipeline; ``None`` if it uses a built-in one."""
        return CustomCode(self.code).sha256 if self.code else None

    @property
    def inputs(self) -> RunInputs:
        """The inputs that the run's result records."""
        table = self.scenario.table
        return RunInputs(
            seed=self.scenario.seed,
            table=table.uri or table.name,
            key=table.key,
            key_from=table.key_from,
            pipeline=self.scenario.pipeline.model_dump(mode="json", by_alias=True),
            scenario_sha256=self.scenario_sha256,
            code_sha256=self.code_sha256,
            harness_version=self.harness_version,
        )

    @property
    def table_uri(self) -> str:
        """URI of the table, or its name in a catalog; one that is built is only this run's."""
        if self.existing_table is not None:
            return self.existing_table
        managed, table = self.environment.managed_tables, self.scenario.table.name
        if managed is not None:
            return name_built_table(managed.schema_name, table, self.run_id, managed.until)
        return f"{self.run_uri}/{table}"

    @property
    def scratch_uri(self) -> str:
        """URI of a folder for files that the run's processes exchange."""
        scratch = self.environment.scratch
        return f"{self.run_uri}/.scratch" if scratch is None else f"{scratch}/{self.run_id}"

    @property
    def run_uri(self) -> str:
        """URI of the run's own folder in the lake."""
        return f"{self.environment.lake}/runs/{self.run_id}"

    def resume(self, run_id: str, finished: tuple[FinishedStep, ...]) -> Plan:
        """Return the plan of an interrupted run that is resumed after the steps that it had finished."""
        return self.model_copy(update={"run_id": run_id, "is_resumed": True, "finished": finished})

    def make_failed_result(
        self,
        failure: Failure,
        started: datetime,
        ended: datetime,
        timings: Mapping[str, float] | None = None,
    ) -> Result:
        """Return the result of a run that ended before anything was measured."""
        return Result(
            run_id=self.run_id,
            scenario=self.scenario.name,
            target=self.environment.target,
            verdict=Verdict.NOT_PROVEN,
            started=started,
            duration_s=round(max(0.0, (ended - started).total_seconds()), 3),
            timings=dict(timings or {}),
            versions=(),
            table_uri=self.table_uri,
            failure=failure,
            inputs=self.inputs,
        )


def load_plan(text: str, source: str) -> Plan:
    """Load a plan of any supported format.

    Args:
        text: Plan as JSON.
        source: Name of the file, for the message.

    Raises:
        PrerequisiteError: A newer version of the harness wrote it, or it is not a plan.
    """
    try:
        content = parse_json(text)
        version = content.get("format_version", 1)
    except (ValueError, AttributeError) as error:
        raise _make_format_error(source) from error
    if isinstance(version, int) and version > PLAN_FORMAT:
        raise PrerequisiteError(
            f"{source} has plan format {version}; this harness reads formats up to {PLAN_FORMAT}.",
            remedy="Update the harness, or read the plan with the version that wrote it.",
        )
    try:
        while (version := content.get("format_version", 1)) != PLAN_FORMAT:
            content = _UPGRADES[version](content)
        # As JSON again: pydantic accepts a list in place of a tuple only there.
        return Plan.model_validate_json(json.dumps(content))
    except (ValueError, KeyError, TypeError) as error:
        raise _make_format_error(source) from error


def _upgrade_from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Upgrade format 1: format 2 only adds the format version."""
    return {**content, "format_version": 2}


_UPGRADES: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _upgrade_from_1}
"""For each older format, the function that turns a plan into one of the next format."""


def _make_format_error(source: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"{source} is not a plan that this version of the harness can read.",
        remedy=RUN_AGAIN,
    )
