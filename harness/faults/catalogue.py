"""The catalogue of faults that real batches of data have, each as a change of a version's added rows.

A change is written in Spark's SQL and says nothing about how it is executed: ``statements`` makes one query
of it, for Spark and for the engine on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.plan import FAULT_VIEWS
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


class NotPossibleError(Exception):
    """A fault that a table can't have; the message says why."""


@dataclass(frozen=True)
class Change:
    """What happens to the rows that a fault hits."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Column to its new value, as SQL over the row's columns."""
    where: str = "TRUE"
    """Condition that a row must also meet to be hit."""
    dealt: tuple[str, ...] = ()
    """Columns that take the value of another row: of the row at the same place in two orders."""
    give_order: str = ""
    """The order of the rows that give their values (default: random)."""
    take_order: str = ""
    """The order of the rows that take them (default: random)."""
    shift: int = 0
    """How many places later the giving row is."""
    giver: str = ADDED
    drops: bool = False
    """Whether the hit rows are missing."""
    copies: str = ""
    """The rows of which those that are hit come again, under new keys."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    meaning: str
    """What is wrong with the added rows; ``{number}`` and the like stand for columns."""
    make: Callable[[Victim], Change]
    """Returns the change, or raises ``NotPossibleError``."""
    dose: float = 1.0
    """Share of the added rows that are hit, unless the scenario or the user asks for another."""


def quote(name: str) -> str:
    """Return a column's name as Spark's SQL writes it."""
    return "`" + name.replace("`", "``") + "`"


def write_literal(value: object) -> str:
    """Return a value of a label as SQL."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value).upper() if isinstance(value, bool) else repr(value)


def _choose(names: tuple[str, ...], what: str, at: int = 0) -> str:
    if len(names) <= at:
        count = "two" if at else "a"
        raise NotPossibleError(f"the model uses no {what}" if not at else f"it needs {count} {what}s")
    return names[at]


def _number(victim: Victim, at: int = 0) -> str:
    return _choose(victim.numbers, "numeric column", at)


def _text(victim: Victim) -> str:
    return _choose(victim.texts, "text column")


def _date(victim: Victim) -> str:
    if not victim.dates:
        raise NotPossibleError("the table has no column of dates or times")
    return victim.dates[0]


def _is_positive(victim: Victim) -> str:
    values = ", ".join(map(write_literal, victim.label.positive))
    return f"COALESCE({quote(victim.label.column)} IN ({values}), FALSE)"


def _set_number(formula: str) -> Callable[[Victim], Change]:
    """Return a change of the most important number; ``{it}`` stands for its column."""

    def make(victim: Victim) -> Change:
        it = quote(_number(victim))
        return Change(values={_number(victim): formula.format(it=it, before=BEFORE)})

    return make


def _set_text(formula: str, where: str = "TRUE") -> Callable[[Victim], Change]:
    def make(victim: Victim) -> Change:
        it = quote(_text(victim))
        names = {"it": it, "before": BEFORE}
        return Change(values={_text(victim): formula.format(**names)}, where=where.format(**names))

    return make


def _shuffle_labels(victim: Victim) -> Change:
    return Change(dealt=(victim.label.column,))


def _leak(victim: Victim) -> Change:
    # Each value is that of some row, so that only the relation to the label is new.
    return Change(
        dealt=(_number(victim),),
        give_order=f"{quote(_number(victim))} DESC",
        take_order=f"{_is_positive(victim)} DESC",
    )


def _shuffle(victim: Victim) -> Change:
    return Change(dealt=(_number(victim),))


def _swap(victim: Victim) -> Change:
    one, other = _number(victim), _number(victim, 1)
    return Change(values={one: quote(other), other: quote(one)})


def _join_off_by_one(victim: Victim) -> Change:
    columns = tuple(name for name in victim.types if name not in (*victim.key, victim.label.column))
    by_key = ", ".join(quote(name) for name in victim.key)
    return Change(dealt=columns, give_order=by_key, take_order=by_key, shift=1)


def _repeat(victim: Victim) -> Change:
    return Change(dealt=tuple(name for name in victim.types if name not in victim.key), giver=BEFORE)


def _move_to_future(victim: Victim) -> Change:
    name = _date(victim)
    later = "ADD_MONTHS({it}, 120)" if victim.types[name] == "date" else "{it} + INTERVAL 10 YEARS"
    return Change(values={name: later.format(it=quote(name))})


