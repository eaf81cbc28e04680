"""Publishing the models of a run afterwards: what is copied, what is verified, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from harness.bounds.judge import judge_versions
from harness.cli import app
from harness.errors import ExitCode, HarnessError, JobError, PrerequisiteError, UsageError
from harness.files import digest_files, file_lock, write_text
from harness.publishing import publish
from harness.result_digest import add_digest
from harness.results import Failure, Verdict
from harness.runs import PLAN, RESULT, RunFolder
from harness.storage.model_store import FolderStore
from tests.unit.studies_samples import make_plan, measured, result, scenario, store_run

MODELS = ("featurizer", "classifier", "explainer")


class Home:
    """A home folder with a run of two trained versions, and their models in MLflow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = folder / "archive"
        self.client = MlflowClient(f"sqlite:///{folder}/home/mlflow.db")
        experiment = self.client.create_experiment("harness", str(folder / "artifacts"))
        versions = []
        for number, name in enumerate(("one", "two")):
            run_id = self.client.create_run(experiment).info.run_id
            models = folder / name
            for model in MODELS:
                write_text(models / model / "MLmodel", f"{model} of {name}")
            self.client.log_artifacts(run_id, str(models), "models")
            write_text(
                folder / "record.json",
                json.dumps(add_digest({"models": digest_files(models), "run_id": "r"})),
            )
            self.client.log_artifact(run_id, str(folder / "record.json"), "training")
            versions.append(measured(name).model_copy(update={"version": number, "run_id": run_id}))
        expected = {"expect": {"rows": 300}}
        plan = make_plan(scenario=scenario([{"name": name, **expected} for name in ("one", "two")]))
        local = {"tracking_uri": f"sqlite:///{folder}/home/mlflow.db", "model_store": str(folder / "models")}
        plan = plan.model_copy(update={"environment": plan.environment.model_copy(update=local)})
        judged = judge_versions(plan.scenario, tuple(versions), {})
        self.run = store_run(folder / "home" / "runs", plan, result(*judged))

    def change_result(self, **changes: Any) -> None:
        """Replace values of the run's result."""
        changed = self.run.read_result().model_copy(update=changes)
        write_text(self.run.path / RESULT, changed.to_json())

    def publish(self, **options: Any) -> list[str]:
        """Publish the run to the archive."""
        lines: list[str] = []
        published = publish(self.run.path.name, "archive", lines.append, **options)
        assert [line.rpartition("  ")[2] for line in lines] == published
        return published


@pytest.fixture(name="home")
def _home(tracked_folder: Path) -> Home:
    write_text(tracked_folder / "harness.toml", f'[stores]\narchive = "{tracked_folder}/archive"\n')
    return Home(tracked_folder)


def test_all_versions_are_copied_verified_and_tagged(home: Home) -> None:
    """Each bundle has the three models and a manifest with their digests; a second time changes nothing."""
    first, second = home.run.read_result().versions
    published = home.publish()
    assert [f"{home.archive}/readings/v{each.version}-{each.run_id}" for each in (first, second)] == published
    manifest = json.loads((Path(published[1]) / "manifest.json").read_text())
    assert (second.run_id, digest_files(home.folder / "two")) == (
        manifest["mlflow_run_id"],
        manifest["files"],
    )
    tags = home.client.get_run(str(second.run_id)).data.tags
    assert (published[1], published[1]) == (tags["harness.bundle"], tags["harness.bundle.archive"])
    before = digest_files(home.archive)
    assert published == home.publish(versions=()) == home.publish()
    assert before == digest_files(home.archive)


def test_one_version_is_published_from_the_command_line(home: Home) -> None:
    """The command prints the bundle, and leaves the tag of the first store alone."""
    run_id = str(home.run.read_result().versions[0].run_id)
    home.client.set_tag(run_id, "harness.bundle", "/models/first")
    home.run.make_latest()
    shown = CliRunner().invoke(app, ["publish", "latest", "--to", "archive", "--version", "one"])
    [bundle] = (home.archive / "readings").iterdir()
    assert (ExitCode.PASS, f"bundle  one  {bundle}\n") == (shown.exit_code, shown.output)
    tags = home.client.get_run(run_id).data.tags
    assert ("/models/first", str(bundle)) == (tags["harness.bundle"], tags["harness.bundle.archive"])


def test_an_incomplete_copy_is_completed(home: Home) -> None:
    """A copy without a manifest is not a bundle: missing and changed files are copied again."""
    [bundle] = home.publish(versions=("one",))
    before = digest_files(home.archive)
    (Path(bundle) / "manifest.json").unlink()
    (Path(bundle) / "classifier" / "MLmodel").write_text("half")
    shutil.rmtree(Path(bundle) / "explainer")
    home.publish(versions=("one",))
    assert before == digest_files(home.archive)


