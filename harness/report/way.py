"""The lineage as a picture: from the steps to the versions, the models of each, and what was published."""

from __future__ import annotations

from dataclasses import dataclass

from harness.authoring.step_words import step_in_words
from harness.report.words import number
from harness.results import Result, VersionResult
from harness.scenario.plan import Plan

MODELS = ("featurizer", "classifier", "explainer")
"""Each needs all that stand before it."""
ROW_HEIGHT, WIDTH, TOP = 104, 1000, 34
"""In the drawing's own units; text is 13 of them high."""
_STEP_SIGNS, _ID_SIGNS = 26, 8


@dataclass(frozen=True)
class Way:
    """What became of one step."""

    name: str
    step: str
    source: str
    """The words of the step in full."""
    delta: str
    """The Delta version, in words."""
    rows: str
    fingerprint: str
    run: str
    """The MLflow run, short; empty where no model was trained."""
    models: tuple[str, ...]
    published: bool
    refused: bool
    """Whether the step failed, as it had to, and left no version of its own."""
    top: int
    """Where its row begins."""

    @property
    def sentence(self) -> str:
        """The row in words."""
        if self.refused:
            return f"{self.name}: {self.source} was refused, and the table stays at {self.delta}"
        made = f"{self.name}: {self.source} leads to {self.delta} with {self.rows}"
        if not self.run:
            return f"{made}; no model is trained there"
        end = "published as one bundle" if self.published else "not published"
        return f"{made}, on which MLflow run {self.run} trains {', '.join(self.models)}, {end}"


def ways(plan: Plan, result: Result) -> tuple[Way, ...]:
    """One for each version that the run has reached, in order."""
    return tuple(_way(plan, version, at) for at, version in enumerate(result.versions))


def alternative(found: tuple[Way, ...]) -> str:
    """The picture in words."""
    return f"Lineage. {'. '.join(way.sentence for way in found)}."


def _way(plan: Plan, version: VersionResult, at: int) -> Way:
    steps = {each.name: step_in_words(each) for each in plan.scenario.versions}
    words = steps.get(version.name, "an unknown step")
    return Way(
        name=version.name,
        step=words if len(words) <= _STEP_SIGNS else f"{words[: _STEP_SIGNS - 1]}…",
        source=words,
        delta=f"version {version.version}" if version.version >= 0 else "no version",
        rows=f"{number(version.rows)} rows",
        fingerprint=version.fingerprint[:_ID_SIGNS],
        run=(version.run_id or "")[:_ID_SIGNS],
        models=MODELS if version.run_id else (),
        published=version.bundle is not None,
        refused=version.error is not None,
        top=TOP + at * ROW_HEIGHT,
    )
