"""The Compose target, a stack of containers with the job in one of them: its capabilities and settings."""

from __future__ import annotations

from harness.setting_types import (
    CORES_PATTERN,
    COUNT_PATTERN,
    DURATION_PATTERN,
    LIMIT_PATTERN,
    MEMORY_PATTERN,
    PORT_PATTERN,
    STACK_PATTERN,
    SettingSpec,
)
from harness.targets.target_definition import TargetDefinition

COMPOSE = TargetDefinition(
    name="compose",
    title="Compose",
    implementation="harness.targets.compose.compose_target:Compose",
    is_local=True,
    auto_preference=1,
    auto_condition="its images are built and neither 'lake' nor 'stores.models' is a local folder",
    serves_tracking=True,
    can_settle=True,
    settings=(
        SettingSpec("stack", "dataset-harness", "name of the Compose project", STACK_PATTERN),
        SettingSpec("workers", "1", "Spark workers of the Compose target", COUNT_PATTERN),
        SettingSpec("worker_cores", "*", "cores that each Spark worker offers", CORES_PATTERN),
        SettingSpec("worker_memory", "2g", "memory that each Spark worker offers", MEMORY_PATTERN),
        SettingSpec("executor_memory", "1g", "memory of one executor on a Spark worker", MEMORY_PATTERN),
        SettingSpec(
            "container_memory", "0", "most memory that a container of the stack may use", LIMIT_PATTERN
        ),
        SettingSpec(
            "container_processes",
            "4096",
            "most processes and threads that a container of the stack may have",
            COUNT_PATTERN,
        ),
        SettingSpec(
            "service_timeout", "3m", "how long a run waits for a service that is down", DURATION_PATTERN
        ),
        SettingSpec("azurite_port", "10000", "port of Azurite on this machine", PORT_PATTERN),
        SettingSpec("mlflow_port", "5000", "port of the stack's MLflow server on this machine", PORT_PATTERN),
        SettingSpec("spark_port", "8080", "port of the Spark master's page on this machine", PORT_PATTERN),
        SettingSpec("base_image", "debian:bookworm-slim", "image that the stack's own images are built from"),
        SettingSpec(
            "postgres_image", "", "Postgres image to use instead of the stack's own, such as the official one"
        ),
    ),
)
