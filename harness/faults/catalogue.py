"""The catalogue of faults that real batches of data have, each as a change of a version's added rows.

A change is written in Spark's SQL, whatever executes it: ``statements`` turns it into one query, for Spark
and for the engine on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.plan import FAULT_VIEWS
from harness.reading.column_naming import quote_name
from harness.scenario.pipeline import Label

BEFORE, ADDED = FAULT_VIEWS


@dataclass(frozen=True)
class Victim:
    """The columns of a table that faults are injected into."""

    types: Mapping[str, str]
    """Every column of the table, with its type as Spark writes it."""
    key: tuple[str, ...]
    label: Label
    numbers: tuple[str, ...] = ()
    """Numeric columns that the model uses, the most important first."""
    texts: tuple[str, ...] = ()
    """Text columns that the model uses, the most important first."""
    dates: tuple[str, ...] = ()
    """Columns of dates or times, first those that move on with the versions."""

    @property
    def time(self) -> str | None:
        """The first column of times; ``None`` if there are only dates."""
        return next((name for name in self.dates if self.types[name] != "date"), None)


class ImpossibleFaultError(Exception):
    """A fault that a table can't have; the message is the reason."""


@dataclass(frozen=True)
class Change:
    """What happens to the rows that a fault hits."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Column to its new value, as SQL over the row's columns."""
    where: str = "TRUE"
    """Condition that a row must also meet to be hit."""
    borrowed_columns: tuple[str, ...] = ()
    """Columns that take their value from another row: the one at the same position in another order."""
    source_order: str = ""
    """SQL that orders the rows that give their values (default: random)."""
    target_order: str = ""
    """SQL that orders the rows that take them (default: random)."""
    shift: int = 0
    """How many positions later the giving row is."""
    source: str = ADDED
    """View of the rows that give their values."""
    drops: bool = False
    """Whether the hit rows are dropped."""
    copies: str = ""
    """View whose hit rows are added once more, under new keys; empty for none."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    meaning: str
    """What is wrong with the hit rows; ``{number}`` and the like stand for columns."""
    make: Callable[[Victim], Change]
    """Returns the change, or raises ``ImpossibleFaultError``."""
    dose: float = 1.0
    """Default share of the rows that are hit."""


def write_literal(value: object) -> str:
    """Return a value of a label as SQL."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value).upper() if isinstance(value, bool) else repr(value)


def _choose(names: tuple[str, ...], what: str, at: int = 0) -> str:
    if len(names) <= at:
        raise ImpossibleFaultError(f"the model uses {'only one' if names else 'no'} {what}")
    return names[at]


def _number(victim: Victim, at: int = 0) -> str:
    return _choose(victim.numbers, "numeric column", at)


def _text(victim: Victim) -> str:
    return _choose(victim.texts, "text column")


def _date(victim: Victim) -> str:
    if not victim.dates:
        raise ImpossibleFaultError("the table has no column of dates or times")
    return victim.dates[0]


def _is_positive(victim: Victim) -> str:
    values = ", ".join(map(write_literal, victim.label.positive))
    return f"COALESCE({quote_name(victim.label.column)} IN ({values}), FALSE)"


def _set_number(formula: str) -> Callable[[Victim], Change]:
    """Return a change of the most important number; ``{it}`` stands for its column."""

    def make(victim: Victim) -> Change:
        it = quote_name(_number(victim))
        return Change(values={_number(victim): formula.format(it=it, before=BEFORE)})

    return make


def _set_text(formula: str, where: str = "TRUE") -> Callable[[Victim], Change]:
    def make(victim: Victim) -> Change:
        it = quote_name(_text(victim))
        names = {"it": it, "before": BEFORE}
        return Change(values={_text(victim): formula.format(**names)}, where=where.format(**names))

    return make


def _shuffle_labels(victim: Victim) -> Change:
    return Change(borrowed_columns=(victim.label.column,))


def _leak(victim: Victim) -> Change:
    # Values only move between rows, so that nothing changes but their relation to the label.
    return Change(
        borrowed_columns=(_number(victim),),
        source_order=f"{quote_name(_number(victim))} DESC",
        target_order=f"{_is_positive(victim)} DESC",
    )


def _shuffle(victim: Victim) -> Change:
    return Change(borrowed_columns=(_number(victim),))


def _swap(victim: Victim) -> Change:
    one, other = _number(victim), _number(victim, 1)
    return Change(values={one: quote_name(other), other: quote_name(one)})


def _join_off_by_one(victim: Victim) -> Change:
    columns = tuple(name for name in victim.types if name not in (*victim.key, victim.label.column))
    by_key = ", ".join(quote_name(name) for name in victim.key)
    return Change(borrowed_columns=columns, source_order=by_key, target_order=by_key, shift=1)


def _repeat(victim: Victim) -> Change:
    return Change(
        borrowed_columns=tuple(name for name in victim.types if name not in victim.key), source=BEFORE
    )


