"""A laptop that has only the wheel, and a notebook on a cluster: neither has a checkout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from databricks.sdk.service.compute import Library, MavenLibrary
from databricks.sdk.service.jobs import PythonWheelTask, RunResultState

from harness.results import Result, Verdict
from harness.targets.databricks.cluster import SYNAPSEML
from harness.wheel import build_wheel
from tests.databricks.command import FILES, Command
from tests.databricks.conftest import connect
from tests.databricks.standin.state import USER
from tests.databricks.submissions import cluster, task
from tests.databricks.wheels import write_wheel
from tests.embedded.small import SMALL, UNPUBLISHED, write_scenario, write_table
from tests.environments import install_wheel

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1200)]

# What a user would write in the cells of a notebook.
NOTEBOOK = """
import json, os, sys, tempfile
from pathlib import Path
from pyspark.sql import SparkSession

def cells():
    volumes, scenario, result_file, plan_file = sys.argv[1:]
    spark = SparkSession.builder.getOrCreate()
    be_a_cluster(volumes)

    import harness
    os.environ["HARNESS_TARGETS_DATABRICKS_FILES"] = "/Volumes/main/default/harness"
    scenario = json.loads(Path(scenario).read_text())
    before = {row.key: row.value for row in spark.sql("SET").collect()}
    result = harness.run(scenario, spark=spark)
    assert before == {row.key: row.value for row in spark.sql("SET").collect()}
    assert "harness-result" in result._repr_html_()
    assert len(result.to_pandas())
    Path(result_file).write_text(result.to_json())
    plan = Path(tempfile.gettempdir(), "harness", "runs", result.run_id, "plan.json")
    Path(plan_file).write_text(plan.read_text())

def be_a_cluster(volumes):
    # What the stand-in hasn't: the variable of a runtime, /Volumes, and a disk of its own.
    from harness.notebook import DatabricksNotebook
    os.environ["DATABRICKS_RUNTIME_VERSION"] = "16.4"
    tempfile.tempdir = volumes
    locate = DatabricksNotebook._locate_everything
    def mount(*given):
        found = locate(*given)
        uris = {"lake": found.lake, "model_store": found.model_store}
        return found.model_copy(update={name: uri.replace("/Volumes", volumes) for name, uri in uris.items()})
    DatabricksNotebook._locate_everything = mount
"""


def test_a_laptop_with_only_the_wheel_submits_a_run(command: Command, tmp_path: Path) -> None:
    """Without a checkout, a run is submitted with the same wheel, and passes on the cluster."""
    built = build_wheel(tmp_path / "built")
    install_wheel(tmp_path / "venv", built)
    scenario = write_scenario(tmp_path / "data", UNPUBLISHED)
    laptop = replace(command, folder=tmp_path, python=str(tmp_path / "venv" / "bin" / "python"))
    sent = laptop.run("scenario", scenario, "--target", "databricks")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    result = laptop.result()
    assert result.inputs is not None
    assert ("databricks", built.name.split("-")[1]) == (result.target, result.inputs.harness_version)
    uploaded = [each.name for each in command.workspace.volumes.rglob("*.whl")]
    assert built.name in uploaded


def test_a_notebook_runs_on_the_session_of_its_cluster(command: Command, tmp_path: Path) -> None:
    """With the wheel and its extra 'notebook', a notebook of a cluster runs a scenario on its session."""
    workspace = command.workspace
    volume = workspace.volumes.joinpath(*FILES.split("/")[2:])
    built = build_wheel(tmp_path / "built")
    notebook = write_wheel(
        tmp_path,
        "notebook",
        NOTEBOOK,
        scripts={"cells": "cells"},
        requires=(f"dataset-harness[notebook] @ file://{built}",),
    )
    client = connect(workspace)
    remote = f"{FILES}/wheels/{notebook.name}"
    with notebook.open("rb") as stream:
        client.files.upload(remote, stream, overwrite=True)
    source = write_table(volume / "notebook")
    values = SMALL.model_dump(mode="json", by_alias=True, exclude_unset=True)
    values["table"]["source"] = f"{FILES}/notebook/{source.name}"
    (volume / "notebook" / "scenario.json").write_text(json.dumps(values))
    folder = f"{FILES}/notebook"
    parameters = [
        str(workspace.volumes),
        *(f"{folder}/{name}.json" for name in ("scenario", "result", "plan")),
    ]
    submitted = client.jobs.submit(
        tasks=[
            task(
                # The user of a session is the workspace's, whoever runs the stand-in.
                new_cluster=cluster(spark_env_vars={"SPARK_USER": USER}),
                libraries=[Library(whl=remote), Library(maven=MavenLibrary(SYNAPSEML))],
                python_wheel_task=PythonWheelTask("notebook", "cells", parameters=parameters),
            )
        ]
    ).bind()["run_id"]
    workspace.runs[submitted].thread.join(1000)
    run = client.jobs.get_run(submitted)
    output = client.jobs.get_run_output(run.tasks[0].run_id or 0) if run.tasks else None
    assert run.state is not None
    assert RunResultState.SUCCESS is run.state.result_state, output
    result = Result.from_json((volume / "notebook" / "result.json").read_text())
    assert ("databricks", Verdict.PASS) == (result.target, result.verdict)
    plan = json.loads((volume / "notebook" / "plan.json").read_text())
    assert "databricks" == plan["environment"]["tracking_uri"]
    assert f"/Users/{USER}/harness" == plan["environment"]["experiment"]
    assert [] == [each for each in result.versions if each.bundle is None]
