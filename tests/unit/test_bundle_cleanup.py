"""The bundles of removed runs: which are removed with them, and which stay."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result as Done

from harness.bundles import publish
from harness.cli import app
from harness.errors import ExitCode, HarnessError
from harness.files import file_lock, write_text
from harness.plan import Plan
from harness.runs import PLAN, RESULT, RunFolder, read_removed
from harness.storage.model_store import FolderStore
from tests.unit.studies_samples import make_plan, measured, result, store_run

OLD, NEW = "20260301-101500-readings-7f3a", "20260302-101500-readings-0b1c"
MODELS = ("featurizer", "classifier", "explainer")


class Home:
    """A home folder with MLflow's store, runs, and the model store that they publish to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.runs = folder / "home" / "runs"
        self.database = folder / "home" / "mlflow.db"
        self.client = MlflowClient(f"sqlite:///{self.database}")
        self.experiment = self.client.create_experiment("harness", str(folder / "artifacts"))

    def train(self, run_id: str = OLD) -> str:
        """Record a training of a run in MLflow, and return its id there."""
        return str(self.client.create_run(self.experiment, tags={"harness.run_id": run_id}).info.run_id)

    def publish(self, training: str, run_id: str = OLD) -> str:
        """Publish the models of a training, and return the URI of the bundle."""
        models = self.folder / "trained"
        for name in MODELS:
            write_text(models / name / "MLmodel", f"{name} of {training}")
        version = measured("one").model_copy(update={"run_id": training})
        uri = publish(FolderStore(self.models), models, version, self.plan(run_id), lambda _: None)
        self.client.set_tag(training, "harness.bundle", uri)
        return uri

    def plan(self, run_id: str, target: str = "embedded") -> Plan:
        """Return the plan of a run."""
        changes = {
            "target": target,
            "lake": str(self.folder / "lake"),
            "model_store": str(self.models),
            "tracking_uri": f"sqlite:///{self.database}",
        }
        plan = make_plan(run_id=run_id)
        return plan.model_copy(update={"environment": plan.environment.model_copy(update=changes)})

    def keep(
        self, run_id: str, training: str = "", bundle: str | None = None, target: str = "embedded"
    ) -> RunFolder:
        """Keep a run with a version that was trained, and published if there is a bundle."""
        trained = {"run_id": training or None, "bundle": bundle}
        made = result(measured("one").model_copy(update=trained), run_id=run_id)
        return store_run(self.runs, self.plan(run_id, target), made)

    def clean(self, keep: int, *options: str) -> Done:
        """Run the command."""
        return CliRunner().invoke(app, ["clean", "--keep-runs", str(keep), *options])


@pytest.fixture(name="home")
def _home(tracked_folder: Path) -> Home:
    return Home(tracked_folder)


def _age(folder: str, hours: int) -> None:
    moment = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    for each in (*Path(folder).rglob("*"), Path(folder)):
        os.utime(each, (moment, moment))


def _stays(uri: str, reason: str) -> str:
    return f"The bundle {uri} stays: {reason}.\n1 run removed, with their tables.\n"


def test_the_bundles_of_a_removed_run_are_removed(home: Home) -> None:
    """A removed run loses its bundles, whose records in MLflow no longer name them; others are untouched."""
    old, new = home.train(), home.train(NEW)
    removed, kept = home.publish(old), home.publish(new, NEW)
    home.keep(OLD, old, removed)
    home.keep(NEW, new, kept)
    done = home.clean(1)
    assert ("1 run removed, with their tables.\n1 bundle removed.\n", 0) == (done.output, done.exit_code)
    assert (False, True) == (Path(removed).exists(), (Path(kept) / "manifest.json").exists())
    tags = [home.client.get_run(training).data.tags.get("harness.bundle") for training in (old, new)]
    assert [None, kept] == tags


@pytest.mark.parametrize("damage", [0, 40], ids=["readable", "damaged"])
def test_a_bundle_stays_with_the_last_run_that_uses_it(home: Home, damage: int) -> None:
    """A bundle that a kept run uses stays, even if that run's result is damaged; it goes with that run."""
    training = home.train()
    bundle = home.publish(training)
    home.keep(OLD, training, bundle)
    newer = home.keep(NEW, training, bundle)
    whole = (newer.path / RESULT).read_text()
    (newer.path / RESULT).write_text(whole[damage:])
    assert "1 run removed, with their tables.\n" == home.clean(1).output
    assert (True, {OLD}) == (Path(bundle).exists(), read_removed(home.runs))
    (newer.path / RESULT).write_text(whole)
    assert "1 run removed, with their tables.\n1 bundle removed.\n" == home.clean(0).output
    assert not Path(bundle).exists()


