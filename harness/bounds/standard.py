"""The standard gate: the checks that a careful engineer would write for every new version of a table.

Each check compares the rows that a version added with the rows before, or the version with the one before.
It holds within a limit that is the larger of two: a difference that matters in practice, and one that chance
exceeds in fewer than ``FALSE_ALARMS`` of all versions, over all checks and columns together (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import NormalDist, median

from harness.bounds.drift import compute_stability_index, merge_bins
from harness.bounds.quantities import list_numbers
from harness.metrics import ADDED
from harness.results import AddedRows, VersionResult
from harness.scenario.model import Scenario
from harness.scenario.proof import Proof

STANDARD = "standard"
"""Kind of the bounded quantity, and its key below ``expect`` or ``every``."""
FALSE_ALARMS = 0.005
"""Share of unchanged versions in which any check may fail by chance."""
MIN_ROWS = 30
"""Fewer added rows, or rows before, are not compared."""
MIN_CLASS_ROWS = Proof().min_class_rows
"""A ROC AUC on fewer rows of a class is not compared."""
LOST = 0.01
"""Share of the rows before that are no longer there."""
SCORE_SHARE = 0.1
"""Bins of the score are merged until each has this share of the rows from before."""
_USUAL = 3
"""A first version with at most as many times the rows of a later one is a usual step."""


@dataclass(frozen=True)
class Outcome:
    """What a check found: the item with the largest difference, compared with its limit."""

    text: str
    holds: bool = True


@dataclass(frozen=True)
class History:
    """The versions that a check may look at."""

    now: VersionResult
    before: VersionResult | None
    """The version that it is compared with."""
    earlier: Sequence[VersionResult]
    """All versions before it, in order."""
    limit: float = math.inf
    """The limit of the current check."""


@dataclass(frozen=True)
class StandardCheck:
    """One check of the standard gate."""

    name: str
    meaning: str
    """What must hold, with its limit, as docs and reports say it."""
    why: str
    """What a failure usually means."""
    find: Callable[[History], Outcome]
    limit: float
    """The default limit, which a scenario can replace."""
    of_limit: str
    """The quantity that the limit applies to, for the docs."""
    needs_added: bool = True
    """Whether it needs facts about the added rows."""
    needs_model: bool = False
    """Whether it needs a model's metrics or explanations."""


@dataclass(frozen=True)
class _Item:
    """One compared item, such as a column."""

    text: str
    """The item with its two numbers."""
    size: float
    """The difference, without sign."""
    limit: float

    @property
    def excess(self) -> float:
        return self.size / self.limit if self.limit else math.inf


def _judge_items(items: Sequence[_Item], what: str, count: str = "{:.3g}") -> Outcome:
    """Return the outcome for the item that comes closest to its limit, or exceeds it most."""
    if not items:
        return Outcome(f"no {what} to compare")
    wrong = [each for each in items if each.size > each.limit]
    worst = max(items, key=lambda each: each.excess)
    more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    limit = f" (limit {count.format(worst.limit)})"
    return Outcome(f"{worst.text}{limit}{more}", holds=not wrong)


def _critical(items: int) -> float:
    """Return how many standard errors chance exceeds too rarely, over all checks and their items."""
    return NormalDist().inv_cdf(1 - FALSE_ALARMS / len(CHECKS) / max(items, 1) / 2)


def _critical_chi2(freedom: int, items: int) -> float:
    """Return the quantile of the chi-squared distribution (Wilson and Hilferty, 1931)."""
    z = NormalDist().inv_cdf(1 - FALSE_ALARMS / len(CHECKS) / max(items, 1))
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + z * math.sqrt(spread)) ** 3


def _enough(added: AddedRows) -> bool:
    return min(added.before.rows, added.added.rows) >= MIN_ROWS


def _check_nulls(history: History) -> Outcome:
    rows = _require(history)
    names = list(rows.added.nulls)
    z = _critical(len(names))
    items = []
    for name in names:
        before, now = (group.nulls.get(name, 0) / group.rows for group in (rows.before, rows.added))
        items.append(
            _Item(
                f"{name}: {_percent(before)} before, {_percent(now)} of the added rows",
                abs(now - before),
                max(history.limit, z * _share_error(rows, before * rows.before.rows + now * rows.added.rows)),
            )
        )
    return _judge_items(items, "column")


