"""A scenario as a scheduled job, which is the same job that a submission starts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.service.jobs import JobSettings, SubmitTask
from ruamel.yaml import YAML

from harness.errors import UsageError
from harness.files import sha256_of
from harness.loading.loader import load_scenario
from harness.loading.table_override import parse_table_override
from harness.plan import Plan, SourceData
from harness.resolve import resolve_plan
from harness.scheduled_run import _parse, make_plan
from harness.settings import Settings, read_settings
from harness.table_names import choose_expiry, find_expiry
from harness.targets.databricks import asset_bundle, job_runs
from harness.targets.databricks.cluster import list_cluster_libraries
from harness.targets.databricks.databricks_target import Databricks
from harness.wheel import compute_version

SCENARIO = Path(__file__).parents[2] / "scenarios" / "three_versions.yaml"
HOST = "https://adb-1.azuredatabricks.net"
ME = "jane@example.com"
SECRET = '[accounts.dls]\nsecret_name = "lake-key"\n'
JOB = """\
[targets.databricks.job]
email_notifications = { on_failure = ["jane@example.com"] }
webhook_notifications = { on_failure = [{ id = "0481e838-0a59-4eff-9541-a4ca6f149574" }] }
tags = { cost = "42" }
max_concurrent_runs = 2
"""
WHEEL = f"dataset_harness-{compute_version()}-py3-none-any.whl"


@pytest.fixture(autouse=True)
def _no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the wheel's build, which takes seconds and has its own tests."""

    def build_wheel(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WHEEL).touch()
        return folder / WHEEL

    monkeypatch.setattr(asset_bundle, "build_wheel", build_wheel)


def _settings(folder: Path, toml: str = "", **chosen: str) -> Settings:
    (folder / "harness.toml").write_text(toml, encoding="utf-8")
    names = {"files": "/Volumes/main/default/harness", "experiment": "/Shared/loans", **chosen}
    environ = {f"HARNESS_TARGETS_DATABRICKS_{name.upper()}": value for name, value in names.items()}
    return read_settings(folder=folder, environ=environ)


def _plan(settings: Settings, scenario: str = str(SCENARIO)) -> tuple[Plan, Databricks]:
    target = _open(settings)
    return resolve_plan(load_scenario(scenario), settings, target), target


def _open(settings: Settings) -> Databricks:
    """Return a target whose workspace has one cluster policy."""
    target = Databricks(settings, print)
    policy = SimpleNamespace(definition='{"node_type_id": {"type": "fixed", "value": "x"}}')
    policies = SimpleNamespace(get=lambda _id: policy)
    vars(target)["workspace"] = SimpleNamespace(config=SimpleNamespace(host=HOST), cluster_policies=policies)
    vars(target)["user"] = ME
    return target


def _write(
    settings: Settings, folder: Path, table: str | None = None, versions: str | None = None, **options: Any
) -> dict[str, Any]:
    target = _open(settings)
    loaded = load_scenario(str(SCENARIO), parse_table_override(table, versions))
    file = asset_bundle.write(settings, resolve_plan(loaded, settings, target), target, folder, **options)
    content: dict[str, Any] = YAML(typ="safe").load(file)
    return content


def _task(written: dict[str, Any]) -> dict[str, Any]:
    task: dict[str, Any] = written["resources"]["jobs"]["three_versions"]["tasks"][0]
    return task


def _submit(settings: Settings) -> dict[str, Any]:
    """Return the task that a submission sends."""
    sent: list[SubmitTask] = []

    def submit(*, tasks: list[SubmitTask], **_: object) -> SimpleNamespace:
        sent.extend(tasks)
        return SimpleNamespace(run_id=1)

    workspace: Any = SimpleNamespace(jobs=SimpleNamespace(submit=submit), config=SimpleNamespace(host=HOST))
    cluster = settings["targets.databricks.cluster_id"] or _open(settings).make_cluster(ME, "run")
    job_runs.submit(
        workspace,
        job_runs.RunSpec(
            "run",
            cluster,
            list_cluster_libraries(f"/Volumes/{WHEEL}", settings),
            ["..."],
            timedelta(minutes=1),
        ),
    )
    return sent[0].as_dict()


