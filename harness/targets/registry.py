"""Registry of the targets: the only module that lists them.

To add a target, write its folder, whose ``__init__`` is its definition, and register the definition here. No
other code compares a target's name: it asks the definition for a capability. This module imports only the
definitions, which are light, and none of the targets' clients.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import UsageError, did_you_mean
from harness.targets.compose import COMPOSE
from harness.targets.databricks import DATABRICKS
from harness.targets.embedded import EMBEDDED
from harness.targets.target_definition import TargetDefinition

TARGETS: dict[str, TargetDefinition] = {each.name: each for each in (EMBEDDED, COMPOSE, DATABRICKS)}
"""Every target by its name, in the order of ``--help``."""
AUTO = "auto"
"""Value of the setting ``target`` that leaves the choice to :func:`harness.targets.base.open_target`."""

FALLBACK = EMBEDDED.name
"""Target of a stored run whose plan does not name one."""

Capability = Callable[[TargetDefinition], bool]


def list_target_names() -> tuple[str, ...]:
    """Return every valid value of the setting ``target``."""
    return (AUTO, *TARGETS)


def describe_choices() -> str:
    """Describe every valid value of the setting ``target`` in one line."""
    preferred = list_auto_candidates()
    conditions = [f"{each.name} if {each.auto_condition}" for each in preferred if each.auto_condition]
    choice = ", ".join((*conditions, f"otherwise {preferred[-1].name}"))
    return f"{', '.join(TARGETS)}, or {AUTO} ({choice})"


def list_auto_candidates() -> list[TargetDefinition]:
    """Return the targets that ``auto`` may choose, the preferred one first; the last one is the fallback."""
    ranked = [(each.auto_preference, each) for each in TARGETS.values() if each.auto_preference is not None]
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]


def find_definition(name: str, origin: str = "") -> TargetDefinition:
    """Return the definition of a target.

    Args:
        name: Its name.
        origin: Where the name is from, such as a variable or a line of a file.

    Raises:
        UsageError: The target is unknown.
    """
    if name in TARGETS:
        return TARGETS[name]
    named_by = f" ({origin})" if origin else ""
    raise UsageError(
        f"Unknown target '{name}'{named_by}.{did_you_mean(name, list_target_names())}",
        remedy=f"Known targets: {', '.join(list_target_names())}.",
    )


def select_capable(name: str, capability: Capability, what: str) -> TargetDefinition:
    """Return the named target if it has a capability, or else the first one that has it.

    Args:
        name: Value of the setting ``target``.
        capability: What the target must be able to do.
        what: The capability as the rest of a sentence, such as ``run a scenario on a schedule``.

    Raises:
        UsageError: No target has the capability.
    """
    named = [TARGETS[name]] if name in TARGETS else []
    for each in (*named, *TARGETS.values()):
        if capability(each):
            return each
    raise UsageError(f"No target can {what}.")


def is_local(name: str) -> bool:
    """Return whether a run on a target counts as local; an unknown target's run does."""
    return name not in TARGETS or TARGETS[name].is_local
