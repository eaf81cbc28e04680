"""The pipeline of a run: a built-in one, or the custom pipeline that the scenario names.

The files of a custom pipeline are part of the plan, so that every target runs the same ones. Here they are
written to disk, imported on the driver and distributed to the executors. Every call into them is checked: an
error is reported with the line of the author's file.
"""

from __future__ import annotations

import importlib
import math
import sys
import traceback
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

from pyspark.ml import Transformer
from pyspark.sql import DataFrame, SparkSession

from harness.errors import JobError, Location, Problem, ScenarioError
from harness.job.models.model_registry import make_built_in_pipeline
from harness.job.spark_errors import name_error, summarize_error, translate_storage_error
from harness.metrics import R2_OF_CUSTOM
from harness.pipelines import Context, Explainer, FittedModel, MeasuredValue, ModelPipeline, PreparedFeatures
from harness.plan import CustomCode, Plan
from harness.scenario.pipeline import METHODS, Pipeline, split_use

# SynapseML refuses to load other classes from a saved model.
_LOADABLE = ("pyspark.", "synapse.ml.")
_AT: Location = ("pipeline", "use")
_LARGEST = 1e150
"""Beyond it, the square of a number is no longer finite."""
_LONGEST = 40
_REMEDY = "The whole traceback is in the job's log."


def open_pipeline(spark: SparkSession, plan: Plan, scratch: Path) -> ModelPipeline:
    """Return the pipeline that leads from rows to a model and its explanation.

    Args:
        spark: Its executors receive the files of a custom pipeline.
        plan: The run.
        scratch: Local folder that the files are written to.

    Raises:
        ScenarioError: The files can't be imported, or they don't define a pipeline.
    """
    pipeline = plan.scenario.pipeline
    if pipeline.use is None:
        return make_built_in_pipeline(pipeline.model)
    code = CustomCode(plan.code)
    folder = scratch / "custom_code"
    reporter = _ErrorReporter(pipeline.use, folder)
    spark.sparkContext.addPyFile(str(_write(code, folder)))
    try:
        opened = _create(pipeline, folder)
    except Exception as error:
        raise ScenarioError([Problem(reporter.describe("while it was created", error), _AT)]) from error
    missing = [name for name in METHODS if not callable(getattr(opened, name, None))]
    if missing:
        message = f"{pipeline.use} is not a pipeline: it has no method '{missing[0]}'."
        raise ScenarioError([Problem(message, _AT)])
    return CheckedPipeline(opened, pipeline, reporter)


def _write(code: CustomCode, folder: Path) -> Path:
    """Write the files to a folder, and to an archive that is named after their content."""
    for path, text in code.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    archive = folder.with_name(f"custom-{code.sha256[:16]}.zip")
    with zipfile.ZipFile(archive, "w") as zipped:
        for path, text in sorted(code.files.items()):
            # Without a time: a session that serves several runs refuses an archive that has changed.
            zipped.writestr(zipfile.ZipInfo(path), text)
    return archive


def _create(pipeline: Pipeline, folder: Path) -> Any:
    """Import the module of a custom pipeline, and call its class or function with the options."""
    module, name = split_use(pipeline.use or "")
    top = module.partition(".")[0]
    # A process may run several plans, each with its own files.
    for loaded in [each for each in sys.modules if each == top or each.startswith(f"{top}.")]:
        del sys.modules[loaded]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    factory = getattr(importlib.import_module(module), name)
    options = {
        key: list(value) if isinstance(value, tuple) else value for key, value in pipeline.options.items()
    }
    return factory(**options) if callable(factory) else factory


def _shorten(value: object) -> str:
    """Return a value as a message writes it; an integer may have too many digits to be written."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of many digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


@dataclass(frozen=True)
class _ErrorReporter:
    """A reporter of the errors that a custom pipeline raises."""

    use: str
    folder: Path

    def describe(self, when: str, error: Exception) -> str:
        """Describe an error in one sentence, with the line of the author's own file."""
        name, summary = name_error(error), summarize_error(error)
        shown = summary if name in summary else f"{name}: {summary}"
        root = f"{self.folder}/"
        frames = [
            each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(root)
        ]
        location = f" ({frames[-1].filename.removeprefix(root)}, line {frames[-1].lineno})" if frames else ""
        return f"{self.use} failed {when}: {shown}{location}."