def _check_drift(history: History) -> Outcome:
    rows = _require(history)
    pairs = {
        name: (bins[:-1], rows.added.bins[name][:-1])
        for name, bins in rows.before.bins.items()
        if name in rows.added.bins
    }
    items = []
    for name, (before, added) in pairs.items():
        first, later = sum(before), sum(added)
        if min(first, later) < MIN_ROWS or len(before) < 2:  # noqa: PLR2004 - one bin can't drift
            continue
        noise = (1 / first + 1 / later) * _critical_chi2(len(before) - 1, len(pairs))
        index = compute_stability_index(before, added)
        items.append(_Item(f"{name}: {index:.3f}", index, max(history.limit, noise)))
    return _judge_items(items, "feature")


def _check_score(history: History) -> Outcome:
    scores = history.now.scores
    all_before, all_added = scores.get("before", ()), scores.get("added", ())
    if min(sum(all_before), sum(all_added)) < MIN_ROWS:
        return Outcome("too few held-out rows to compare")
    before, added = merge_bins(all_before, all_added, SCORE_SHARE)
    if len(before) < 2:  # noqa: PLR2004 - one bin can't drift
        return Outcome("all scores are the same")
    noise = (1 / sum(before) + 1 / sum(added)) * _critical_chi2(len(before) - 1, 1)
    index = compute_stability_index(before, added)
    return _judge_items([_Item(f"{index:.3f}", index, max(history.limit, noise))], "score")


def _check_constant(history: History) -> Outcome:
    rows = _require(history)
    wrong = []
    for name, bins in rows.added.bins.items():
        filled = [at for at, count in enumerate(bins) if count]
        before = rows.before.bins.get(name, (0,) * len(bins))
        total = float(sum(before))
        if len(filled) == 1 and total and before[filled[0]] / total < history.limit:
            wrong.append(name)
    return Outcome(f"constant: {', '.join(wrong)}" if wrong else "none is constant", holds=not wrong)


def _check_positives(history: History) -> Outcome:
    rows = _require(history)
    groups = (rows.before, rows.added)
    if min(group.labelled for group in groups) < MIN_ROWS:
        return Outcome("too few labelled rows to compare")
    # Half a row more of each class, so that a class without rows has odds.
    odds = [math.log((each.positives + 0.5) / (each.labelled - each.positives + 0.5)) for each in groups]
    before, now = (each.positives / each.labelled for each in groups)
    text = f"{_percent(before)} before, {_percent(now)} of the added rows: log odds {odds[1] - odds[0]:+.2f}"
    total = sum(each.labelled for each in groups)
    share = sum(each.positives for each in groups) / total
    error = math.sqrt(share * (1 - share) * sum(1 / each.labelled for each in groups))
    if abs(now - before) <= _critical(1) * error:
        return Outcome(f"{text}, which chance can explain")
    return _judge_items([_Item(text, abs(odds[1] - odds[0]), history.limit)], "label")


def _check_added_roc_auc(history: History) -> Outcome:
    return _compare_roc_auc(history, ADDED, "all held-out rows before", "added held-out rows")


def _check_roc_auc(history: History) -> Outcome:
    return _compare_roc_auc(history, "", "before", "now")


def _compare_roc_auc(history: History, prefix: str, then_text: str, now_text: str) -> Outcome:
    """Compare the ROC AUC of the version before, on all rows, with that of this one.

    Args:
        history: The two versions.
        prefix: Prefix of this version's metric: the rows that it is measured on.
        then_text: The rows of the version before, for the outcome.
        now_text: The rows of this version.
    """
    if history.before is None:
        return Outcome("no earlier version to compare with")
    values = [
        (
            version.metrics.get(f"{start}roc_auc"),
            version.metrics.get(f"{start}roc_auc_se"),
            _count_smaller_class(version, start),
        )
        for version, start in ((history.before, "test_"), (history.now, f"{prefix}test_"))
    ]
    known = [
        (area, error)
        for area, error, few in values
        if area is not None and error is not None and few >= MIN_CLASS_ROWS
    ]
    if len(known) < len(values):
        return Outcome("too few rows of a class to compare")
    (old, old_error), (new, new_error) = known
    limit = max(history.limit, _critical(1) * math.hypot(old_error, new_error))
    text = f"{old:.3f} on {then_text}, {new:.3f} on {now_text}"
    return _judge_items([_Item(text, abs(new - old), limit)], "metric")


