"""The result of a run: one JSON document, ``result.json``, the job's only output."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from harness import result_formats
from harness.errors import ExitCode, HarnessError
from harness.result_digest import KEY as DIGEST, add_digest
from harness.scenario.bound_spec import BoundKind, BoundSpec
from harness.scenario.model_base import Int64
from harness.stored_json import parse_json

if TYPE_CHECKING:
    import pandas as pd

MeasuredValue = float | None
"""A finite number, or None if nothing could be measured; never NaN or infinity."""


class Record(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Verdict(StrEnum):
    """The outcome of a bound, a version or a run."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NOT_PROVEN = "not proven"
    OBSERVED = "observed"
    """Of a version or a run of a scenario that looks without judging."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run with this verdict, if nothing else went wrong."""
        return {
            Verdict.PASS: ExitCode.PASS,
            Verdict.FAIL: ExitCode.BOUND_FAILED,
            Verdict.NOT_PROVEN: ExitCode.NOT_PROVEN,
            Verdict.OBSERVED: ExitCode.PASS,
        }[self]


class BoundRecord(Record):
    """A finding about one bound, with the bound itself.

    In the JSON, the most important properties of the ``spec`` are repeated next to it, for other programs.
    """

    derived: ClassVar[tuple[str, ...]] = ("metric", "kind", "since", "relative", "must_fail")
    """Properties that are written to the JSON, and derived from the spec when it is read."""

    spec: BoundSpec

    @model_validator(mode="before")
    @classmethod
    def _remove_derived(cls, values: object) -> object:
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if name not in cls.derived}
        return values

    @model_serializer(mode="wrap")
    def _add_derived(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.derived}, **write(self)}

    @property
    def metric(self) -> str:
        """A metric's name, ``rows``, or another expectation's, such as ``schema`` or ``top_3_overlap``."""
        return self.spec.metric

    @property
    def kind(self) -> BoundKind:
        """The kind of the bound."""
        return self.spec.kind

    @property
    def since(self) -> str | None:
        """The earlier version, or the other run, with which it compares."""
        return self.spec.since

    @property
    def relative(self) -> bool:
        """Whether a change is a share of the earlier value."""
        return self.spec.relative

    @property
    def must_fail(self) -> bool:
        """Whether the scenario passes only if this bound fails."""
        return self.spec.must_fail


class BoundResult(BoundRecord):
    """One bound and its verdict, with the measured value."""

    derived: ClassVar[tuple[str, ...]] = (*BoundRecord.derived, "bound", "tolerance", "expected")

    measured: MeasuredValue
    """The metric itself; for a change, its difference to the earlier value; None for a text."""
    found: str = ""
    """The actual text; for a schema, its differences to the expected one; of unlabelled rows, the labels."""
    distance: MeasuredValue
    """How far inside the bound the measured value is; negative if it is outside."""
    verdict: Verdict
    reason: str = ""
    """Why it is not proven."""

    @property
    def bound(self) -> MeasuredValue:
        """The limit; None for a text."""
        return self.spec.limit

    @property
    def tolerance(self) -> float:
        """How far a number may be from the limit that it must equal."""
        return self.spec.tolerance

    @property
    def expected(self) -> str:
        """The expected text."""
        return self.spec.expected

    @property
    def outcome(self) -> Verdict:
        """What the bound means for the run: a bound that must fail passes if it fails, and vice versa."""
        if not self.spec.must_fail or self.verdict is Verdict.NOT_PROVEN:
            return self.verdict
        return Verdict.PASS if self.verdict is Verdict.FAIL else Verdict.FAIL

    @property
    def text(self) -> str:
        """The bound as a person writes it, such as ``>= 0.6``."""
        return self.spec.text


class FeatureExplanation(Record):
    """The local explanations of one feature, summarized over the explained rows.

    A weight is a change in probability per unit of the feature; per standard deviation of the feature
    in the training rows it can be compared between features.
    """

    mean: float
    mean_abs: float
    mean_per_sd: float
    mean_abs_per_sd: float


class Coefficient(Record):
    """One coefficient of the classifier, in log odds."""

    raw: float
    per_sd: float


