"""The query that returns a version's added rows with a fault, in Spark's SQL."""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.catalogue import ADDED, BEFORE, Change, ImpossibleFaultError
from harness.reading.column_naming import quote_name
from harness.scenario.column_types import INTEGERS

DOSE = "harness dose"
"""Stands for the dose in a statement, as text: the same query serves every dose."""
_HEX_DIGITS = 8
_KEY, _HIT, _PLACE = "harness_key_text", "harness_is_hit", "harness_place"


def write_statement(change: Change, types: Mapping[str, str], key: tuple[str, ...], seed: int) -> str:
    """Return the query for the added rows with a fault, with ``DOSE`` in place of the dose.

    Which rows are hit depends on their keys and the seed only.

    Args:
        change: What happens to the rows that are hit.
        types: The table's columns with their types.
        key: The columns of the key.
        seed: Seed of all random choices.

    Raises:
        ImpossibleFaultError: Rows can't be copied under new keys, because of the key's type.
    """
    writer = _Writer(change, types, key, seed)
    if change.copies:
        return writer.add_copies()
    return writer.drop_rows() if change.drops else writer.change_rows()


def fill_in_dose(statement: str, dose: float) -> str:
    """Return a query for a share of the rows, from 0 to 1."""
    steps = 16**_HEX_DIGITS
    limit = "g" if dose >= 1 else f"{int(dose * steps):0{_HEX_DIGITS}x}"
    return statement.replace(DOSE, limit)


class _Writer:
    """Writes the parts of one statement."""

    def __init__(self, change: Change, types: Mapping[str, str], key: tuple[str, ...], seed: int) -> None:
        self._change, self._types, self._key, self._seed = change, types, key, seed

    def change_rows(self) -> str:
        """Return a query in which the hit rows have other values."""
        change = self._change
        if change.borrowed_columns:
            values = {
                name: f"partner.{quote_name(f'harness_{at}')}"
                for at, name in enumerate(change.borrowed_columns)
            }
        else:
            values = {name: f"({value}\n)" for name, value in change.values.items()}
        columns = ", ".join(
            f"CASE WHEN rows.{_HIT} THEN TRY_CAST({values[name]} AS {kind}) ELSE rows.{quote_name(name)} END "
            f"AS {quote_name(name)}"
            if name in values
            else f"rows.{quote_name(name)}"
            for name, kind in self._types.items()
        )
        rows = f"WITH rows AS ({self._mark_hits(ADDED, change.where)})"
        if not change.borrowed_columns:
            return f"{rows} SELECT {columns} FROM rows"  # noqa: S608 - columns are quoted
        return (
            f"{rows}, {self._pair_rows()} SELECT {columns} FROM rows "  # noqa: S608
            f"LEFT JOIN partner ON rows.{_KEY} = partner.{_KEY}"
        )

    def drop_rows(self) -> str:
        """Return a query without the hit rows."""
        hits = self._mark_hits(ADDED, self._change.where)
        return f"SELECT {self._columns()} FROM ({hits}) AS rows WHERE NOT {_HIT}"  # noqa: S608

    def add_copies(self) -> str:
        """Return a query for all added rows, and the hit rows once more under new keys."""
        name = self._choose_key_column()
        it = quote_name(name)
        if self._types[name] == "string":
            new = f"CONCAT({it}, '+')"
        else:
            largest, least = (
                f"(SELECT {each}({it}) FROM (SELECT {it} FROM {BEFORE} UNION ALL SELECT {it} FROM {ADDED}) AS all_rows)"  # noqa: E501, S608
                for each in ("MAX", "MIN")
            )
            new = f"TRY_CAST({it} + {largest} - {least} + 1 AS {self._types[name]})"
        copied = ", ".join(
            f"{new} AS {it}" if each == name else f"rows.{quote_name(each)}" for each in self._types
        )
        hits = self._mark_hits(self._change.copies, self._change.where)
        return (
            f"SELECT {self._columns()} FROM {ADDED} AS rows UNION ALL "  # noqa: S608
            f"SELECT {copied} FROM ({hits}) AS rows WHERE {_HIT}"
        )

    def _columns(self) -> str:
        return ", ".join(f"rows.{quote_name(name)}" for name in self._types)

    def _choose_key_column(self) -> str:
        for name in self._key:
            if self._types[name] in ("string", *INTEGERS):
                return name
        raise ImpossibleFaultError("no column of the key is text or an integer, so rows can't have new keys")

    def _mark_hits(self, view: str, where: str) -> str:
        parts = ", ".join(f"CAST({quote_name(name)} AS STRING)" for name in self._key)
        key = f"CONCAT_WS('|', {parts})"
        is_hit = f"SUBSTR(MD5(CONCAT('dose:{self._seed}:', {key})), 1, {_HEX_DIGITS}) < '{DOSE}'"
        return f"SELECT *, {key} AS {_KEY}, {is_hit} AND COALESCE(({where}\n), FALSE) AS {_HIT} FROM {view}"  # noqa: S608

    def _pair_rows(self) -> str:
        """Return subqueries that pair each hit row with the row that gives its values."""
        change = self._change
        give = change.source_order or self._at_random("give")
        take = change.target_order or self._at_random("take")
        dealt = ", ".join(
            f"givers.{quote_name(name)} AS {quote_name(f'harness_{at}')}"
            for at, name in enumerate(change.borrowed_columns)
        )
        givers = "rows" if change.source == ADDED else f"({self._mark_hits(BEFORE, 'TRUE')}) AS rows"
        only_hit = f"WHERE {_HIT}" if change.source == ADDED else ""
        return (
            f"givers AS (SELECT *, ROW_NUMBER() OVER (ORDER BY {give}, {self._at_random('tie')}) - 1 "  # noqa: S608
            f"AS {_PLACE} FROM {givers} {only_hit}), "
            f"takers AS (SELECT {_KEY}, ROW_NUMBER() OVER (ORDER BY {take}, {self._at_random('tie')}) - 1 "
            f"AS {_PLACE} FROM rows WHERE {_HIT}), "
            f"partner AS (SELECT takers.{_KEY}, {dealt} FROM takers "
            f"CROSS JOIN (SELECT COUNT(*) AS harness_count FROM givers) AS counted "
            f"JOIN givers ON givers.{_PLACE} = (takers.{_PLACE} + {change.shift}) % counted.harness_count)"
        )

    def _at_random(self, purpose: str) -> str:
        return f"MD5(CONCAT('{purpose}:{self._seed}:', {_KEY}))"