def _publish_afterwards(home: Home, training: str, bundle: str) -> str:
    home.client.set_tag(training, "harness.bundle.archive", bundle)
    return "'harness publish' has published it"


def _register(home: Home, training: str, bundle: str) -> str:
    del bundle
    home.client.create_registered_model("loans")
    home.client.create_model_version("loans", "models", training)
    return "its model is registered in MLflow"


def _use_elsewhere(home: Home, training: str, bundle: str) -> str:
    del bundle
    tags = {"harness.run_id": NEW, "harness.reused.march": training}
    home.client.create_run(home.experiment, tags=tags)
    return f"another run uses its models: {NEW}"


def _belong_elsewhere(home: Home, training: str, bundle: str) -> str:
    del home, training
    manifest = Path(bundle) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"run_id": NEW}))
    return f"it belongs to the run {NEW}"


def _damage(home: Home, training: str, bundle: str) -> str:
    del home, training
    (Path(bundle) / "manifest.json").write_text("{")
    return "its manifest can't be read"


def _train_elsewhere(home: Home, training: str, bundle: str) -> str:
    del bundle
    home.client.set_tag(training, "harness.run_id", NEW)
    return f"another run trained its models: {NEW}"


def _forget_run(home: Home, training: str, bundle: str) -> str:
    del bundle
    home.client.delete_run(training)
    return "MLflow no longer has the run that trained its models"


def _forget_all(home: Home, training: str, bundle: str) -> str:
    del training, bundle
    home.database.unlink()
    return "MLflow no longer has the run that trained its models"


@pytest.mark.parametrize(
    "use",
    [
        _publish_afterwards,
        _register,
        _use_elsewhere,
        _belong_elsewhere,
        _damage,
        _train_elsewhere,
        _forget_run,
        _forget_all,
    ],
)
def test_a_bundle_that_somebody_uses_stays(home: Home, use: object) -> None:
    """A bundle stays if somebody else uses it or owns it, or if that isn't known; the output says why."""
    assert callable(use)
    training = home.train()
    bundle = home.publish(training)
    home.keep(OLD, training, bundle)
    reason = use(home, training, bundle)
    assert _stays(bundle, reason) == home.clean(0).output
    assert (Path(bundle) / "classifier" / "MLmodel").exists()


def test_a_run_that_reused_models_before_it_was_removed_keeps_no_bundle(home: Home) -> None:
    """A run in MLflow that used the models, and whose folder was removed, is not in the way."""
    training = home.train()
    bundle = home.publish(training)
    home.client.create_run(home.experiment, tags={"harness.run_id": NEW, "harness.reused.one": training})
    home.keep(OLD, training, bundle)
    home.keep(NEW, training, bundle)
    assert "2 runs removed, with their tables.\n1 bundle removed.\n" == home.clean(0).output
    assert not Path(bundle).exists()


@pytest.mark.parametrize(
    "bundle", ["/", "..", "{root}/../models/v0-{id}", "{root}/../v0-{id}", "{root}/readings/mine"]
)
def test_nothing_but_a_bundle_is_removed(home: Home, bundle: str) -> None:
    """Whatever a result names as its bundle, only a bundle of its model store is removed."""
    training = home.train()
    uri = bundle.format(root=home.models, id=training)
    if len(uri) > 2:
        write_text(Path(uri) / "manifest.json", json.dumps({"run_id": OLD}))
    before = {path for path in home.folder.rglob("*") if home.runs not in path.parents}
    home.keep(OLD, training, uri)
    assert "1 run removed, with their tables.\n" == home.clean(0).output
    assert before <= {path for path in home.folder.rglob("*") if home.runs not in path.parents} | {home.runs}


def _break(bundle: str) -> None:
    (Path(bundle) / "manifest.json").unlink()