class Registration(Record):
    """A version of a registered model in MLflow."""

    name: str
    version: str
    alias: str | None = None
    """The alias that the scenario names."""
    has_alias: bool = True
    """Whether the alias points to it; not if it was rolled back from this very model."""

    @property
    def uri(self) -> str:
        """URI of the version in MLflow."""
        return f"models:/{self.name}/{self.version}"

    @property
    def text(self) -> str:
        """The version and its alias, such as ``models:/loan/4 (champion)``."""
        return f"{self.uri} ({self.alias})" if self.alias and self.has_alias else self.uri


class GridPoint(Record):
    """One combination of parameters and its cross-validated score."""

    parameters: dict[str, float]
    """Parameter to value, in the order of the grid."""
    cv_roc_auc: MeasuredValue
    chosen: bool


class Commit(Record):
    """The Delta commit that created a version, from the table's log."""

    operation: str
    time: AwareDatetime
    reader: Int64
    """Protocol version that a reader must know."""
    writer: Int64


class RowChanges(Record):
    """The differences between the rows of a version and of the version before it, matched by their key."""

    added: Int64
    removed: Int64
    changed: Int64


class ChangedRow(Record):
    """One row whose values changed since the version before."""

    key: str
    """As reports show it: a digest if the key is sensitive."""
    values: dict[str, tuple[str | None, str | None]]
    """Column to its value before and after, as text; None for null. Sensitive columns are left out."""


class ChangedColumns(Record):
    """The columns in which rows changed since the version before, among those that both versions have."""

    columns: dict[str, Int64]
    """Column to the number of rows in which it changed, largest first; sensitive columns are left out."""
    sensitive: Int64 = 0
    """Number of rows in which a sensitive column changed."""
    examples: tuple[ChangedRow, ...] = ()
    """A few of the changed rows, chosen by a hash of the key."""


class RowWeight(Record):
    """The explanation weight of one feature for one row, at two versions or in two runs.

    Weights are changes in probability per standard deviation of the feature, or the feature's contribution
    to the row's probability.
    """

    feature: str
    before: MeasuredValue = None
    after: MeasuredValue = None


class MovedRow(Record):
    """A held-out row whose score differs between two versions, or two runs."""

    key: str
    """As reports show it: a digest if the key is sensitive."""
    label: MeasuredValue = None
    """1 for positive, 0 for negative; None if the label is sensitive."""
    before: float
    """The score: the predicted probability of the positive class."""
    after: float
    weights: tuple[RowWeight, ...] = ()
    """The features with the largest weights, largest first; empty if the row was not explained."""

    @property
    def change(self) -> float:
        """The difference of the scores."""
        return self.after - self.before


class MovedRows(Record):
    """The held-out rows whose score moved most from one version to another, or from one run to another."""

    version: str
    since: str
    """The earlier version, or the version of the other run."""
    compared: Int64
    """Number of rows with a score in both."""
    rows: tuple[MovedRow, ...] = ()
    """The largest difference first; rows with the same score are left out."""
    reason: str = ""
    """Why no rows were compared; empty if some were."""


class StoredPredictions(Record):
    """The Parquet file with the predictions for the held-out rows of a version."""

    file: str
    """Path in the run's folder, and among the artifacts of the version's run in MLflow."""
    sha256: str
    rows: Int64
    """Number of rows in the file."""
    held_out: Int64
    """Number of held-out rows; if the file has fewer, they were chosen by their key."""


class RowGroup(Record):
    """Some rows of a version, counted."""

    rows: Int64
    labelled: Int64
    """Rows with a positive or a negative label that meet the filter."""
    positives: Int64
    nulls: dict[str, Int64] = {}
    """Column of the table to the rows in which it is null."""
    bins: dict[str, tuple[int, ...]] = {}
    """Feature to its rows by bin; the last bin has the rows without a value."""
    repeated: Int64 = 0
    """Rows with the same features and label as an earlier row, or as another row of the group."""
    dates: dict[str, tuple[datetime, datetime]] = {}
    """Column of dates or times to its earliest and latest value, in UTC."""


class Relation(Record):
    """The correlation of two columns, or of a column and a value of the label, in two groups of rows."""

    columns: tuple[str, str]
    before: float
    """Spearman's rank correlation over bins, among the earlier rows."""
    added: float
    """The same among the added rows."""


