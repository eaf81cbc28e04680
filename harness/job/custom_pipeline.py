"""The pipeline that a run uses: the built-in one, or one in Python that the scenario brings along.

Its files travel in the plan, so that every target runs the same ones. Here they are written down, imported on
the driver and handed to the executors, and every call into them is watched: what breaks in there is told with
the line of the file.
"""

from __future__ import annotations

import importlib
import math
import sys
import traceback
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark.ml import Transformer
from pyspark.sql import DataFrame, SparkSession

from harness.errors import JobError, Location, Problem, ScenarioError
from harness.job.builtin import LogisticRegressionWithLime
from harness.job.model_pipeline import Context, Explainer, Fitted, ModelPipeline, Prepared
from harness.job.spark_errors import storage_fault
from harness.metrics import R2_OF_OWN
from harness.plan import OwnCode, Plan
from harness.results import Measured
from harness.scenario.pipeline import METHODS, Pipeline, parts_of

# SynapseML lets no other classes be loaded from a saved model.
_LOADABLE = ("pyspark.", "synapse.ml.")
_AT: Location = ("pipeline", "use")
_REMEDY = "The whole trace is in the job's log."


def open_pipeline(spark: SparkSession, plan: Plan, scratch: Path) -> ModelPipeline:
    """What leads from rows to a model and its explanation.

    Args:
        spark: Its executors get the files.
        plan: The run.
        scratch: Local folder that the files are written to.

    Raises:
        ScenarioError: The files can't be imported, or what they define is no pipeline.
    """
    pipeline = plan.scenario.pipeline
    if pipeline.use is None:
        return LogisticRegressionWithLime(pipeline.model)
    code = OwnCode(plan.code)
    folder = scratch / "own_code"
    watch = _Watch(pipeline.use, folder)
    spark.sparkContext.addPyFile(str(_write(code, folder)))
    try:
        made = _make(pipeline, folder)
    except Exception as error:
        raise ScenarioError([Problem(watch.broke("it was made", error), _AT)]) from error
    missing = [name for name in METHODS if not callable(getattr(made, name, None))]
    if missing:
        raise ScenarioError([Problem(f"{pipeline.use} is no pipeline: it has no '{missing[0]}'.", _AT)])
    return WatchedPipeline(made, pipeline, watch)


def _write(code: OwnCode, folder: Path) -> Path:
    """Write the files down, and put them into an archive by a name of its own."""
    for path, text in code.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    archive = folder.with_name(f"own-{code.sha256[:16]}.zip")
    with zipfile.ZipFile(archive, "w") as zipped:
        for path, text in sorted(code.files.items()):
            # Without a time: a session that serves several runs refuses an archive that has changed.
            zipped.writestr(zipfile.ZipInfo(path), text)
    return archive


def _make(pipeline: Pipeline, folder: Path) -> Any:
    module, name = parts_of(pipeline.use or "")
    top = module.partition(".")[0]
    # A process may run several plans, each with files of its own.
    for loaded in [each for each in sys.modules if each == top or each.startswith(f"{top}.")]:
        del sys.modules[loaded]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    found = getattr(importlib.import_module(module), name)
    options = {
        key: list(value) if isinstance(value, tuple) else value for key, value in pipeline.options.items()
    }
    return found(**options) if callable(found) else found


@dataclass(frozen=True)
class _Watch:
    """Tells of what breaks in a pipeline of the author's."""

    use: str
    folder: Path

    def broke(self, doing: str, error: Exception) -> str:
        """One sentence: what broke, how, and at which line of the author's own files."""
        told = [type(error).__name__, *str(error).strip().splitlines()[:1]]
        root = f"{self.folder}/"
        passed = [
            each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(root)
        ]
        place = f" ({passed[-1].filename.removeprefix(root)}, line {passed[-1].lineno})" if passed else ""
        return f"{self.use} broke while {doing}: {': '.join(told)}{place}."


@dataclass(frozen=True)
class WatchedPipeline:
    """A pipeline of the author's, each step of which is looked at before it is used."""

    made: Any
    pipeline: Pipeline
    watch: _Watch

    def prepare(self, rows: DataFrame, context: Context) -> Prepared:
        """The author's, whose slots belong to features of the scenario."""
        prepared: Prepared = self._step("prepare", Prepared, rows, context)
        self._require_transformers("prepare", *prepared.stages)
        features = {*context.numbers, *context.categories}
        for name in prepared.names:
            if features.isdisjoint({name, str(name).partition("=")[0]}):
                told = f"prepared a slot {name!r}, which is of no feature"
                raise self._fault(f"{told}: call it FEATURE, or FEATURE=... where it has several.")
        return prepared

    def fit(self, rows: DataFrame, context: Context) -> Fitted:
        """The author's, whose model is one of Spark's."""
        fitted: Fitted = self._step("fit", Fitted, rows, context)
        self._require_transformers("fit", fitted.model)
        return replace(fitted, metrics=self._known("fit", fitted.metrics))

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, Measured]:
        """The author's, whose metrics are those that the scenario names."""
        found: Mapping[str, Any] = self._step("evaluate", Mapping, scored, context)
        return self._known("evaluate", found)

    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        """The author's, whose explainer is one of Spark's transformers."""
        explainer: Explainer = self._step("explain", Explainer, model, background, context)
        self._require_transformers("explain", explainer.model)
        return replace(explainer, r2_metric=R2_OF_OWN)

    def _step(self, name: str, kind: Any, *arguments: object) -> Any:
        try:
            found = getattr(self.made, name)(*arguments)
        except Exception as error:
            if storage_fault(error) is not None:
                raise
            raise JobError(self.watch.broke(f"it ran '{name}'", error), remedy=_REMEDY) from error
        if not isinstance(found, kind):
            raise self._fault(f"gave {type(found).__name__} from '{name}', where {kind.__name__} is due.")
        return found

    def _require_transformers(self, step: str, *models: object) -> None:
        for model in models:
            told = f"gave {type(model).__name__} from '{step}'"
            if not (isinstance(model, Transformer) and hasattr(model, "write")):
                raise self._fault(f"{told}, which is no Spark transformer that can be saved.")
            if not type(model).__module__.startswith(_LOADABLE):
                raise self._fault(f"{told}: only Spark's and SynapseML's own classes can be loaded again.")

    def _known(self, step: str, found: Mapping[str, Any]) -> dict[str, Measured]:
        """Metrics that the scenario names; what is no finite number could not be measured."""
        for name in found:
            if name not in self.pipeline.metrics:
                told = f"gave the metric {name!r} from '{step}'"
                raise self._fault(f"{told}, which 'pipeline.metrics' does not name.")
        return {
            name: float(value) if value is not None and math.isfinite(value) else None
            for name, value in found.items()
        }

    def _fault(self, message: str) -> JobError:
        return JobError(f"{self.watch.use} {message}")
