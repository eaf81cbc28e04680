"""The user's own settings of a run's cluster, ``[targets.databricks.cluster]``, merged over the harness's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.setting_types import Settings
from harness.targets.databricks import CLUSTER
from harness.targets.databricks.overrides import Section, merge

if TYPE_CHECKING:
    from databricks.sdk.service.compute import ClusterSpec, Library

LIBRARIES = "libraries"
"""The only key that is not one of a cluster's specification, but of the task."""
_SECTION = Section(
    CLUSTER,
    ("single_user_name", "data_security_mode", "num_workers", "autoscale", "spark_version", "policy_id"),
    "'workers', 'runtime' and 'policy_id' are settings under [targets.databricks].",
)
_FIXED = ("fixed", "forbidden")
"""Types of a policy's rules that leave a value no choice."""


def read_overrides(settings: Settings) -> Mapping[str, Any]:
    """Return the user's own settings of the cluster.

    Raises:
        UsageError: One of them doesn't exist, or has a setting of its own.
    """
    overrides = _SECTION.read(settings)
    if not overrides:
        return {}  # Without loading Databricks' client.
    from databricks.sdk.service.compute import ClusterSpec, Library

    def convert() -> dict[str, Any]:
        libraries = [Library.from_dict(each).as_dict() for each in overrides.get(LIBRARIES, ())]
        return {**ClusterSpec.from_dict(overrides).as_dict(), LIBRARIES: libraries}

    _SECTION.check(overrides, ClusterSpec, convert, (LIBRARIES,))
    return overrides


def merge_overrides(spec: ClusterSpec, settings: Settings) -> ClusterSpec:
    """Return a specification with the user's own settings merged over it: mappings key by key."""
    from databricks.sdk.service.compute import ClusterSpec

    overrides = {name: value for name, value in read_overrides(settings).items() if name != LIBRARIES}
    return ClusterSpec.from_dict(merge(spec.as_dict(), overrides)) if overrides else spec


def list_own_libraries(settings: Settings) -> list[Library]:
    """Return the libraries that the user adds to those of the harness."""
    from databricks.sdk.service.compute import Library

    return [Library.from_dict(each) for each in read_overrides(settings).get(LIBRARIES, ())]


def leave_to_policy(spec: ClusterSpec, definition: str, settings: Settings) -> ClusterSpec:
    """Return a specification without what a cluster policy fixes, which the policy then applies.

    Args:
        spec: The specification.
        definition: The policy's definition, as JSON.
        settings: What they set for the cluster is sent, whatever the policy says.
    """
    from databricks.sdk.service.compute import ClusterSpec

    values = spec.as_dict()
    own = set(_list_paths(read_overrides(settings)))
    rules = {name: rule for name, rule in json.loads(definition or "{}").items() if isinstance(rule, dict)}
    for name, rule in rules.items():
        if rule.get("type") in _FIXED and name not in own:
            _remove(values, name)
    values["apply_policy_default_values"] = True
    return ClusterSpec.from_dict(values)


def _list_paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _list_paths(value, f"{prefix}{name}.")


def _remove(values: dict[str, Any], path: str) -> None:
    """Remove a value by a policy's path, such as ``spark_conf.spark.master``: keys may have dots."""
    first, _, rest = path.partition(".")
    inner = values.get(first)
    if not rest:
        values.pop(first, None)
    elif isinstance(inner, dict):
        inner.pop(rest, None)
        _remove(inner, rest)
