"""The bound that a search looks at, the same one at every version: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from harness.bounds.judge import Baselines, judge_versions
from harness.errors import UsageError
from harness.metrics import ADDED
from harness.results import BoundKind, BoundResult, VersionResult
from harness.scenario.expectations import (
    FIRST,
    PREVIOUS,
    Agreement,
    Baseline,
    Bounds,
    Change,
    Expect,
    Overlap,
)
from harness.scenario.model import Publish, Scenario
from harness.scenario.model_base import Model
from harness.suggestions import did_you_mean

_OF_EXPLAINED_ROWS = ("lime_", "weight(", "share(", "top_", "sign_agreement", "rank_correlation")


@dataclass(frozen=True)
class Question:
    """A bound by its metric and, where one part of it is meant, its kind."""

    metric: str
    kind: BoundKind | None = None

    @classmethod
    def of(cls, text: str) -> Question:
        """From ``METRIC`` or ``METRIC.KIND``, as ``caught_by`` names bounds."""
        metric, _, last = text.rpartition(".")
        for kind in get_args(BoundKind):
            if metric and kind == last:
                return cls(metric, kind)
        return cls(text)

    def __str__(self) -> str:
        return self.metric if self.kind is None else f"{self.metric}.{self.kind}"

    def among(self, bounds: Iterable[BoundResult]) -> tuple[BoundResult, ...]:
        """The bounds that are meant."""
        return tuple(each for each in bounds if each.metric == self.metric and self.kind in (None, each.kind))

    @property
    def is_of_explained_rows(self) -> bool:
        """Whether it depends on which rows are explained: the first trained version decides."""
        return self.metric.startswith(_OF_EXPLAINED_ROWS)


@dataclass(frozen=True)
class Inquiry:
    """What the last version expects, held against any of the trained versions."""

    scenario: Scenario
    """As the file says it."""
    expect: Expect
    """Of the last version; each change since the same version wherever it is judged."""
    baselines: Baselines

    @classmethod
    def into(cls, scenario: Scenario, baselines: Baselines | None = None) -> Inquiry:
        """What the last trained version must hold.

        Raises:
            UsageError: No model is trained at all.
        """
        if not scenario.trained:
            raise UsageError(f"The scenario {scenario.name} trains no model: there is nothing to search.")
        first, last = scenario.trained[0], scenario.trained[-1]
        said: Expect = _steady(_named(scenario.expected_of(last)), first, last)
        return cls(scenario, said, baselines or {})

    def bounds_at(self, name: str, measured: Mapping[str, VersionResult]) -> tuple[BoundResult, ...]:
        """What comes of it at a version.

        Args:
            name: The version.
            measured: What is known by now, by version; the version itself among it.
        """
        asking = self.scenario.model_copy(
            update={
                "every": Expect(),
                "caught_by": (),
                "versions": tuple(
                    each.model_copy(update={"expect": self.expect if each.name == name else Expect()})
                    for each in self.scenario.versions
                ),
            }
        )
        judged = judge_versions(asking, list(measured.values()), self.baselines)
        return next(each.bounds for each in judged if each.name == name)

    def said(self) -> tuple[BoundResult, ...]:
        """Every bound, judged of nothing."""
        last = self.scenario.trained[-1]
        nothing = VersionResult(name=last, version=0, rows=0, fingerprint="", data_schema={})
        return self.bounds_at(last, {last: nothing})

    def question(self, text: str) -> Question:
        """The question that a person asks.

        Raises:
            UsageError: The last version has no such bound.
        """
        asked, said = Question.of(text), self.said()
        if asked.among(said):
            return asked
        known = sorted({f"{each.metric}.{each.kind}" for each in said} | {each.metric for each in said})
        raise UsageError(
            f"--bound {text}: the last trained version, {self.scenario.trained[-1]}, has no such bound."
            f"{did_you_mean(text, known)}",
            remedy=f"It has {', '.join(known)}." if known else "It has none.",
        )

    def since(self, question: Question | None) -> tuple[str, ...]:
        """The versions that the bounds which are meant, or all bounds, are compared with."""
        said = self.said() if question is None else question.among(self.said())
        return tuple(dict.fromkeys(each.since for each in said if each.since in self.scenario.trained))

    def candidates(self, question: Question) -> tuple[str, ...]:
        """The trained versions to search: none before one that it is compared with."""
        trained = self.scenario.trained
        return trained[max((trained.index(each) for each in self.since(question)), default=0) :]


def probe(scenario: Scenario, trained: Iterable[str]) -> Scenario:
    """The scenario up to the last of these versions, trained at them alone; nothing expected or published."""
    wanted = set(trained)
    end = max(scenario.index_of(name) for name in wanted) + 1
    return scenario.model_copy(
        update={
            "versions": tuple(
                each.model_copy(update={"train": each.name in wanted, "expect": Expect()})
                for each in scenario.versions[:end]
            ),
            "every": Expect(),
            "verdict": "pass",
            "caught_by": (),
            "matrix": {},
            "publish": Publish(when="never"),
        }
    )


def _named(expect: Expect) -> Expect:
    """With metrics of added rows by a name of their own: the probed version alone is trained."""
    metrics: dict[str, Bounds] = {}
    for name, bounds in expect.metrics.items():
        for bound in bounds:
            key = ADDED + name if bound.on == "added" else name
            metrics[key] = (*metrics.get(key, ()), bound.model_copy(update={"on": "all"}))
    return expect.model_copy(update={"metrics": metrics})


def _steady(said: Any, first: str, last: str) -> Any:
    """With every comparison to the version before made one to the first, the same at each version."""
    if isinstance(said, Change | Overlap | Agreement) and said.since in (PREVIOUS, FIRST):
        return said.model_copy(update={"since": first})
    if isinstance(said, Baseline):
        return said.model_copy(update={"version": said.version or last})
    if isinstance(said, Model):
        names = type(said).model_fields
        return said.model_copy(update={name: _steady(getattr(said, name), first, last) for name in names})
    if isinstance(said, dict):
        return {name: _steady(each, first, last) for name, each in said.items()}
    return tuple(_steady(each, first, last) for each in said) if isinstance(said, tuple) else said
