"""The standard gate: the differences that it finds, and how rarely it finds them by chance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.bounds.specs import list_bound_specs
from harness.bounds.standard import CHECKS, History, compares_added_rows, run_check
from harness.loading.rules import check_rules
from harness.results import (
    AddedRows,
    Commit,
    FeatureExplanation,
    Relation,
    RowChanges,
    RowGroup,
    Verdict,
    VersionResult,
)
from tests.unit.bounds_samples import judge, scenario, version

_START = datetime(2024, 1, 1, tzinfo=UTC)


def _group(rows: int = 1000, **changes: Any) -> RowGroup:
    values: dict[str, Any] = {
        "rows": rows,
        "labelled": rows,
        "positives": rows // 10,
        "nulls": {"dti": rows // 50},
        "bins": {"dti": (rows // 2, rows // 2, 0), "term": (rows // 4, rows - rows // 4, 0)},
    }
    return RowGroup(**(values | changes))


def _dates(first: int, last: int) -> dict[str, tuple[datetime, datetime]]:
    return {"day": (_START + timedelta(days=first), _START + timedelta(days=last))}


def _explained(dti: float, term: float) -> dict[str, FeatureExplanation]:
    return {
        name: FeatureExplanation(
            mean=weight, mean_abs=abs(weight), mean_per_sd=weight, mean_abs_per_sd=abs(weight)
        )
        for name, weight in (("dti", dti), ("term", term))
    }


def _version(name: str, at: int, added: AddedRows | None, **changes: Any) -> VersionResult:
    values: dict[str, Any] = {
        "version": at,
        "rows": 2000 + 1000 * at,
        "added": added,
        "changes": RowChanges(added=1000, removed=0, changed=0) if at else None,
        "commit": Commit(operation="WRITE", time=_START + timedelta(days=400), reader=1, writer=2),
        "metrics": {
            f"{prefix}test_{metric}": value
            for prefix in ("", "added_")
            for metric, value in (
                ("roc_auc", 0.7),
                ("roc_auc_se", 0.02),
                ("rows", 400.0),
                ("positives", 40.0),
            )
        }
        | {"train_rows": 50_000.0, "train_positives": 5000.0},
        "explanations": _explained(0.3, -0.2),
        "scores": {"before": (300, 100), "added": (150, 50)} if at else {},
    }
    return version(name, **(values | changes))


def _history(added: RowGroup | None = None, before: RowGroup | None = None, **changes: Any) -> History:
    """Return three versions that each add a month; the last one with the changed facts."""
    facts = {
        key: changes.pop(key) for key in ("new_values", "relations", "relations_compared") if key in changes
    }
    earlier = [
        _version("january", 0, None),
        _version(
            "february", 1, AddedRows(before=_group(dates=_dates(0, 30)), added=_group(dates=_dates(31, 59)))
        ),
    ]
    before = before or _group(2000, dates=_dates(0, 59))
    added = added or _group(dates=_dates(60, 90))
    now = _version("march", 2, AddedRows(before=before, added=added, **facts), **changes)
    return History(now, earlier[-1], earlier)


@pytest.mark.parametrize("name", CHECKS)
def test_an_unchanged_process_passes(name: str) -> None:
    """Every check holds if the added rows are like those before."""
    outcome = run_check(name, _history())
    assert outcome.holds, outcome.text
    assert "too few" not in outcome.text


def test_a_scenario_sets_another_limit() -> None:
    """In place of the usual one, as long as chance doesn't explain more."""
    facts = _history(_group(nulls={"dti": 60}))
    assert [True, False] == [run_check("nulls", facts, limit).holds for limit in (None, 0.03)]
    gate = scenario(
        [{"name": "january"}, {"name": "february"}], every={"standard": {"limits": {"nulls": 0.04}}}
    )
    limits = {spec.metric: spec.limit for spec in list_bound_specs(gate)}
    assert (0.04, CHECKS["drift"].limit) == (limits["standard.nulls"], limits["standard.drift"])


def test_limits_of_unknown_or_left_out_checks_are_mistakes() -> None:
    """Both have no effect."""
    every = {"standard": {"except": ["drift"], "limits": {"drift": 0.3, "null": 0.1}}}
    gate = scenario([{"name": "january"}, {"name": "february"}], every=every)
    messages = [problem.message for problem in check_rules(gate)]
    assert any(
        each.startswith("the standard gate has no check 'null'. Did you mean 'nulls'?") for each in messages
    )
    assert any(each.startswith("the check 'drift' is left out") for each in messages)