def _without_own_names(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task without its user, its run, its program and the locations of its files, which differ."""
    wheel = task["python_wheel_task"]
    cluster = task.get("new_cluster", {})
    tags = {name: value for name, value in cluster.get("custom_tags", {}).items() if name != "harness_run_id"}
    return {
        **task,
        "python_wheel_task": {"package_name": wheel["package_name"]},
        "new_cluster": {**cluster, "custom_tags": tags, "single_user_name": "somebody"},
        "libraries": [
            {"whl": Path(each["whl"]).name} if "whl" in each else each for each in task["libraries"]
        ],
    }


@pytest.mark.parametrize(
    ("toml", "chosen"),
    [
        ("", {}),
        ("", {"workers": "2-8", "policy_id": "0003", "instance_pool_id": "p-1", "tags": "team=risk"}),
        (SECRET, {"secret_scope": "harness", "lake": "abfss://lake@dls.dfs.core.windows.net"}),
        ("", {"model_volume": "/Volumes/main/default/tmp", "runtime": "15.4.x-cpu-ml-scala2.12"}),
        ("", {"cluster_id": "1123-080000-warm0001"}),
    ],
    ids=["plain", "pool", "secret", "15.4", "existing cluster"],
)
def test_the_task_is_the_one_that_a_submission_sends(
    tmp_path: Path, toml: str, chosen: dict[str, str]
) -> None:
    """The bundle's cluster and libraries are those of a submission."""
    settings = _settings(tmp_path, toml, **chosen)
    assert _without_own_names(_submit(settings)) == _without_own_names(
        _task(_write(settings, tmp_path / "bundle"))
    )


def test_the_cluster_is_dedicated_to_its_deployer(tmp_path: Path) -> None:
    """The cluster is dedicated to whoever deploys the bundle, such as a CI's service principal."""
    cluster = _task(_write(_settings(tmp_path), tmp_path / "bundle"))["new_cluster"]
    assert "${workspace.current_user.userName}" == cluster["single_user_name"]


def test_each_run_has_its_own_name_and_folder(tmp_path: Path) -> None:
    """Each run, even a repaired one, has its own name and folder; plan and rows are in the bundle."""
    task = _task(_write(_settings(tmp_path), tmp_path / "bundle"))
    run = "{{job.run_id}}-{{job.repair_count}}"
    assert [
        "${workspace.file_path}/plan.json",
        f"/Volumes/main/default/harness/scheduled/three_versions/{run}",
        "--run-id",
        f"three_versions-{run}",
        "--source",
        "data/lc_loan_2018q1.csv=file:${workspace.file_path}/data/lc_loan_2018q1.csv",
        "--table={{job.parameters.table}}",
        "--versions={{job.parameters.versions}}",
    ] == task["python_wheel_task"]["parameters"]


def test_the_files_of_a_task_are_in_the_folder(tmp_path: Path) -> None:
    """Wheel, plan and rows are in the folder, and are deployed even if git ignores it."""
    folder = tmp_path / "bundle"
    written = _write(_settings(tmp_path), folder)
    rows = "data/lc_loan_2018q1.csv"
    assert {"include": ["plan.json", rows]} == written["sync"]
    assert {"whl": f"./dist/{WHEEL}"} == _task(written)["libraries"][0]
    assert (SCENARIO.parent / rows).read_bytes() == (folder / rows).read_bytes()


def test_the_job_has_a_schedule_that_is_paused(tmp_path: Path) -> None:
    """The job's schedule is paused, so that no cluster starts unless somebody asks for it."""
    written = _write(_settings(tmp_path, tags="team=risk", time_limit_min="30"), tmp_path / "bundle")
    job = written["resources"]["jobs"]["three_versions"]
    assert ("${var.pause_status}", "PAUSED") == (
        job["schedule"]["pause_status"],
        written["variables"]["pause_status"]["default"],
    )
    assert (1800, 1, {"team": "risk"}) == (job["timeout_seconds"], job["max_concurrent_runs"], job["tags"])


def test_a_job_has_only_fields_that_databricks_knows(tmp_path: Path) -> None:
    """The job survives the SDK's classes, which drop unknown fields at every level."""
    job = _write(_settings(tmp_path), tmp_path / "bundle")["resources"]["jobs"]["three_versions"]
    assert [{"name": "table", "default": ""}, {"name": "versions", "default": ""}] == job["parameters"]
    schedule = {**job["schedule"], "pause_status": "PAUSED"}
    assert {**job, "schedule": schedule} == JobSettings.from_dict({**job, "schedule": schedule}).as_dict()


def test_an_update_of_the_table_starts_the_job(tmp_path: Path) -> None:
    """With ``on_update``, the job has a trigger on the table instead of a schedule, and is paused too."""
    written = _write(_settings(tmp_path), tmp_path / "bundle", "main.`loans`.lc_loan", on_update=True)
    job = written["resources"]["jobs"]["three_versions"]
    trigger = {"pause_status": "${var.pause_status}", "table_update": {"table_names": ["main.loans.lc_loan"]}}
    assert (trigger, False) == (job["trigger"], "schedule" in job)
    assert {"pause_status"} == set(written["variables"])
    resumed = {**job, "trigger": {**trigger, "pause_status": "PAUSED"}}
    assert resumed == JobSettings.from_dict(resumed).as_dict()


@pytest.mark.parametrize(
    ("table", "versions", "message"),
    [
        (None, None, "--on-update needs a table in Unity Catalog, but the scenario builds its own table."),
        ("abfss://lake@dls.dfs.core.windows.net/loans", None, "but the scenario reads abfss://lake@dls."),
        ("loans.lc_loan", None, "but the scenario reads loans.lc_loan."),
        ("hive_metastore.loans.lc_loan", None, "but the scenario reads hive_metastore.loans.lc_loan."),
        ("main.loans.lc_loan", "12,2026-03-01", "this one only reads v12, t20260301_000000."),
    ],
)
def test_a_table_whose_updates_nobody_reports_is_refused(
    tmp_path: Path, table: str | None, versions: str | None, message: str
) -> None:
    """A table outside Unity Catalog, or a version that never changes, is refused; nothing is written."""
    with pytest.raises(UsageError) as caught:
        _write(_settings(tmp_path), tmp_path / "bundle", table, versions, on_update=True)
    assert message in str(caught.value)
    assert not (tmp_path / "bundle").exists()


def test_the_users_settings_are_merged_over_the_job(tmp_path: Path) -> None:
    """A section of the settings adds notifications and more; mappings are merged key by key."""
    settings = _settings(tmp_path, JOB, tags="team=risk")
    job = _write(settings, tmp_path / "bundle")["resources"]["jobs"]["three_versions"]
    assert {"on_failure": ["jane@example.com"]} == job["email_notifications"]
    assert {"on_failure": [{"id": "0481e838-0a59-4eff-9541-a4ca6f149574"}]} == job["webhook_notifications"]
    assert ({"team": "risk", "cost": "42"}, 2) == (job["tags"], job["max_concurrent_runs"])
    paused = {**job, "schedule": {**job["schedule"], "pause_status": "PAUSED"}}
    assert paused == JobSettings.from_dict(paused).as_dict()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "emal_notifications = {}",
            "Unknown setting 'emal_notifications' in [targets.databricks.job]. Did you",
        ),
        ("email_notifications = { on_failur = ['a'] }", "knows no 'email_notifications.on_failur'"),
        ("webhook_notifications = 'x'", "[targets.databricks.job] has a value of the wrong kind"),
        ("timeout_seconds = 5", "[targets.databricks.job] can't set 'timeout_seconds'"),
        ("tasks = []", "[targets.databricks.job] can't set 'tasks'"),
        ("tags = { token = 'hunter2' }", "contains a secret ('token')"),
    ],
)
def test_wrong_settings_of_the_job_are_refused(tmp_path: Path, line: str, message: str) -> None:
    """Unknown keys, those that the harness manages, and secrets are refused; nothing is written."""
    with pytest.raises(UsageError) as caught:
        _write(_settings(tmp_path, f"[targets.databricks.job]\n{line}\n"), tmp_path / "bundle")
    assert message in str(caught.value)
    assert not (tmp_path / "bundle").exists()