def _count_smaller_class(version: VersionResult, prefix: str) -> float:
    rows, positives = (version.metrics.get(f"{prefix}{name}") or 0.0 for name in ("rows", "positives"))
    return min(positives, rows - positives)


def _check_relations(history: History) -> Outcome:
    rows = _require(history)
    z = _critical(rows.relations_compared)
    items = []
    for each in rows.relations:
        # Bonett and Wright, 2000: the error of a rank correlation after Fisher's transformation. Its slope
        # leads back to the correlation itself.
        spreads = (
            (1 + value**2 / 2) / (group.rows - 3)
            for value, group in ((each.before, rows.before), (each.added, rows.added))
        )
        error = math.sqrt(sum(spreads)) * (1 - min(each.before**2, each.added**2))
        text = f"{' and '.join(each.columns)}: {each.before:+.2f} before, {each.added:+.2f} among the added"
        items.append(_Item(text, abs(each.added - each.before), max(history.limit, z * error)))
    return _judge_items(items, "pair of columns")


def _check_new_values(history: History) -> Outcome:
    rows = _require(history)
    items = [
        _Item(f"{name}: {', '.join(map(repr, list(values)[:3]))} in {_percent(share)}", share, history.limit)
        for name, values in rows.new_values.items()
        if (share := sum(values.values()) / rows.added.rows)
    ]
    return _judge_items(items, "new value") if items else Outcome("no new value")


def _check_repeated(history: History) -> Outcome:
    rows = _require(history)
    before, now = (group.repeated / group.rows for group in (rows.before, rows.added))
    limit = max(history.limit, _critical(1) * _share_error(rows, rows.before.repeated + rows.added.repeated))
    text = f"{_percent(before)} before, {_percent(now)} of the added rows"
    # Only more repeats than usual are suspicious.
    return _judge_items([_Item(text, max(0.0, now - before), limit)], "row")


def _check_rows(history: History) -> Outcome:
    now, before = history.now, history.before
    changes = now.changes
    if before is None or changes is None:
        return Outcome("no earlier version to compare with")
    items = [
        _Item(
            f"{changes.removed:,} of {before.rows:,} rows are gone",
            changes.removed / max(before.rows, 1),
            LOST,
        )
    ]
    earlier = [
        each.changes.added for each in history.earlier if each.changes is not None and each.changes.added
    ]
    first = history.earlier[0].rows if history.earlier else 0
    if earlier and first <= _USUAL * max(earlier):
        earlier.append(first)
    if len(earlier) >= 2:  # noqa: PLR2004 - two steps show what is usual
        usual = median(earlier)
        ratio = changes.added / usual
        distance = math.inf if not ratio else abs(math.log(ratio))
        items.append(
            _Item(
                f"{changes.added:,} rows were added, usually {usual:,.0f}",
                distance,
                abs(math.log(history.limit)),
            )
        )
    return _judge_items(items, "row")


def _check_dates(history: History) -> Outcome:
    rows = _require(history)
    wrong, found = [], []
    for name, (_, latest) in rows.added.dates.items():
        before = rows.before.dates.get(name)
        if before is None:
            continue
        commit = history.now.commit
        if commit is not None and latest > commit.time + timedelta(days=1) and before[1] <= commit.time:
            wrong.append(f"{name} has {_day(latest)}, after the commit")
            continue
        steps = _list_steps(history.earlier, name)
        if not steps:
            continue
        step = latest - before[1]
        found.append(f"{name}: from {_day(before[1])} to {_day(latest)}")
        if step <= timedelta(0):
            wrong.append(f"{name} ends at {_day(latest)}, and ended at {_day(before[1])} before")
        elif step > history.limit * max(steps):
            wrong.append(f"{name} moves from {_day(before[1])} to {_day(latest)}")
    return Outcome("; ".join(wrong or found) or "no column that moves on with the versions", holds=not wrong)