def _change_zone(victim: Victim) -> Change:
    name = victim.time or _date(victim)
    later = "DATE_ADD({it}, 1)" if victim.types[name] == "date" else "{it} + INTERVAL 9 HOURS"
    return Change(values={name: later.format(it=quote(name))})


def _drop_positives(victim: Victim) -> Change:
    return Change(where=_is_positive(victim), drops=True)


def _delay_labels(victim: Victim) -> Change:
    return Change(
        values={victim.label.column: write_literal(victim.label.negative[0])}, where=_is_positive(victim)
    )


def _rename_label(victim: Victim) -> Change:
    if victim.types.get(victim.label.column) != "string":
        raise NotPossibleError("the label is not a text")
    return Change(
        values={victim.label.column: f"CONCAT({quote(victim.label.column)}, ' ')"}, where=_is_positive(victim)
    )


def _bias_sample(victim: Victim) -> Change:
    it = quote(_number(victim))
    return Change(where=f"{it} < (SELECT MEDIAN({it}) FROM {BEFORE})", drops=True)  # noqa: S608 - a quoted column


def _drop(_victim: Victim) -> Change:
    return Change(drops=True)


def _copy_added(_victim: Victim) -> Change:
    return Change(copies=ADDED)


def _copy_before(_victim: Victim) -> Change:
    return Change(copies=BEFORE)


_ALL = (
    Fault("labels_shuffled", "labels belong to other rows", _shuffle_labels),
    Fault(
        "label_delay", "half of the positives are not known yet, and labelled negative", _delay_labels, 0.5
    ),
    Fault("label_renamed", "the label's positive values have a trailing space", _rename_label),
    Fault("no_positives", "all positives are missing", _drop_positives),
    Fault("balance", "half of the positives are missing", _drop_positives, 0.5),
    Fault("leak", "{number} is highest for positives, with the same values overall", _leak),
    Fault("constant", "{number} is the same everywhere", _set_number("(SELECT AVG({it}) FROM {before})")),
    Fault("shuffled", "{number} belongs to other rows", _shuffle),
    Fault(
        "shifted",
        "{number} is larger by a standard deviation",
        _set_number("{it} + (SELECT STDDEV({it}) FROM {before})"),
    ),
    Fault("nulls", "{number} is null in 30 % of the rows", _set_number("NULL"), 0.3),
    Fault("percent", "{number} is divided by 100", _set_number("{it} / 100")),
    Fault("cents", "{number} is multiplied by 100", _set_number("{it} * 100")),
    Fault("thousand", "{number} is multiplied by 1000", _set_number("{it} * 1000")),
    Fault("swapped", "{number} and {other_number} are swapped", _swap),
    Fault("off_by_one", "all columns but key and label belong to the next row", _join_off_by_one),
    Fault("repeated", "earlier rows come again under the new keys", _repeat),
    Fault("duplicates", "each row comes twice, under two keys", _copy_added),
    Fault("late_duplicates", "30 % of the earlier rows come again under new keys", _copy_before, 0.3),
    Fault("lost", "half of the rows are missing", _drop, 0.5),
    Fault("stale", "an old snapshot: no new row arrived", _drop),
    Fault("biased_sample", "rows with {number} below its median are missing", _bias_sample),
    Fault("future_dates", "{date} is ten years later", _move_to_future),
    Fault(
        "time_zone",
        "{time} is in another time zone: nine hours later, or a day if it is a date",
        _change_zone,
    ),
    Fault(
        "truncated",
        "{text} is cut in the middle",
        _set_text("SUBSTR({it}, 1, CAST(CEIL(LENGTH({it}) / 2) AS INT))"),
    ),
    Fault("encoding", "{text} is read in another encoding", _set_text("CONCAT({it}, 'Â')")),
    Fault(
        "category_renamed",
        "the most frequent value of {text} has another name",
        _set_text("CONCAT({it}, '_new')", "{it} = (SELECT MODE({it}) FROM {before})"),
    ),
)
FAULTS: Mapping[str, Fault] = {each.name: each for each in _ALL}
"""Every fault of the catalogue by its name, in the order of reports."""


def describe(fault: Fault, victim: Victim) -> str:
    """Return what is wrong with the added rows, with the names of the columns."""
    names = {
        "number": next(iter(victim.numbers), "a number"),
        "other_number": next(iter(victim.numbers[1:]), "another number"),
        "text": next(iter(victim.texts), "a text"),
        "date": next(iter(victim.dates), "a date"),
        "time": victim.time or next(iter(victim.dates), "a time"),
    }
    return fault.meaning.format(**names)