def _relation(before: float, added: float) -> dict[str, Any]:
    return {
        "relations": (Relation(columns=("dti", "term"), before=before, added=added),),
        "relations_compared": 100,
    }


FAULTS: dict[str, tuple[str, Callable[[], History], str]] = {
    "nulls": (
        "nulls",
        lambda: _history(_group(nulls={"dti": 300})),
        "dti: 2 % before, 30 % of the added rows",
    ),
    "fewer nulls": (
        "nulls",
        lambda: _history(_group(nulls={"dti": 0}), _group(2000, nulls={"dti": 600})),
        "dti: 30 %",
    ),
    "shifted": ("drift", lambda: _history(_group(bins={"dti": (100, 900, 0)})), "dti: 0."),
    "other scores": ("score", lambda: _history(scores={"before": (300, 100), "added": (20, 180)}), "2."),
    "constant": ("constant", lambda: _history(_group(bins={"dti": (1000, 0, 0)})), "constant: dti"),
    "all missing": ("constant", lambda: _history(_group(bins={"dti": (0, 0, 1000)})), "constant: dti"),
    "no positives": (
        "positives",
        lambda: _history(_group(positives=0)),
        "10 % before, 0 % of the added rows",
    ),
    "more positives": (
        "positives",
        lambda: _history(_group(positives=250)),
        "10 % before, 25 % of the added rows",
    ),
    "shuffled": (
        "relations",
        lambda: _history(**_relation(0.5, 0.01)),
        "dti and term: +0.50 before, +0.01 among",
    ),
    "leak": (
        "relations",
        lambda: _history(**_relation(0.1, 0.95)),
        "dti and term: +0.10 before, +0.95 among",
    ),
    "new value": (
        "new_values",
        lambda: _history(new_values={"term": {"x ": 400, "y": 3}}),
        "term: 'x ', 'y' in 40.3 %",
    ),
    "repeated": (
        "repeated_rows",
        lambda: _history(_group(repeated=500)),
        "0 % before, 50 % of the added rows",
    ),
    "lost": (
        "growth",
        lambda: _history(changes=RowChanges(added=1000, removed=900, changed=0)),
        "900 of 3,000 rows",
    ),
    "half": (
        "growth",
        lambda: _history(changes=RowChanges(added=500, removed=0, changed=0)),
        "500 rows were added",
    ),
    "twice": (
        "growth",
        lambda: _history(changes=RowChanges(added=3000, removed=0, changed=0)),
        "3,000 rows were",
    ),
    "future": (
        "dates",
        lambda: _history(_group(dates=_dates(60, 4000))),
        "day has 2034-12-14, after the commit",
    ),
    "jump": (
        "dates",
        lambda: _history(_group(dates=_dates(60, 390))),
        "day moves from 2024-02-29 to 2025-01-25",
    ),
    "stale": (
        "dates",
        lambda: _history(_group(dates=_dates(31, 59))),
        "day ends at 2024-02-29, and ended at",
    ),
    "sign": (
        "signs",
        lambda: _history(explanations=_explained(-0.3, -0.2)),
        "dti: +0.300 before, -0.300 now",
    ),
    "share": ("shares", lambda: _history(explanations=_explained(0.3, -0.9)), ": "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    """Each kind of fault makes its check fail, and the text names what differs most."""
    name, history, text = FAULTS[fault]
    outcome = run_check(name, history())
    assert not outcome.holds
    assert text in outcome.text


@pytest.mark.parametrize(("value", "holds"), [(0.5, False), (0.68, True), (0.9, False)])
@pytest.mark.parametrize(("name", "prefix"), [("added_roc_auc", "added_"), ("roc_auc", "")])
def test_a_roc_auc_may_change_in_neither_direction(name: str, prefix: str, value: float, holds: bool) -> None:
    """Much worse means wrong labels, and much better means a leak."""
    history = _history()
    metrics = {**history.now.metrics, f"{prefix}test_roc_auc": value}
    changed = history.now.model_copy(update={"metrics": metrics})
    outcome = run_check(name, History(changed, history.before, history.earlier))
    assert holds == outcome.holds
    few = changed.model_copy(update={"metrics": {**metrics, f"{prefix}test_positives": 9.0}})
    assert (
        "too few rows of a class to compare"
        == run_check(name, History(few, history.before, history.earlier)).text
    )


def test_explanations_of_few_rows_may_differ() -> None:
    """With few training rows of a class, chance moves the shares of the features and their signs."""
    history = _history(explanations=_explained(-0.3, -0.9))
    few = [
        version.model_copy(update={"metrics": {**version.metrics, "train_positives": 40.0}})
        for version in (*history.earlier, history.now)
    ]
    for name in ("signs", "shares"):
        assert not run_check(name, history).holds
        assert run_check(name, History(few[-1], few[-2], few[:-1])).holds


def test_few_rows_are_not_compared() -> None:
    """Nothing can be said about a handful of rows, nor about a version without an earlier one."""
    few = _history(_group(20, positives=0))
    assert "too few rows to compare: 20 added, 2,000 before" == run_check("positives", few).text
    first = History(_version("january", 0, None), None, [])
    assert {"no earlier version to compare with"} <= {run_check(name, first).text for name in CHECKS}
    assert all(run_check(name, first).holds for name in CHECKS)


def test_chance_alone_rarely_fails() -> None:
    """Of 300 versions from an unchanged process, at most three fail in any check of counts."""
    random = np.random.default_rng(1)
    failed = 0
    for _ in range(300):
        groups = []
        for rows in (3000, 700):
            bins = {f"x{at}": (*map(int, random.multinomial(rows, [0.1] * 10)), 0) for at in range(20)}
            nulls = {f"x{at}": int(random.binomial(rows, 0.3)) for at in range(20)}
            positives = int(random.binomial(rows, 0.05))
            repeated = int(random.binomial(rows, 0.1))
            groups.append(_group(rows, bins=bins, nulls=nulls, positives=positives, repeated=repeated))
        noise = np.tanh(random.normal(size=(200, 2)) / np.sqrt([3000 - 3, 700 - 3]))
        largest = noise[np.argsort(-abs(noise[:, 1] - noise[:, 0]))[:10]]
        relations = [
            Relation(columns=(f"x{at}", "y"), before=before, added=added)
            for at, (before, added) in enumerate(largest.tolist())
        ]
        history = _history(groups[1], groups[0], relations=tuple(relations), relations_compared=200)
        failed += any(not run_check(name, history).holds for name in CHECKS if CHECKS[name].needs_added)
    assert failed <= 3


def test_the_gate_is_a_bound_per_check() -> None:
    """From the second version on, each check is a bound, except those that are left out."""
    history = _history()
    bounds = judge({"standard": {"except": ["dates", "signs"]}}, history.now, *history.earlier)
    assert [f"standard.{name}" for name in CHECKS if name not in ("dates", "signs")] == [
        bound.metric for bound in bounds
    ]
    assert {Verdict.PASS} == {bound.verdict for bound in bounds}
    texts = {bound.metric: bound.text for bound in bounds}
    assert "= unchanged (limit 0.25) since february" == texts["standard.drift"]


def test_a_failure_says_what_it_often_means() -> None:
    """The reason is next to the numbers, for whoever reads the report."""
    history = _history(_group(nulls={"dti": 300}))
    bounds = judge({"standard": True}, history.now, *history.earlier)
    [failed] = [bound for bound in bounds if bound.verdict is Verdict.FAIL]
    assert failed.found.endswith(f"; often {CHECKS['nulls'].why}")


def test_the_first_version_has_no_standard() -> None:
    """Nothing is compared at the first version, and facts about added rows are only collected if needed."""
    gated = scenario([{"name": "one"}, {"name": "two"}], every={"standard": True})
    assert compares_added_rows(gated, "two")
    for every in ({"standard": False}, {"standard": {"except": list(CHECKS)}}, {"metrics": {"test_f1": 0.5}}):
        assert not compares_added_rows(scenario([{"name": "one"}], every=every), "one")
    assert compares_added_rows(
        scenario([{"name": "one"}, {"name": "two"}], every={"repeated_rows": {"max": 0.1}}), "two"
    )


def test_the_docs_list_every_check() -> None:
    """The table in the docs is made from the checks themselves."""
    docs = (Path(__file__).parents[2] / "docs" / "scenario.md").read_text()
    for check in CHECKS.values():
        limit = f"{check.limit:g}: {check.of_limit}"
        assert f"| `{check.name}` | {check.meaning} | {limit} | {check.why} |" in docs
