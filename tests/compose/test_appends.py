"""Rows appended to one table by several containers at once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from testcontainers.core.container import DockerContainer

from harness.storage.blobs import Blobs
from harness.storage.uris import StorageUri
from harness.targets.compose.compose_target import LAKE, Compose
from tests.compose.conftest import END_S, RunningStack

pytestmark = [pytest.mark.spark, pytest.mark.compose]

PROCESSES, COMMITS = 3, 12
TABLE = f"{LAKE}/appends/readings"
PROGRAM = (Path(__file__).parent / "appender.py").read_text()


def appender(stack: RunningStack, who: int) -> DockerContainer:
    """Start a process in a container on the stack's network, with the job's secrets."""
    target = Compose(stack.settings)
    environment = target.environment(0, "models")
    spark = {**environment.spark, "spark.master": "local[1]", "spark.driver.memory": "600m"}
    spark["spark.driver.extraJavaOptions"] = spark["spark.executor.extraJavaOptions"].replace("-Xms800m", "")
    name = target.stack.name
    [image] = [image.name for image in target.stack.images if image.service == "spark-master"]
    return (
        DockerContainer(image)
        .with_env("ENVIRONMENT", environment.model_copy(update={"spark": spark}).model_dump_json())
        .with_env("URI", TABLE)
        .with_env("WHO", str(who))
        .with_env("COMMITS", str(COMMITS))
        .with_env("REQUESTS_CA_BUNDLE", "/etc/harness/ca-bundle.pem")
        .with_volume_mapping(str(target.stack.files.public), "/etc/harness", "ro")
        .with_volume_mapping(f"{name}_job-secrets", "/run/secrets", "ro")
        .with_kwargs(entrypoint=["python", "-c", PROGRAM], network=f"{name}_default")
    )


def commits(stack: RunningStack) -> Iterator[list[dict[str, Any]]]:
    """Yield the actions of each commit in the table's log, in order, up to the first missing one."""
    accounts = Compose(stack.settings)._accounts(inside=False)
    log = Blobs(StorageUri.parse(f"{TABLE}/_delta_log"), accounts[0])
    version = 0
    while (text := log.read(f"{version:020d}.json")) is not None:
        yield [json.loads(line) for line in text.splitlines()]
        version += 1


def test_appends_at_once_lose_no_commit(stack: RunningStack) -> None:
    """Three processes that append in parallel create 36 versions without a gap, each with its row."""
    with ExitStack() as running:
        # The first one creates the table: two that created it at once would conflict over its metadata.
        started = [running.enter_context(appender(stack, 0))]
        deadline = time.monotonic() + 60
        while not any(commits(stack)):
            assert time.monotonic() < deadline, started[0].get_logs()
            time.sleep(0.2)
        started += [running.enter_context(appender(stack, who)) for who in range(1, PROCESSES)]
        ends = [each.get_wrapped_container().wait(timeout=END_S)["StatusCode"] for each in started]
        assert [0] * PROCESSES == ends, [each.get_logs()[1][-2000:] for each in started]
    rows = [
        json.loads(action["add"]["stats"])["numRecords"]
        for commit in commits(stack)
        for action in commit
        if "add" in action
    ]
    assert [1] * PROCESSES * COMMITS == rows