@dataclass(frozen=True)
class CheckedPipeline:
    """A custom pipeline; the result of each step is checked before it is used."""

    custom: Any
    pipeline: Pipeline
    reporter: _ErrorReporter

    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        """Run the author's step, and check that each slot belongs to a feature of the scenario."""
        prepared: PreparedFeatures = self._run("prepare", PreparedFeatures, rows, context)
        self._require_transformers("prepare", *prepared.stages)
        features = {*context.numbers, *context.categories}
        for name in prepared.names:
            if features.isdisjoint({name, str(name).partition("=")[0]}):
                hint = "use the name of a feature, or FEATURE=... if a feature has several slots"
                raise self._error(f"named a slot {name!r} in 'prepare': {hint}.")
        return prepared

    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        """Run the author's step, and check that the model is one of Spark's."""
        fitted: FittedModel = self._run("fit", FittedModel, rows, context)
        self._require_transformers("fit", fitted.model)
        return replace(fitted, metrics=self._require_declared("fit", fitted.metrics))

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, MeasuredValue]:
        """Run the author's step, and check that the scenario names each metric."""
        metrics: Mapping[str, Any] = self._run("evaluate", Mapping, scored, context)
        return self._require_declared("evaluate", metrics)

    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        """Run the author's step, and check that the explainer is a transformer of Spark or SynapseML."""
        explainer: Explainer = self._run("explain", Explainer, model, background, context)
        self._require_transformers("explain", explainer.model)
        return replace(explainer, r2_metric=R2_OF_CUSTOM)

    def _run(self, step: str, expected: Any, *arguments: object) -> Any:
        try:
            output = getattr(self.custom, step)(*arguments)
        except Exception as error:
            if translate_storage_error(error) is not None:
                raise
            raise JobError(self.reporter.describe(f"in '{step}'", error), remedy=_REMEDY) from error
        if not isinstance(output, expected):
            returned = f"returned {type(output).__name__} from '{step}'"
            raise self._error(f"{returned}; it must return {expected.__name__}.")
        return output

    def _require_transformers(self, step: str, *models: object) -> None:
        for model in models:
            returned = f"returned {type(model).__name__} from '{step}'"
            if not (isinstance(model, Transformer) and hasattr(model, "write")):
                raise self._error(f"{returned}, which is not a Spark transformer that can be saved.")
            if not type(model).__module__.startswith(_LOADABLE):
                raise self._error(
                    f"{returned}: only classes of Spark and SynapseML can be loaded from a saved model."
                )

    def _require_declared(self, step: str, metrics: Mapping[str, Any]) -> dict[str, MeasuredValue]:
        """Return the metrics, all of which the scenario must name; only finite numbers count as measured."""
        for name in metrics:
            if name not in self.pipeline.metrics:
                returned = f"returned the metric {name!r} from '{step}'"
                raise self._error(f"{returned}; add it to 'pipeline.metrics'.")
        return {name: self._require_number(step, name, value) for name, value in metrics.items()}

    def _require_number(self, step: str, name: str, value: Any) -> MeasuredValue:
        """Return a metric as a finite number; None, NaN and infinity stand for one that can't be measured."""
        if value is None:
            return None
        returned = f"returned the metric {name!r} from '{step}' as {_shorten(value)} ({type(value).__name__})"
        if isinstance(value, bool) or not isinstance(value, Real | Decimal):
            raise self._error(f"{returned}; return a number, or None if it can't be measured.")
        try:
            number = float(value)
        except (OverflowError, ValueError) as error:
            raise self._error(f"{returned}, which is too large; return a smaller number.") from error
        if not math.isfinite(number):
            return None
        if abs(number) > _LARGEST:
            raise self._error(f"{returned}, which is too large; return a smaller number.")
        return number

    def _error(self, message: str) -> JobError:
        return JobError(f"{self.reporter.use} {message}")