def _list_steps(earlier: Sequence[VersionResult], name: str) -> list[timedelta]:
    """Return how far each earlier version moved a date on; empty if not every version moved it on."""
    steps = []
    for version in earlier:
        if version.added is None:
            continue
        before, added = version.added.before.dates.get(name), version.added.added.dates.get(name)
        if before is None or added is None or added[0] <= before[1]:
            return []
        steps.append(added[1] - before[1])
    return steps


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d")


def _check_signs(history: History) -> Outcome:
    least = max(history.limit, _share_noise(history))
    wrong = []
    for name, old, new, shares in _compare_explanations(history):
        if min(shares) >= least and old * new < 0:
            wrong.append(f"{name}: {old:+.3f} before, {new:+.3f} now")
    return Outcome("; ".join(wrong) or "no important feature has another sign", holds=not wrong)


def _check_shares(history: History) -> Outcome:
    limit = max(history.limit, _share_noise(history))
    items = [
        _Item(
            f"{name}: {_percent(shares[0])} before, {_percent(shares[1])} now",
            abs(shares[1] - shares[0]),
            limit,
        )
        for name, _, _, shares in _compare_explanations(history)
    ]
    return _judge_items(items, "feature")


def _share_noise(history: History) -> float:
    """Return a bound on the part of a difference of shares that chance explains.

    The error of a coefficient per standard deviation is about one by the root of the training rows of the
    smaller class, and all features' weights together are rarely less than one in log odds.
    """
    errors = 0.0
    for version in (history.before, history.now):
        rows = 0.0 if version is None else _count_smaller_class(version, "train_")
        errors += 1 / rows if rows else math.inf
    return _critical(1) * math.sqrt(errors)


def _compare_explanations(history: History) -> Iterator[tuple[str, float, float, tuple[float, float]]]:
    """Yield each explained feature with its weights and its shares of the explanation, before and now."""
    before, now = history.before, history.now
    if before is None or before.explanations_reason or now.explanations_reason:
        return
    totals = [
        math.fsum(each.mean_abs_per_sd for each in version.explanations.values()) for version in (before, now)
    ]
    if not all(totals):
        return
    for name, new in now.explanations.items():
        if (old := before.explanations.get(name)) is not None:
            yield (
                name,
                old.mean_per_sd,
                new.mean_per_sd,
                (old.mean_abs_per_sd / totals[0], new.mean_abs_per_sd / totals[1]),
            )


def _require(history: History) -> AddedRows:
    if history.now.added is None:
        raise ValueError("checks of added rows are only called if there are some")
    return history.now.added


def _share_error(rows: AddedRows, cases: float) -> float:
    """Return the standard error of the difference of two shares, from the share of all rows."""
    total = rows.before.rows + rows.added.rows
    share = (cases + 1) / (total + 2)
    return math.sqrt(share * (1 - share) * (1 / rows.before.rows + 1 / rows.added.rows))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


