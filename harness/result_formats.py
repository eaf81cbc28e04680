"""The formats of ``result.json``, and the upgrades from each format to the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

CURRENT: Final = 3
"""The format that this version of the harness writes."""


class UnknownFormatError(ValueError):
    """A result written by a newer version."""

    remedy = "Install that version of the harness, or a newer one."

    def __init__(self, version: object) -> None:
        super().__init__(
            f"the result has format {version}, and this version of the harness reads formats 1 to {CURRENT}."
        )


def upgrade(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a result in the current format.

    Args:
        values: The data in any supported format; those without a ``format_version`` have format 1.

    Raises:
        UnknownFormatError: A newer version of the harness wrote them.
    """
    version = values.get("format_version", 1)
    if not isinstance(version, int) or not 1 <= version <= CURRENT:
        raise UnknownFormatError(version)
    upgraded = dict(values)
    for step in _STEPS[version - 1 :]:
        upgraded = step(upgraded)
    return {**upgraded, "format_version": CURRENT}


def _upgrade_from_1(values: dict[str, Any]) -> dict[str, Any]:
    """Upgrade format 1: its bounds have no spec, and its grid points have a field for each parameter."""
    return {**values, "versions": [_upgrade_version(version) for version in values["versions"]]}


def _upgrade_from_2(values: dict[str, Any]) -> dict[str, Any]:
    """Upgrade format 2: format 3 only adds the run's inputs and the digest, which can't be added later."""
    return values


def _upgrade_version(version: dict[str, Any]) -> dict[str, Any]:
    bounds = [_upgrade_bound(bound, version["name"]) for bound in version.get("bounds", ())]
    return {
        **version,
        "bounds": bounds,
        "grid": [_upgrade_grid_point(point) for point in version.get("grid", ())],
    }


def _upgrade_grid_point(point: dict[str, Any]) -> dict[str, Any]:
    named = {name: point[name] for name in _PARAMETERS}
    return {name: value for name, value in point.items() if name not in named} | {"parameters": named}


_STEPS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_upgrade_from_1, _upgrade_from_2)
"""The upgrade from each format to the next one."""

_PARAMETERS = ("reg_param", "elastic_net_param")
_MEASURED_FIELDS = ("measured", "found", "distance", "verdict", "reason")
_SPEC_FIELDS = ("metric", "kind", "tolerance", "relative", "expected", "must_fail")
_NAMED_QUANTITY = re.compile(r"(nulls|coefficient|weight|share)\((.*)\)", re.DOTALL)
_TOP = re.compile(r"top_(\d+)_overlap")
_UNNAMED_QUANTITIES = (
    "rows",
    "null_keys",
    "duplicate_keys",
    "protocol.reader",
    "protocol.writer",
    "schema",
    "operation",
    "same_data_as",
    "sign_agreement",
    "rank_correlation",
)


def _upgrade_bound(bound: dict[str, Any], version: str) -> dict[str, Any]:
    spec = {name: bound[name] for name in _SPEC_FIELDS if name in bound} | {
        "version": version,
        "quantity": _parse_quantity(bound["metric"]),
        "limit": bound["bound"],
        "reference": _parse_reference(bound.get("since")),
    }
    return {name: bound[name] for name in _MEASURED_FIELDS if name in bound} | {"spec": spec}


def _parse_quantity(metric: str) -> dict[str, Any]:
    """Return a quantity by its name in reports, which is all that format 1 has."""
    if of_name := _NAMED_QUANTITY.fullmatch(metric):
        return {"kind": of_name[1], "name": of_name[2]}
    if top := _TOP.fullmatch(metric):
        return {"kind": "top_k", "k": int(top[1])}
    return {"kind": metric} if metric in _UNNAMED_QUANTITIES else {"kind": "metric", "name": metric}


def _parse_reference(since: str | None) -> dict[str, Any] | None:
    if since is None:
        return None
    # Version names contain no blanks, so the first " of " is the one before the run.
    version, _, run = since.partition(" of ")
    return {"version": version, "run": run or None}
