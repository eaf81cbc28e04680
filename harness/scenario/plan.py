"""A scenario resolved for one target: the job's only input."""

from __future__ import annotations

from pydantic import Field

from harness.scenario.model import Model, Scenario


class Setting(Model):
    """One setting and where its value came from."""

    name: str
    value: str
    origin: str
    """``default``, the settings file with its line, an environment variable, or the command line."""


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
    artifacts: str | None = None
    """Where a new experiment keeps its artifacts; the tracking server decides where it is not said."""
    spark: dict[str, str] = Field(default_factory=dict)
    """Spark configuration."""


class SourceData(Model):
    """The rows that the scenario starts from, where the job can read them."""

    uri: str
    format: str
    options: dict[str, str] = Field(default_factory=dict)
    sha256: str | None = None
    """Of the file; none for a folder."""


class Plan(Model):
    """One run, decided: what to build, from what, where to, and how it will be judged."""

    run_id: str
    harness_version: str
    scenario: Scenario
    scenario_file: str
    scenario_sha256: str
    environment: Environment
    source: SourceData
    settings: tuple[Setting, ...] = ()

    @property
    def table_uri(self) -> str:
        """The table of this run alone: two runs at once do not meet, and every run starts at version 0."""
        return f"{self._uri}/{self.scenario.table.name}"

    @property
    def scratch_uri(self) -> str:
        """A folder of the lake for what the run's processes hand to each other."""
        return f"{self._uri}/.scratch"

    @property
    def _uri(self) -> str:
        return f"{self.environment.lake}/runs/{self.run_id}"
