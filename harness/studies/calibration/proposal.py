"""Proposed bounds as YAML to paste into the scenario file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from harness.scenario.bound_spec import CHANGE_COMPARISONS, BoundSpec
from harness.studies.calibration.bound_offers import CalibratedBound, Calibration


def snippet(calibration: Calibration) -> str:
    """Return the YAML for ``expect`` of each version with a proposed bound; empty if there is none."""
    versions = [
        {"name": name, "expect": expect}
        for name in dict.fromkeys(each.version for each in calibration.bounds)
        if (expect := expectations(each for each in calibration.bounds if each.version == name))
    ]
    if not versions:
        return ""
    runs = f"{len(calibration.seeds)} runs, seeds {calibration.seeds[0]} to {calibration.seeds[-1]}"
    rate = f"{100 * calibration.false_alarms:g} %"
    head = f"# harness calibrate: {runs}; each bound fails by chance in at most {rate}.\n"
    return head + as_yaml(_without_lists_of_one({"versions": versions}))


def expectations(bounds: Iterable[CalibratedBound]) -> dict[str, Any]:
    """Return the proposed bounds of one version, as the scenario file writes them."""
    expect: dict[str, Any] = {}
    for each in bounds:
        if each.proposed is not None:
            _add(expect, each.proposed.of(each.spec))
    return expect


def _add(expect: dict[str, Any], spec: BoundSpec) -> None:
    """Add a bound at the location that the scenario file uses for it."""
    *parents, last = spec.location.keys
    for key in parents:
        expect = expect.setdefault(key, {})
    if spec.location.index is None:
        expect[last] = spec.to_mapping()
    else:
        _combine(expect.setdefault(last, []), spec.to_mapping())


def _combine(listed: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Add a part to the bounds on a number; what can't be one bound makes a list."""
    for other in listed:
        if other.get("on") != part.get("on"):
            continue
        key = next(iter(part))
        if key not in other:
            other.update(part)
            return
        if key in ("change", "baseline") and _same_reference(other[key], part[key]):
            other[key].update(part[key])
            return
    listed.append(part)


def _same_reference(one: dict[str, Any], other: dict[str, Any]) -> bool:
    limits = {comparison.key for comparison in CHANGE_COMPARISONS}
    return {name: value for name, value in one.items() if name not in limits} == {
        name: value for name, value in other.items() if name not in limits
    }


def _without_lists_of_one(values: Any) -> Any:
    """Replace lists of one bound by that bound; versions stay a list."""
    if isinstance(values, dict):
        return {
            name: value[0]
            if isinstance(value, list) and len(value) == 1 and name != "versions"
            else _without_lists_of_one(value)
            for name, value in values.items()
        }
    return [_without_lists_of_one(each) for each in values] if isinstance(values, list) else values


_WIDTH = 110


def as_yaml(values: Any) -> str:
    """Return YAML with a line for each key and item; only innermost mappings are in braces."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(values, out)
    return out.getvalue()