class AddedRows(Record):
    """The rows that a version added, next to the rows that it has in common with the version before it."""

    before: RowGroup
    added: RowGroup
    new_values: dict[str, dict[str, Int64]] = {}
    """Categorical feature to the values that no earlier row has, with the number of their rows; beyond the 20
    most frequent ones, they are counted together."""
    relations: tuple[Relation, ...] = ()
    """The correlations that differ most, the largest difference first."""
    relations_compared: Int64 = 0
    """Number of pairs that were compared."""


class Bin(Record):
    """One bin of a column (or one value), with its number of rows."""

    start: float | str
    rows: Int64


class RocPoint(Record):
    """One point of a ROC curve."""

    false_positive_rate: float
    true_positive_rate: float


class CalibrationBin(Record):
    """Held-out rows of similar predicted probability."""

    rows: Int64
    predicted: float
    """Mean predicted probability."""
    observed: float
    """Share of positives."""


class WeakSegment(Record):
    """The held-out rows with one value, or in one range, of a feature."""

    name: str
    """Such as ``term = 60`` or ``dti <= 12.5``."""
    rows: Int64
    positives: Int64
    roc_auc: float
    roc_auc_se: float


class Difference(Record):
    """The difference of a metric between the model that is trained now and the champion, on the same rows."""

    value: float
    standard_error: MeasuredValue
    """Paired; of a ROC AUC by DeLong's method, of the others by a bootstrap. None if it wasn't computed."""