def test_a_copy_that_differs_is_not_a_bundle(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a file that is read back differs, there is one message, and no manifest."""
    put = FolderStore.put

    def put_half(store: FolderStore, path: str, file: Path) -> None:
        put(store, path, file)
        if path.endswith("explainer/MLmodel"):
            Path(store.uri(path)).write_text("half")

    monkeypatch.setattr(FolderStore, "put", put_half)
    with pytest.raises(JobError, match="differs from the model that was copied: explainer/MLmodel"):
        home.publish()
    assert [] == list(home.archive.rglob("manifest.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("models", "were changed after they were trained"),
        ("record", "The training record of MLflow run .* was edited"),
        ("gone", "no longer has its models"),
        ("result", "The result of run .* was edited"),
    ],
)
def test_what_was_changed_is_not_published(home: Home, change: str, message: str) -> None:
    """Edited or missing models, an edited record, an edited result: one message each; nothing is copied."""
    artifacts = home.folder / "artifacts" / str(home.run.read_result().versions[0].run_id) / "artifacts"
    match change:
        case "models":
            write_text(artifacts / "models" / "classifier" / "MLmodel", "other")
        case "record":
            record = artifacts / "training" / "record.json"
            write_text(record, record.read_text().replace('"r"', '"s"'))
        case "gone":
            shutil.rmtree(artifacts / "models")
        case "result":
            text = (home.run.path / RESULT).read_text()
            write_text(home.run.path / RESULT, text.replace('"rows": 300', '"rows": 301'))
    with pytest.raises(PrerequisiteError, match=message):
        home.publish()
    assert not home.archive.exists()


_FAILED = Failure(kind="JobError", exit_code=ExitCode.JOB_FAILED, message="It broke.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": Verdict.FAIL}, "Not all bounds of run .* hold.*verdict: fail"),
        ({"verdict": Verdict.OBSERVED}, "not all are judged .verdict: observed"),
        ({"failure": _FAILED}, "ended without a verdict: It broke."),
    ],
)
def test_runs_that_did_not_pass_are_refused(home: Home, changes: dict[str, Any], message: str) -> None:
    """Only the models of a run that has passed are published."""
    home.change_result(**changes)
    with pytest.raises(UsageError, match=message):
        home.publish()
    assert not home.archive.exists()


def test_a_run_that_passes_because_a_bound_fails_is_refused(home: Home) -> None:
    """If a scenario must fail, a pass says nothing good about its models."""
    first, second = home.run.read_result().versions
    failed = second.bounds[0].model_copy(update={"verdict": Verdict.FAIL})
    home.change_result(versions=(first, second.model_copy(update={"bounds": (failed,)})))
    with pytest.raises(UsageError, match="so its models are not published"):
        home.publish()


def test_a_run_without_models_is_refused(home: Home) -> None:
    """A run that trained nothing has nothing to publish."""
    built = [each.model_copy(update={"status": "built"}) for each in home.run.read_result().versions]
    home.change_result(versions=tuple(built))
    with pytest.raises(UsageError, match="didn't train any models"):
        home.publish()


def test_models_without_a_record_are_only_published_of_sensitive_tables(home: Home) -> None:
    """Without a record nobody knows whether the models are those that were trained."""
    for version in home.run.read_result().versions:
        shutil.rmtree(home.folder / "artifacts" / str(version.run_id) / "artifacts" / "training")
    with pytest.raises(PrerequisiteError, match="has no training record"):
        home.publish()
    plan = json.loads((home.run.path / PLAN).read_text())
    plan["scenario"]["table"]["sensitive"] = ["heat"]
    write_text(home.run.path / PLAN, json.dumps(plan))
    assert len(home.publish()) == 2


def test_a_damaged_bundle_is_copied_again(home: Home) -> None:
    """A bundle with a manifest and a damaged file is not left as it is."""
    published = home.publish()
    before = digest_files(home.archive)
    (Path(published[0]) / "classifier" / "MLmodel").write_text("damaged")
    home.publish()
    assert before == digest_files(home.archive)


def test_the_table_is_that_of_the_result(home: Home) -> None:
    """A run that only judged again has built no table of its own."""
    home.change_result(table_uri="/lake/runs/first/readings")
    [bundle] = home.publish(versions=("one",))
    assert "/lake/runs/first/readings" == json.loads((Path(bundle) / "manifest.json").read_text())["table"]


def test_a_deleted_store_of_mlflow_is_not_created_again(home: Home) -> None:
    """Without MLflow's file there is one message, and no new file."""
    (home.folder / "home" / "mlflow.db").unlink()
    with pytest.raises(PrerequisiteError, match="doesn't exist"):
        home.publish()
    assert not (home.folder / "home" / "mlflow.db").exists()


def test_a_failed_run_is_published_by_force(home: Home) -> None:
    """A verdict can be overruled, the lack of one can't."""
    home.change_result(verdict=Verdict.FAIL)
    assert len(home.publish(force=True)) == 2
    home.change_result(failure=_FAILED)
    with pytest.raises(UsageError, match=r"'harness resume .*' resumes it"):
        home.publish(force=True)


def test_wrong_names_and_places_are_refused(home: Home) -> None:
    """An unknown run, store or version, a running run, a run in the cloud: one message each."""
    name = home.run.path.name
    refused: list[tuple[type[HarnessError], str, tuple[str, str], dict[str, Any]]] = [
        (PrerequisiteError, "Unknown run 'nothing'", ("nothing", "archive"), {}),
        (UsageError, "Unknown model store 'archives'. Did you mean 'archive'", (name, "archives"), {}),
        (
            UsageError,
            "no model for version 'on'. Did you mean 'one'",
            (name, "archive"),
            {"versions": ("on",)},
        ),
    ]
    for kind, message, (run, store), options in refused:
        with pytest.raises(kind, match=message):
            publish(run, store, print, **options)
    with file_lock(home.run.path / PLAN), pytest.raises(UsageError, match="is still running"):
        home.publish()
    change_target(home.run, "databricks")
    with pytest.raises(UsageError, match="only runs on local targets can be published afterwards"):
        home.publish()


def change_target(run: RunFolder, name: str) -> None:
    """Move a run to another target."""
    plan = json.loads((run.path / PLAN).read_text())
    plan["environment"]["target"] = name
    write_text(run.path / PLAN, json.dumps(plan))