_ALL = (
    StandardCheck(
        "nulls",
        "the share of nulls in each column differs by at most 5 points from that of the rows before",
        "a broken feed, a failed join or a renamed column",
        _check_nulls,
        limit=0.05,
        of_limit="difference in the share of nulls",
    ),
    StandardCheck(
        "drift",
        "the population stability index of each feature is at most 0.25",
        "another unit or scale, a shifted or constant feature, or another population",
        _check_drift,
        limit=0.25,
        of_limit="population stability index",
    ),
    StandardCheck(
        "constant",
        "no feature that varied has the same value in all added rows",
        "a default value in place of the data",
        _check_constant,
        limit=0.9,
        of_limit="share of that value in the rows before, from which a constant feature is not suspicious",
    ),
    StandardCheck(
        "positives",
        "the log odds of a positive label change by at most 0.25",
        "missing or delayed labels, or another population",
        _check_positives,
        limit=0.25,
        of_limit="difference in the log odds",
    ),
    StandardCheck(
        "relations",
        "no correlation of two columns, or of a column and a value of the label, changes by more than 0.2",
        "shuffled or mixed up columns, a wrong join, or a leak",
        _check_relations,
        limit=0.2,
        of_limit="difference in a correlation",
    ),
    StandardCheck(
        "new_values",
        "at most 1 % of the added rows have a category that no row had before",
        "a renamed category, damaged text, or a category that the model doesn't know",
        _check_new_values,
        limit=0.01,
        of_limit="share of the added rows",
    ),
    StandardCheck(
        "repeated_rows",
        "the share of rows that repeat the content of other rows rises by at most 2 points",
        "the same data loaded twice under new keys",
        _check_repeated,
        limit=0.02,
        of_limit="increase in the share of repeated rows",
    ),
    StandardCheck(
        "growth",
        "at most 1 % of the rows are gone, and the number of added rows is 60 to 167 % of the usual one",
        "lost or duplicated rows, or a partial load",
        _check_rows,
        limit=0.6,
        of_limit="smallest ratio of added rows to the usual number; the largest is its reciprocal",
        needs_added=False,
    ),
    StandardCheck(
        "dates",
        "no date is after the commit, and dates move on by at most three usual steps",
        "a wrong time zone or format, or an old snapshot",
        _check_dates,
        limit=3,
        of_limit="usual steps",
    ),
    StandardCheck(
        "score",
        "the population stability index of the scores of held-out rows is at most 0.25",
        "a combination of changes that the model reacts to",
        _check_score,
        limit=0.25,
        of_limit="population stability index",
        needs_added=False,
        needs_model=True,
    ),
    StandardCheck(
        "added_roc_auc",
        "the ROC AUC on the added rows differs by at most 0.05 from that before, in either direction",
        "wrong labels or features if it is lower, a leak if it is higher",
        _check_added_roc_auc,
        limit=0.05,
        of_limit="difference in the ROC AUC",
        needs_added=False,
        needs_model=True,
    ),
    StandardCheck(
        "roc_auc",
        "the ROC AUC on all held-out rows changes by at most 0.05",
        "a worse or a suspiciously better model",
        _check_roc_auc,
        limit=0.05,
        of_limit="difference in the ROC AUC",
        needs_added=False,
        needs_model=True,
    ),
    StandardCheck(
        "signs",
        "no feature with a tenth of the explanation or more changes the sign of its weight",
        "a feature with another meaning",
        _check_signs,
        limit=0.1,
        of_limit="smallest share of the explanation for a feature to be compared",
        needs_added=False,
        needs_model=True,
    ),
    StandardCheck(
        "shares",
        "no feature's share of the explanation changes by more than 0.2",
        "a model that relies on another feature",
        _check_shares,
        limit=0.2,
        of_limit="difference in a feature's share of the explanation",
        needs_added=False,
        needs_model=True,
    ),
)
CHECKS: Mapping[str, StandardCheck] = {each.name: each for each in _ALL}
"""Every check of the standard gate, in the order in which they are judged."""


def compares_added_rows(scenario: Scenario, version: str) -> bool:
    """Return whether an expectation of a version needs facts about the rows that it added."""
    expect = scenario.expected_of(version)
    if any(number.kind.needs_added for number in list_numbers(expect)):
        return True
    standard = expect.standard
    if standard is None or not standard.is_on:
        return False
    return any(each.needs_added and each.name not in standard.without for each in CHECKS.values())


def run_check(name: str, history: History, limit: float | None = None) -> Outcome:
    """Run one check on a version.

    Args:
        name: The check.
        history: The version, and those before it.
        limit: The scenario's limit (default: that of the check).
    """
    check = CHECKS[name]
    history = replace(history, limit=check.limit if limit is None else limit)
    if check.needs_added:
        added = history.now.added
        if added is None:
            return Outcome("no earlier version to compare with")
        if not _enough(added):
            return Outcome(
                f"too few rows to compare: {added.added.rows:,} added, {added.before.rows:,} before"
            )
    return check.find(history)
