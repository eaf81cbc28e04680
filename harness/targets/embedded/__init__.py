"""The embedded target, Spark in one process on this machine: its capabilities and settings."""

from __future__ import annotations

from harness.setting_types import CORES_PATTERN, SettingSpec
from harness.targets.target_definition import TargetDefinition

EMBEDDED = TargetDefinition(
    name="embedded",
    title="embedded",
    implementation="harness.targets.embedded.embedded_target:Embedded",
    is_local=True,
    uses_local_folders=True,
    can_settle=True,
    auto_preference=2,  # It needs nothing but this machine: the fallback.
    settings=(
        SettingSpec(
            "cores", "*", "cores that the embedded target uses; results do not depend on it", CORES_PATTERN
        ),
        SettingSpec("java_home", "", "home of a Java 17 (default: found automatically)"),
        SettingSpec("java_options", "", "more options of the job's JVM, such as those of a proxy"),
        SettingSpec("pass_variables", "", "more environment variables that the job receives, by name"),
    ),
)