def test_the_users_own_files_belong_to_the_bundle_and_stay(tmp_path: Path) -> None:
    """The bundle includes the files in ``additions``, which writing it again leaves alone."""
    settings, folder = _settings(tmp_path), tmp_path / "bundle"
    assert ["additions/*.yml"] == _write(settings, folder)["include"]
    own = folder / "additions" / "permissions.yml"
    own.parent.mkdir()
    own.write_text("permissions: []\n", encoding="utf-8")
    _write(settings, folder)
    assert "permissions: []\n" == own.read_text(encoding="utf-8")


def test_development_and_production_are_separate(tmp_path: Path) -> None:
    """Each deployment has the workspace's address, and production has an explicit folder."""
    targets = _write(_settings(tmp_path), tmp_path / "bundle")["targets"]
    assert {"dev": "development", "prod": "production"} == {
        name: each["mode"] for name, each in targets.items()
    }
    assert {HOST} == {each["workspace"]["host"] for each in targets.values()}
    assert all("${bundle.target}" in each["workspace"]["root_path"] for each in targets.values())


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    """Writing a bundle twice gives the same files, so that CI can detect a stale one."""
    settings = _settings(tmp_path)
    for name in ("a", "b"):
        _write(settings, tmp_path / name)
    for file in ("databricks.yml", "plan.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_nothing_of_this_machine_is_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the plan nor the job contains a folder of the machine that wrote them."""
    monkeypatch.chdir(SCENARIO.parents[1])
    settings = _settings(tmp_path)
    plan, target = _plan(settings, "three_versions")
    asset_bundle.write(settings, plan, target, tmp_path / "bundle")
    for file in ("databricks.yml", "plan.json"):
        text = (tmp_path / "bundle" / file).read_text(encoding="utf-8")
        assert not [folder for folder in (tmp_path, Path.cwd()) if str(folder) in text]


def test_rows_in_a_volume_are_not_copied(tmp_path: Path) -> None:
    """A source in a volume is neither copied nor replaced."""
    settings = _settings(tmp_path)
    plan, target = _plan(settings)
    source = SourceData(uri="/Volumes/main/default/loans.csv", format="csv")
    sources = dict.fromkeys(plan.sources, source)
    folder = tmp_path / "bundle"
    file = asset_bundle.write(settings, plan.model_copy(update={"sources": sources}), target, folder)
    assert ("--source" in file.read_text(encoding="utf-8"), (folder / "data").exists()) == (False, False)
    assert sources == Plan.model_validate_json((folder / "plan.json").read_text(encoding="utf-8")).sources


def _resolve(written: dict[str, Any], bundle: Path, **parameters: str) -> list[str]:
    """Return the arguments of a run, as a workspace gives them to the task."""
    references = {
        "${workspace.file_path}": str(bundle),
        "{{job.run_id}}": "55",
        "{{job.repair_count}}": "0",
        **{f"{{{{job.parameters.{name}}}}}": parameters.get(name, "") for name in ("table", "versions")},
    }
    texts: list[str] = _task(written)["python_wheel_task"]["parameters"]
    for reference, value in references.items():
        texts = [each.replace(reference, value) for each in texts]
    return texts


def test_a_run_takes_its_id_and_its_rows_from_its_arguments(tmp_path: Path) -> None:
    """The arguments of a run replace the plan's run and sources; the rest is unchanged."""
    folder = tmp_path / "bundle"
    written = _write(_settings(tmp_path), folder)
    plan = make_plan(_parse(_resolve(written, folder)))
    assert "/Volumes/main/default/harness/lake/runs/three_versions-55-0/lc_loan" == plan.table_uri
    assert [f"file:{folder}/data/lc_loan_2018q1.csv"] == [each.uri for each in plan.sources.values()]
    stored = Plan.model_validate_json((folder / "plan.json").read_text(encoding="utf-8"))
    assert stored == plan.model_copy(update={"run_id": stored.run_id, "sources": stored.sources})


def test_a_run_builds_its_managed_table_for_some_days(tmp_path: Path) -> None:
    """The day after which it may be removed depends on the day of the run, not on that of the bundle."""
    folder = tmp_path / "bundle"
    written = _write(_settings(tmp_path, schema="main.harness", expire_days="30"), folder)
    assert '"until": ""' in (folder / "plan.json").read_text(encoding="utf-8")
    plan = make_plan(_parse(_resolve(written, folder)))
    until = find_expiry(plan.table_uri)
    assert plan.table_uri == f"main.harness.lc_loan_run_three_versions_55_0_until_{until}"
    today = datetime.now(UTC).date()
    assert until in {choose_expiry(today - timedelta(days=each), 30) for each in (0, 1)}


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("main.loans.lc_loan", "main.loans.lc_loan"),
        ("main.`loans`.lc_loan", "main.loans.lc_loan"),
        ("abfss://lake@dls.dfs.core.windows.net/loans", None),
        ("/Volumes/main/default/harness/tables/loans", None),
    ],
)
def test_a_run_reads_the_table_of_its_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, name: str | None
) -> None:
    """The job's parameters replace the scenario's table, as the command's options do."""
    folder = tmp_path / "bundle"
    written = _write(_settings(tmp_path), folder)
    plan = make_plan(_parse(_resolve(written, folder, table=table, versions="12, latest")))
    assert (name or table, name, {}) == (plan.existing_table, plan.table_name, plan.sources)
    assert ["v12", "latest"] == [each.name for each in plan.scenario.versions]
    assert {"table.uri": table, "table.versions": "v12, latest"} == plan.parameters
    assert capsys.readouterr().out.startswith(f"Table: {table} at v12, latest.")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"versions": "12"}, "'versions' needs 'table': it selects versions of an existing table.\n  Add"),
        ({"table": "main.loans.lc_loan", "versions": "twelve"}, "'versions': 'twelve' is not a version"),
        ({"table": "main.loans.lc_loan", "versions": "1,1"}, "'versions' lists v1 twice"),
        (
            {"table": "/home/loans"},
            "'table': a cluster can't reach /home/loans.\n  Use its name",
        ),
        ({"table": "abfss://lake@dls.dfs.core.windows.net/loans?sig=x"}, "'table': the table's URI contains"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, parameters: dict[str, str], message: str) -> None:
    """The message names the job's parameter, and nothing is written or started."""
    folder = tmp_path / "bundle"
    written = _write(_settings(tmp_path), folder)
    with pytest.raises(UsageError) as caught:
        make_plan(_parse(_resolve(written, folder, **parameters)))
    assert str(caught.value).startswith(message)


