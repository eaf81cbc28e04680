"""Definition of a target: everything about it that other code needs to know before it is opened.

Definitions are plain data without heavy imports, so that 'harness --help' can list the targets and the
settings can be read without loading any target's client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.setting_types import SettingSpec


@dataclass(frozen=True)
class TargetDefinition:
    """A target's name, where its code is, its settings and its capabilities."""

    name: str
    title: str
    """Name in sentences, such as ``Databricks``."""
    implementation: str
    """Implementation of :class:`~harness.targets.base.Target` as ``module:Class``, imported when opened."""
    is_local: bool
    """Whether it runs on this machine. Local runs are the reference that other runs are compared with."""
    settings: tuple[SettingSpec, ...] = ()
    """Settings that only this target uses."""
    uses_local_folders: bool = False
    """Whether its job can use folders of this machine as lake and model store."""
    auto_preference: int | None = None
    """Rank for ``--target auto``: of those that are ready, the lowest wins; ``None``: never chosen."""
    auto_condition: str = ""
    """When ``--target auto`` chooses it, as ``--help`` describes it; empty for the fallback."""
    serves_tracking: bool = False
    """Whether it runs an MLflow server for this machine (:class:`~harness.targets.base.TracksRuns`)."""
    tracking_uri: str | None = None
    """MLflow's own name for its tracking server (default: the settings decide)."""
    registry_uri: str | None = None
    """URI of MLflow's registry of models (default: the tracking server or store)."""
    searches_runs: bool = False
    """Whether its own client searches its runs (:class:`~harness.targets.base.SearchesRuns`)."""
    has_own_bundles: bool = False
    """Whether its own client reads the bundles of its runs (:class:`~harness.targets.base.KeepsBundles`)."""
    can_attach: bool = False
    """Whether another command can follow a run (:class:`~harness.targets.base.Attachable`)."""
    can_settle: bool = False
    """Whether a run ends with its command, so that a command can settle what its job left
    (:class:`~harness.targets.base.Settleable`)."""
    can_schedule: bool = False
    """Whether it can run a scenario on a schedule (:class:`~harness.targets.base.Schedulable`)."""
    can_sweep: bool = False
    """Whether runs leave files there that expire (:class:`~harness.targets.base.Sweepable`)."""
    gaps: tuple[str, ...] = ()
    """What a local run can't prove about a run on this target, even if all numbers agree."""
    count_nodes: Callable[[Mapping[str, str]], int | None] | None = None
    """Number of nodes that a run with these settings uses; ``None`` if runs on this target cost nothing."""