def _move_to_future(victim: Victim) -> Change:
    name = _date(victim)
    later = "ADD_MONTHS({it}, 120)" if victim.types[name] == "date" else "{it} + INTERVAL 10 YEARS"
    return Change(values={name: later.format(it=quote_name(name))})


def _change_zone(victim: Victim) -> Change:
    name = victim.time or _date(victim)
    later = "DATE_ADD({it}, 1)" if victim.types[name] == "date" else "{it} + INTERVAL 9 HOURS"
    return Change(values={name: later.format(it=quote_name(name))})


def _drop_positives(victim: Victim) -> Change:
    return Change(where=_is_positive(victim), drops=True)


def _delay_labels(victim: Victim) -> Change:
    return Change(
        values={victim.label.column: write_literal(victim.label.negative[0])}, where=_is_positive(victim)
    )


def _rename_label(victim: Victim) -> Change:
    if victim.types.get(victim.label.column) != "string":
        raise ImpossibleFaultError("the label isn't text")
    return Change(
        values={victim.label.column: f"CONCAT({quote_name(victim.label.column)}, ' ')"},
        where=_is_positive(victim),
    )


def _bias_sample(victim: Victim) -> Change:
    it = quote_name(_number(victim))
    return Change(where=f"{it} < (SELECT MEDIAN({it}) FROM {BEFORE})", drops=True)  # noqa: S608 - a quoted column


def _drop(_victim: Victim) -> Change:
    return Change(drops=True)


def _copy_added(_victim: Victim) -> Change:
    return Change(copies=ADDED)


def _copy_before(_victim: Victim) -> Change:
    return Change(copies=BEFORE)


_ALL = (
    Fault("labels_shuffled", "labels belong to other rows", _shuffle_labels),
    Fault("label_delay", "positives are not known yet and are labelled negative", _delay_labels, 0.5),
    Fault("label_renamed", "the label's positive values have a trailing space", _rename_label),
    Fault("no_positives", "positives are missing", _drop_positives),
    Fault("balance", "the share of positives is lower: some are missing", _drop_positives, 0.5),
    Fault(
        "leak", "{number} has its highest values on the positives; overall, its values are the same", _leak
    ),
    Fault("constant", "{number} is constant", _set_number("(SELECT AVG({it}) FROM {before})")),
    Fault("shuffled", "{number} belongs to other rows", _shuffle),
    Fault(
        "shifted",
        "{number} is too large by one standard deviation",
        _set_number("{it} + (SELECT STDDEV({it}) FROM {before})"),
    ),
    Fault("nulls", "{number} is null", _set_number("NULL"), 0.3),
    Fault("percent", "{number} is divided by 100", _set_number("{it} / 100")),
    Fault("cents", "{number} is multiplied by 100", _set_number("{it} * 100")),
    Fault("thousand", "{number} is multiplied by 1000", _set_number("{it} * 1000")),
    Fault("swapped", "{number} and {other_number} are swapped", _swap),
    Fault("off_by_one", "all columns except key and label belong to the next row", _join_off_by_one),
    Fault("repeated", "rows repeat the content of earlier rows, under new keys", _repeat),
    Fault("duplicates", "rows arrive twice, under two keys", _copy_added),
    Fault(
        "late_duplicates", "besides new rows, earlier ones arrive again, under new keys", _copy_before, 0.3
    ),
    Fault("lost", "rows are missing", _drop, 0.5),
    Fault("stale", "an old snapshot: new rows are missing", _drop),
    Fault("biased_sample", "rows with {number} below its median are missing", _bias_sample),
    Fault("future_dates", "{date} is ten years too late", _move_to_future),
    Fault(
        "time_zone",
        "{time} is in another time zone: nine hours later (a date: one day)",
        _change_zone,
    ),
    Fault(
        "truncated",
        "{text} is cut to half its length",
        _set_text("SUBSTR({it}, 1, CAST(CEIL(LENGTH({it}) / 2) AS INT))"),
    ),
    Fault("encoding", "{text} is read with the wrong encoding", _set_text("CONCAT({it}, 'Â')")),
    Fault(
        "category_renamed",
        "the most frequent value of {text} is renamed",
        _set_text("CONCAT({it}, '_new')", "{it} = (SELECT MODE({it}) FROM {before})"),
    ),
)
FAULTS: Mapping[str, Fault] = {each.name: each for each in _ALL}
"""Every fault of the catalogue by its name, in the order of reports."""


def describe(fault: Fault, victim: Victim) -> str:
    """Return what is wrong with the hit rows, with the names of the columns."""
    names = {
        "number": next(iter(victim.numbers), "a number"),
        "other_number": next(iter(victim.numbers[1:]), "another number"),
        "text": next(iter(victim.texts), "a text"),
        "date": next(iter(victim.dates), "a date"),
        "time": victim.time or next(iter(victim.dates), "a time"),
    }
    return fault.meaning.format(**names)