def _with_sources(plan: Plan, files: dict[str, str], folder: Path) -> Plan:
    """Return the plan with files of these contents, by their paths in the scenario."""
    sources = {}
    for number, (path, text) in enumerate(files.items()):
        file = folder / str(number) / Path(path).name
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
        sources[path] = SourceData(
            uri=f"/Volumes/{path}", format="csv", sha256=sha256_of(file), copied_from=str(file)
        )
    return plan.model_copy(update={"sources": sources})


def test_every_source_is_copied(tmp_path: Path) -> None:
    """Files with the same name get separate folders, and the job finds each of them."""
    settings = _settings(tmp_path)
    plan, target = _plan(settings)
    files = {"a/rows.csv": "a", "b/rows.csv": "b", "c=d/more.csv": "c"}
    folder = tmp_path / "bundle"
    file = asset_bundle.write(settings, _with_sources(plan, files, tmp_path), target, folder)
    written = YAML(typ="safe").load(file)
    parsed = make_plan(_parse(_resolve(written, folder)))
    read = {
        name: Path(source.uri.removeprefix("file:")).read_text() for name, source in parsed.sources.items()
    }
    assert files == read
    included = [Path(each) for each in written["sync"]["include"][1:]]
    assert {"rows.csv": 2, "more.csv": 1} == Counter(each.name for each in included)