class ChampionResult(Record):
    """The champion, scored on the held-out rows of one version; its metrics are among the version's."""

    model: str
    """The model's URI, with a version in place of an alias."""
    rows: Literal["all", "added", "none"]
    """The held-out rows that count: those that the champion can't have been trained on."""
    reason: str = ""
    """Why not all of them count, as the rest of a sentence; empty if they do."""
    input_problems: tuple[str, ...] = ()
    """How the table doesn't fit the model's input: ``column term is string, the model expects int``."""
    differences: dict[str, Difference] = {}
    """Metric to the difference."""
    roc: tuple[RocPoint, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()


class VersionResult(Record):
    """One version of the table, the run that trained on it, and all measurements."""

    name: str
    version: Int64
    """The Delta version; the first one is 0."""
    rows: Int64
    fingerprint: str
    """128 bits as 32 hexadecimal digits; see ``harness.job.fingerprint``."""
    data_schema: Annotated[dict[str, str], Field(alias="schema")]
    """Column to type, in order."""
    commits: Int64 | None = None
    """How many commits the step made; None for an existing version."""
    commit: Commit | None = None
    error: str | None = None
    """The class of the error with which the step failed as expected."""
    nulls: dict[str, float] = {}
    """Column to the share of rows in which it is null."""
    null_keys: Int64 = 0
    duplicate_keys: Int64 = 0
    """Rows beyond the first of each key."""
    unlabelled: dict[str, Int64] = {}
    """Unexpected value of the label to its number of rows; the most frequent ones."""
    changes: RowChanges | None = None
    """Compared with the version before it in the scenario; None for the first."""
    changed_columns: ChangedColumns | None = None
    """The columns in which rows changed; None if no row did, or if that is unknown."""
    predictions: StoredPredictions | None = None
    """None if no model was trained."""
    moved: MovedRows | None = None
    """The rows whose score moved most since the trained version before; None for the first one."""
    added: AddedRows | None = None
    """The added rows; None for the first version, and if keys don't identify rows."""
    distributions: dict[str, tuple[Bin, ...]] = {}
    """Feature to its bins, which are the same at every version; the outer bins of numbers are open, and the
    last bin of texts holds all other values."""
    roc: tuple[RocPoint, ...] = ()
    """On the held-out rows."""
    calibration: tuple[CalibrationBin, ...] = ()
    """On the held-out rows."""
    status: Literal["built", "trained", "failed"] = "built"
    run_id: str | None = None
    """The MLflow run's id."""
    key: str = ""
    """Identifies what determines the model and its numbers; see ``harness.work``. Empty without a model."""
    reused_from: str = ""
    """The run that trained the model; empty if this one did."""
    metrics: dict[str, MeasuredValue] = {}
    segments: dict[str, dict[str, MeasuredValue]] = {}
    """Segment of the scenario to the metrics on its held-out rows."""
    weakest: WeakSegment | None = None
    """The part of the held-out rows with the lowest ROC AUC, of those with enough rows of both classes."""
    scores: dict[str, tuple[int, ...]] = {}
    """``before`` and ``added``: the held-out rows by bin of the log odds of their score."""
    grid: tuple[GridPoint, ...] = ()
    parameters: dict[str, str] = {}
    intercept: MeasuredValue = None
    coefficients: dict[str, Coefficient] = {}
    explanation: dict[str, float] = {}
    """Feature to mean weight."""
    explanations: dict[str, FeatureExplanation] = {}
    explanations_reason: str = ""
    """Why the explanations prove nothing; empty if they do."""
    champion: ChampionResult | None = None
    """The champion on this version; None if the scenario names none."""
    bundle: str | None = None
    """URI of the published bundle."""
    registered: Registration | None = None
    """The version of a registered model that its model became, if it did."""
    bounds: tuple[BoundResult, ...] = ()
    timings: dict[str, float] = {}
    """Seconds per step of this version."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def replace_facts(self, facts: Mapping[str, Any]) -> VersionResult:
        """Return this result with other values of some fields, which are in the form of JSON."""
        content = {**self.model_dump(mode="json", by_alias=True), **facts}
        return VersionResult.model_validate_json(json.dumps(content))


MEASURED_IN_TRAINING = frozenset(
    {
        "metrics",
        "segments",
        "weakest",
        "scores",
        "roc",
        "calibration",
        "grid",
        "parameters",
        "intercept",
        "coefficients",
        "explanation",
        "explanations",
        "explanations_reason",
    }
)
"""Fields of a version's result that its training measures."""
TRAINING_FIELDS = MEASURED_IN_TRAINING | {"status", "key", "run_id", "reused_from"}
"""Fields of a version's result that belong to its training; the others are measured in every run."""


class FaultResult(Record):
    """A fault that was injected into the added rows of a version, and what the version's bounds found."""

    name: str
    refused: str = ""
    """Why no model can be trained on these rows; empty if one was."""
    bounds: tuple[BoundResult, ...] = ()


class FailureProblem(Record):
    """One mistake that the job found in the scenario or in its data."""

    message: str
    location: tuple[str | int, ...] = ()


class Failure(Record):
    """The reason why the job ended early."""

    kind: str
    exit_code: ExitCode
    message: str
    remedy: str | None = None
    problems: tuple[FailureProblem, ...] = ()

    @classmethod
    def of(cls, error: HarnessError) -> Failure:
        """Return an error as the reason."""
        return cls(
            kind=type(error).__name__, exit_code=error.exit_code, message=error.message, remedy=error.remedy
        )


class RunInputs(Record):
    """The inputs of a run that decide whether other runs can be compared with it."""

    seed: Int64
    table: str
    """URI of an existing table, as the scenario writes it; the name of one that the run built."""
    key: tuple[str, ...]
    key_from: str
    pipeline: dict[str, JsonValue]
    """The scenario's pipeline, with its defaults."""
    scenario_sha256: str
    code_sha256: str | None
    """Digest of a custom pipeline's files."""
    harness_version: str
    """Identifies the content of the harness's code."""


class Approval(Record):
    """What a run did with the table that shows approved versions."""

    table: str
    """URI of the table, or its name in a catalog."""
    source: str
    """The same of the judged table."""
    name: str
    """The version's name in the scenario."""
    version: Int64
    """Its Delta version."""
    fingerprint: str
    before: Int64 | None = None
    """The version that the table showed before the run; None if it didn't exist, or others had changed it."""
    reason: str = ""
    """Why the table was left as it was; empty if it shows the version."""

    @property
    def is_approved(self) -> bool:
        """Whether the table shows the version."""
        return not self.reason

    @property
    def text(self) -> str:
        """What was approved, or why nothing was, as a sentence without its full stop."""
        if self.reason:
            return f"{self.table} was left as it was: {self.reason}"
        is_same, has_other = self.before == self.version, self.before not in (None, self.version)
        shows = f"{'still' if is_same else 'now'} shows version {self.version}"
        instead = f", instead of version {self.before}" if has_other else ""
        return f"{self.table} {shows} of {self.source} ({self.name}){instead}"


LINE_START = '{"result": '


class Result(Record):
    """One run of one scenario on one target."""

    format_version: Annotated[int, Field(ge=result_formats.CURRENT, le=result_formats.CURRENT)] = (
        result_formats.CURRENT
    )
    """The format of this document; ``from_json`` reads older ones as well."""
    run_id: str
    """The harness's own id, which names the run's folder."""
    scenario: str
    target: str
    key: str = ""
    """Identifies what determines the run's numbers, as far as Spark isn't needed; see ``harness.work``."""
    reused_from: str = ""
    """The run that measured the numbers, which this one only judged again; empty if it measured them."""
    verdict: Verdict
    reason: str = ""
    """Why the verdict is *not proven*, if it doesn't follow from a bound: none was judged."""
    started: AwareDatetime
    duration_s: float
    timings: dict[str, float]
    """Seconds per step, summed over the versions: versions are trained side by side, so the sum can
    exceed ``duration_s``."""
    versions: tuple[VersionResult, ...]
    table_uri: str
    mlflow_run_id: str | None = None
    """The parent run's id."""
    libraries: dict[str, str] = {}
    """The versions with which the job ran."""
    executors: dict[str, Int64] = {}
    """How many tasks each executor ran; those of the driver if there is no executor."""
    warnings: tuple[str, ...] = ()
    """Warnings to the reader, which don't affect the verdict."""
    failure: Failure | None = None
    approval: Approval | None = None
    """What the run did with the approved table; None if the scenario names none, or the run failed."""
    faults: tuple[FaultResult, ...] = ()
    """The faults that a proof injected; empty for a run."""
    inputs: RunInputs | None = None
    """None in results of earlier formats."""

    @property
    def ended(self) -> datetime:
        """When the run ended."""
        return self.started + timedelta(seconds=self.duration_s)

    @classmethod
    def from_json(cls, text: str | bytes) -> Result:
        """Read a result in any supported format.

        Args:
            text: The content of a ``result.json``.

        Raises:
            UnknownFormatError: A newer version of the harness wrote it.
            ValueError: It is not a result.
        """
        values = parse_json(text)
        if not isinstance(values, dict):
            raise ValueError("a result is a JSON object")  # noqa: TRY004 - the text is wrong, not its type
        values.pop(DIGEST, None)
        try:
            upgraded = result_formats.upgrade(values)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("the result lacks parts that its format has") from error
        return cls.model_validate(upgraded)

    def to_json(self) -> str:
        """Return the result as the content of a ``result.json``, with its digest."""
        values = add_digest(self.model_dump(mode="json", by_alias=True))
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    def to_line(self) -> str:
        """Return the result as one line of JSON, without a line end."""
        return LINE_START + self.model_dump_json(by_alias=True) + "}"

    @classmethod
    def from_line(cls, line: str) -> Result | None:
        """Read the result from a line; None if the line is not a result."""
        if not line.startswith(LINE_START):
            return None
        try:
            return cls.model_validate(json.loads(line)["result"])
        except ValueError:  # Half a line: the job was killed while it wrote.
            return None

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with a row for each bound of each version, and for each metric without bounds.

        ``value`` is the metric at the version; ``measured`` is what its bound compares, such as a change.
        ``docs/notebook.md`` describes the columns.
        """
        frame: pd.DataFrame = _find_view("harness.views.result_frame", "make_frame")(self)
        return frame

    def _repr_html_(self) -> str:
        """Return the verdict, the bounds and the plots, which a notebook shows in place of the result."""
        html: str = _find_view("harness.report.html", "render_result")(self)
        return html

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process that shows this result."""
        return self.failure.exit_code if self.failure else self.verdict.exit_code


def _find_view(module: str, name: str) -> Callable[[Result], Any]:
    """Return a function that shows a result.

    It is found by name, when a notebook asks for it: this module is below all views and reports, and the job
    imports none of them.
    """
    view: Callable[[Result], Any] = getattr(import_module(module), name)
    return view


def shorten_fingerprint(fingerprint: str) -> str:
    """Return the beginning of a fingerprint, enough to distinguish two at a glance."""
    return fingerprint[:12]