@pytest.mark.parametrize(("hours", "is_left"), [(0, True), (2, False)])
def test_a_broken_copy_is_removed_with_its_run(home: Home, hours: int, is_left: bool) -> None:
    """A copy without a manifest is removed with its run, unless somebody may still be making it."""
    training = home.train()
    bundle = home.publish(training)
    _break(bundle)
    _age(bundle, hours)
    home.keep(OLD, training)
    home.clean(0)
    assert is_left == Path(bundle).exists()


def test_a_broken_copy_that_a_running_run_may_make_stays(home: Home) -> None:
    """A copy without a manifest that is younger than a running run stays."""
    training = home.train()
    bundle = home.publish(training)
    _break(bundle)
    _age(bundle, hours=2)
    home.keep(OLD, training)
    running = home.keep(NEW)
    (running.path / RESULT).unlink()
    for hours, is_left in ((3, True), (1, False)):
        _age(str(running.path), hours)
        with file_lock(running.path / PLAN):
            home.clean(0)
        assert is_left == Path(bundle).exists()
        home.keep(OLD, training)


def test_without_an_answer_of_mlflow_the_run_stays(home: Home) -> None:
    """If MLflow's store can't be read, the run stays with its tables and bundles; the others are removed."""
    training = home.train()
    bundle = home.publish(training)
    home.keep(OLD, training, bundle)
    home.keep(NEW)
    table = home.folder / "home" / "lake" / "runs" / OLD / "readings"
    table.mkdir(parents=True)
    home.database.write_text("not a database")
    done = home.clean(0)
    assert isinstance(done.exception, HarnessError)
    assert ExitCode.PREREQUISITE_MISSING is done.exception.exit_code
    left = [path.name for path in home.runs.iterdir() if not path.name.startswith(".")]
    assert ([OLD], True, True) == (left, Path(bundle).exists(), table.exists())


def test_a_run_that_can_not_be_removed_keeps_its_bundles(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle stays if one of the runs that use it can't be removed: its tables are in a stopped stack."""
    training = home.train()
    bundle = home.publish(training)
    home.keep(OLD, training, bundle, target="compose")
    home.keep(NEW, training, bundle)
    monkeypatch.setenv("PATH", str(home.folder))
    done = home.clean(0)
    assert isinstance(done.exception, HarnessError)
    left = [path.name for path in home.runs.iterdir() if not path.name.startswith(".")]
    assert ([OLD], True) == (left, Path(bundle).exists())


def test_a_kept_result_that_can_not_be_opened_keeps_all_bundles(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the files of a kept run can't be opened, nothing is removed: that run may use any bundle."""
    training = home.train()
    bundle = home.publish(training)
    home.keep(OLD, training, bundle)
    kept = home.keep(NEW, training, bundle)
    read = Path.read_text

    def refuse(self: Path, encoding: str | None = None, errors: str | None = None) -> str:
        if self == kept.path / RESULT:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, encoding, errors)

    monkeypatch.setattr(Path, "read_text", refuse)
    done = home.clean(1)
    assert isinstance(done.exception, HarnessError), done.exception
    assert f"Can't read {kept.path / RESULT}" in done.exception.message
    assert ((home.runs / OLD).exists(), Path(bundle).exists()) == (True, True)


def test_a_dry_run_removes_nothing(home: Home) -> None:
    """With --dry-run, the command lists the runs and bundles that it would remove, and changes nothing."""
    training = home.train()
    bundle = home.publish(training)
    home.keep(OLD, training, bundle)
    home.keep(NEW)
    before = _list_files(home.folder)
    done = home.clean(1, "--dry-run")
    expected = f"run     {OLD}\nbundle  {bundle}\nWould remove 1 run and 1 bundle.\n"
    assert (expected, 0, before) == (done.output, done.exit_code, _list_files(home.folder))


def _list_files(folder: Path) -> Sequence[tuple[Path, float]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "mlflow.db" not in path.name)
    return [(path, path.stat().st_mtime) for path in files]


def test_a_dry_run_needs_runs(home: Home) -> None:
    """--dry-run is a mistake with --stack, which asks before it deletes anything."""
    del home
    done = CliRunner().invoke(app, ["clean", "--stack", "--dry-run"])
    assert (2, True) == (done.exit_code, "--dry-run needs --keep-runs" in done.output)