def test_the_same_file_named_twice_is_copied_once(tmp_path: Path) -> None:
    """Two spellings of one path lead to one file in the bundle."""
    settings = _settings(tmp_path)
    plan, target = _plan(settings)
    same = _with_sources(plan, {"rows.csv": "a", "./rows.csv": "a"}, tmp_path)
    file = asset_bundle.write(settings, same, target, tmp_path / "bundle")
    assert {"include": ["plan.json", "data/rows.csv"]} == YAML(typ="safe").load(file)["sync"]


def test_synthetic_rows_need_no_file(tmp_path: Path) -> None:
    """A scenario of synthetic rows has no file in the bundle and no source to replace."""
    settings = _settings(tmp_path)
    plan, target = _plan(settings, str(SCENARIO.with_name("yearly.yaml")))
    file = asset_bundle.write(settings, plan, target, tmp_path / "bundle")
    assert ("--source" in file.read_text(encoding="utf-8"), (tmp_path / "bundle/data").exists()) == (
        False,
        False,
    )


def test_a_location_of_an_unknown_source_is_refused(tmp_path: Path) -> None:
    """A source that the plan doesn't have is refused before Spark starts."""
    folder = tmp_path / "bundle"
    arguments = _resolve(_write(_settings(tmp_path), folder), folder)
    with pytest.raises(UsageError) as caught:
        make_plan(_parse([*arguments, "--source", "other.csv=file:/other.csv"]))
    expected = (
        "--source other.csv=file:/other.csv: the plan has no such source.\n"
        "  Its sources: data/lc_loan_2018q1.csv. Write PATH=URI."
    )
    assert expected == str(caught.value)
