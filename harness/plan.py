"""A scenario resolved for one target: the job's only input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from harness.results import Measured
from harness.scenario.model import Scenario
from harness.scenario.model_base import Model


class Setting(Model):
    """One setting and where its value came from."""

    name: str
    value: str
    origin: str
    """``default``, the settings file with its line, an environment variable, or the command line."""


class Secret(Model):
    """Where a secret's value is found, in the place where it is used: never the value."""

    variable: str = ""
    """An environment variable; empty where it is in a file."""
    file: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Secret:
        if bool(self.variable) == bool(self.file):
            raise ValueError("a secret is in a variable or in a file")
        return self


class Account(Model):
    """A storage account, and who the harness is there."""

    name: str
    auth: Literal["key", "service_principal"]
    secret: Secret
    """The account's key, or the service principal's secret."""
    secret_name: str = ""
    """Of the secret in the workspace's scope; none where no cluster needs it."""
    tenant_id: str = ""
    client_id: str = ""
    endpoint: str | None = None
    """Host and port of an emulator that stands for the account."""
    ca_file: str | None = None
    """Certificates by which the endpoint is trusted; the system's where it is not said."""


class Environment(Model):
    """Everything that differs between the places where the job can run."""

    target: str
    lake: str
    """Root URI below which runs build their tables."""
    model_store: str
    """Root URI that bundles are copied to."""
    tracking_uri: str
    """Of MLflow."""
    experiment: str
    scratch: str | None = None
    """Root URI for what the run's processes hand to each other; in the lake where it is not said."""
    artifacts: str | None = None
    """Where a new experiment keeps its artifacts; the tracking server decides where it is not said."""
    spark: dict[str, str] = Field(default_factory=dict)
    """Spark configuration."""
    accounts: tuple[Account, ...] = ()
    """The storage accounts that the URIs name."""


class SourceData(Model):
    """The rows that the scenario starts from, where the job can read them."""

    uri: str
    format: str
    options: dict[str, str] = Field(default_factory=dict)
    sha256: str | None = None
    """Of the file; none for a folder."""
    copied_from: str | None = None
    """The local path that it was copied from, where the job can't read that."""


@dataclass(frozen=True)
class CustomCode:
    """The Python files that a pipeline consists of."""

    files: Mapping[str, str]
    """Path below the scenario's folder, with ``/``, to the text."""

    @property
    def sha256(self) -> str:
        """Of all files with their paths."""
        digest = hashlib.sha256()
        for path, text in sorted(self.files.items()):
            digest.update(f"{path}\n{len(text.encode())}\n{text}".encode())
        return digest.hexdigest()


class Plan(Model):
    """One run, decided: what to build, from what, where to, and how it will be judged."""

    run_id: str
    harness_version: str
    """Names the content of the code; see ``harness.wheel``."""
    scenario: Scenario
    parameters: dict[str, str] = Field(default_factory=dict)
    """In which values this run differs from the scenario file: place to value, as text."""
    scenario_file: str
    scenario_sha256: str
    environment: Environment
    sources: dict[str, SourceData] = Field(default_factory=dict)
    """Every file that the scenario names, by its path as written there."""
    code: dict[str, str] = Field(default_factory=dict)
    """The Python files of the scenario's own pipeline, by their path; none of the built-in one."""
    existing_table: str | None = None
    """URI of a table that is there already, where the scenario builds none."""
    baselines: dict[str, dict[str, dict[str, Measured]]] = Field(default_factory=dict)
    """For each other run that bounds name, as written there: its versions' metrics, and ``rows``."""
    settings: tuple[Setting, ...] = ()

    @property
    def source(self) -> SourceData | None:
        """The table's own source; none where its rows are made, or it is there already."""
        source = self.scenario.table.source
        return self.sources.get(source.path) if source is not None else None

    @property
    def code_sha256(self) -> str | None:
        """Of the scenario's own pipeline; none where it uses the built-in one."""
        return CustomCode(self.code).sha256 if self.code else None

    @property
    def table_uri(self) -> str:
        """The table: of this run alone where it builds one, so that two runs do not meet."""
        return self.existing_table or f"{self.run_uri}/{self.scenario.table.name}"

    @property
    def scratch_uri(self) -> str:
        """A folder for what the run's processes hand to each other."""
        scratch = self.environment.scratch
        return f"{self.run_uri}/.scratch" if scratch is None else f"{scratch}/{self.run_id}"

    @property
    def run_uri(self) -> str:
        """The run's own folder in the lake."""
        return f"{self.environment.lake}/runs/{self.run_id}"
