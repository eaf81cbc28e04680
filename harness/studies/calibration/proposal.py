"""Proposed bounds as YAML that can be put into the scenario file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from harness.metrics import METRICS
from harness.studies.calibration.bound_offers import Calibrated, Calibration, Offer

_OF_EXPLANATIONS = ("weight", "share")


def snippet(calibration: Calibration) -> str:
    """For each version with a proposed bound what to write under ``expect``; empty where there is none."""
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


def expectations(bounds: Iterable[Calibrated]) -> dict[str, Any]:
    """The proposed bounds of one version, as the file says them."""
    said: dict[str, Any] = {}
    for each in bounds:
        if each.proposed is not None:
            _add(said, each, each.proposed)
    return said


def _add(said: dict[str, Any], bound: Calibrated, offer: Offer) -> None:
    name, _, of = bound.metric.partition("(")
    if bound.metric in METRICS:
        _say(said.setdefault("metrics", {}), bound.metric, bound, offer)
    elif name == "nulls":
        _say(said.setdefault("nulls", {}), of.removesuffix(")"), bound, offer)
    elif name == "coefficient":
        _say(said.setdefault("coefficients", {}), of.removesuffix(")"), bound, offer)
    elif name in _OF_EXPLANATIONS:
        inner = said.setdefault("explanations", {}).setdefault(name, {})
        _say(inner, of.removesuffix(")"), bound, offer)
    elif name.startswith("protocol."):
        _say(said.setdefault("protocol", {}), name.removeprefix("protocol."), bound, offer)
    elif bound.since is not None and bound.kind == "min":
        said.setdefault("explanations", {}).update(_agreement(bound, offer))
    else:
        _say(said, bound.metric, bound, offer)


def _agreement(bound: Calibrated, offer: Offer) -> dict[str, Any]:
    """A bound on how far two versions' explanations agree."""
    name, k = bound.metric, {}
    if name.startswith("top_"):
        name, k = "top_k", {"k": int(name.split("_")[1])}
    return {name: {**k, "since": bound.since, "min": offer.value}}


def _say(said: dict[str, Any], name: str, bound: Calibrated, offer: Offer) -> None:
    """Add a part to the bound on a number; what can't stand together makes a list."""
    part = _part(bound, offer)
    listed = said.setdefault(name, [])
    for other in listed:
        key = next(iter(part))
        if key not in other:
            other.update(part)
            return
        if key in ("change", "baseline") and _same_reference(other[key], part[key]):
            other[key].update(part[key])
            return
    listed.append(part)


def _same_reference(one: dict[str, Any], other: dict[str, Any]) -> bool:
    bounds = ("min", "max")
    return {name: value for name, value in one.items() if name not in bounds} == {
        name: value for name, value in other.items() if name not in bounds
    }


def _part(bound: Calibrated, offer: Offer) -> dict[str, Any]:
    if bound.kind == "equals":
        return {"equals": offer.value, "tolerance": offer.tolerance}
    if bound.since is None:
        return {bound.kind: offer.value}
    side = bound.kind.removeprefix("change_")
    relative = {"relative": True} if bound.relative else {}
    version, of, run = bound.since.partition(" of ")
    if of:
        return {"baseline": {"from": run, "version": version, **relative, side: offer.value}}
    return {"change": {"since": bound.since, **relative, side: offer.value}}


def _without_lists_of_one(values: Any) -> Any:
    """A bound may stand without its list; versions may not."""
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
    """Mappings and lists a line each, in their order; innermost ones in braces."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(values, out)
    return out.getvalue()
