"""What each target is seen to have and to lack, before anything is started."""

import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.errors import NotFound, PermissionDenied, Unauthenticated
from databricks.sdk.service.compute import (
    CloudProviderNodeInfo,
    CloudProviderNodeStatus,
    ClusterDetails,
    DataSecurityMode,
    GetInstancePool,
    GetSparkVersionsResponse,
    InstancePoolState,
    ListNodeTypesResponse,
    NodeType,
    Policy,
    SparkVersion,
)
from databricks.sdk.service.iam import ComplexValue, User
from databricks.sdk.service.ml import Experiment, ExperimentTag, GetExperimentByNameResponse
from databricks.sdk.service.workspace import ObjectInfo, SecretMetadata
from rich.console import Console

from harness.checks import Check
from harness.report.doctor import show_checks
from harness.settings import read_settings
from harness.targets.compose import Compose
from harness.targets.databricks import Databricks
from harness.targets.embedded import Embedded
from harness.targets.look import room, tracking_store, writable

ME = "jane@example.com"
HOST = "https://adb-1.azuredatabricks.net"
RUNTIME = "16.4.x-cpu-ml-scala2.12"
VOLUME = "/Volumes/main/default/harness"
CLUSTER = ClusterDetails(
    cluster_id="c-1",
    cluster_name="warm",
    spark_version=RUNTIME,
    data_security_mode=DataSecurityMode.SINGLE_USER,
    single_user_name=ME,
)
NEW_CLUSTER = ["authentication", "settings", "permission", "runtime", "node type", "files", "experiment"]


class _Workspace:
    """Answers as a workspace's client does, and counts what it was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Any] = {
            "me": User(user_name=ME, entitlements=[ComplexValue(value="allow-cluster-create")]),
            "policy": Policy(name="small"),
            "pool": GetInstancePool(
                "p-1", instance_pool_name="warm", node_type_id="D4", state=InstancePoolState.ACTIVE
            ),
            "cluster": CLUSTER,
            "runtimes": GetSparkVersionsResponse(
                [SparkVersion(RUNTIME, "16.4 LTS ML"), SparkVersion("16.4.x-scala2.12", "16.4 LTS")]
            ),
            "nodes": ListNodeTypesResponse([_node("Standard_D4ds_v5")]),
            "folder": None,
            "secrets": [SecretMetadata("lake-key")],
            "experiment": NotFound("no such experiment"),
            "status": ObjectInfo(),
        }
        self.config = SimpleNamespace(host=HOST, auth_type="pat")
        self.current_user = SimpleNamespace(me=self._says("me"))
        self.cluster_policies = SimpleNamespace(get=self._says("policy"))
        self.instance_pools = SimpleNamespace(get=self._says("pool"))
        self.clusters = SimpleNamespace(
            get=self._says("cluster"),
            spark_versions=self._says("runtimes"),
            list_node_types=self._says("nodes"),
        )
        self.files = SimpleNamespace(create_directory=self._says("folder"))
        self.secrets = SimpleNamespace(list_secrets=self._says("secrets"))
        self.experiments = SimpleNamespace(get_by_name=self._says("experiment"))
        self.workspace = SimpleNamespace(get_status=self._says("status"), mkdirs=self._says("folder"))

    def _says(self, name: str) -> Callable[..., Any]:
        def say(*asked: str) -> Any:
            self.calls.append(" ".join((name, *asked)))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return say


Look = Callable[..., dict[str, Check]]


@pytest.fixture(name="workspace")
def _workspace() -> _Workspace:
    return _Workspace()


@pytest.fixture(name="look")
def _look(tmp_path: Path, workspace: _Workspace) -> Look:
    """Every line of the Databricks target, by what it is about."""

    def look(toml: str = "", **chosen: str) -> dict[str, Check]:
        (tmp_path / "harness.toml").write_text(toml, encoding="utf-8")
        names = {"files": VOLUME, **chosen}
        environ = {f"HARNESS_TARGETS_DATABRICKS_{name.upper()}": value for name, value in names.items()}
        target = Databricks(read_settings(folder=tmp_path, environ=environ), print)
        vars(target)["workspace"] = workspace
        return {check.what: check for check in target.checks()}

    return look


def _node(name: str, *status: CloudProviderNodeStatus) -> NodeType:
    info = CloudProviderNodeInfo(status=list(status))
    return NodeType(name, 16384, 4.0, name, name, "General Purpose", node_info=info)


def _failed(found: dict[str, Check]) -> list[str]:
    return [what for what, check in found.items() if check.state == "failed"]


def test_a_workspace_with_everything_has_no_failed_line(look: Look) -> None:
    """Each line is there and ok, and says who we are where."""
    found = look()
    assert (NEW_CLUSTER, {"ok"}) == (list(found), {check.state for check in found.values()})
    assert f"{ME} on {HOST}, by pat" == found["authentication"].found


def test_the_workspace_is_asked_at_most_eight_times(look: Look, workspace: _Workspace) -> None:
    """Also where everything is named that can be named."""
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    look(toml, policy_id="small", secret_scope="harness")
    assert 8 == len(workspace.calls)


@pytest.mark.parametrize(
    "error", [Unauthenticated("401"), PermissionDenied("Invalid access token.")], ids=["401", "403"]
)
def test_nothing_is_asked_of_a_workspace_that_does_not_know_us(
    look: Look, workspace: _Workspace, error: Exception
) -> None:
    """The line that failed is the last one, and says how to authenticate."""
    workspace.answers["me"] = error
    found = look()
    assert (["authentication"], ["me"]) == (list(found), workspace.calls)
    assert "databricks auth login" in found["authentication"].remedy


def test_a_credential_that_ends_in_the_middle_ends_the_lines(look: Look, workspace: _Workspace) -> None:
    """What was seen before stays."""
    workspace.answers["runtimes"] = Unauthenticated("expired")
    found = look()
    assert (["authentication", "settings", "permission", "runtime"], ["runtime"]) == (
        list(found),
        _failed(found),
    )


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"files": ""}, "needs a folder"),
        ({"files": "/Workspace/Users/me/harness"}, "needs a place for the lake"),
        ({"lake": "/data/lake"}, "A cluster can't reach the lake"),
    ],
    ids=["no files", "no lake", "a local lake"],
)
def test_settings_that_lead_nowhere_are_told(look: Look, chosen: dict[str, str], expected: str) -> None:
    """Nothing else is asked: it would be asked of the wrong place."""
    found = look(**chosen)
    assert (["authentication", "settings"], ["settings"]) == (list(found), _failed(found))
    assert expected in found["settings"].found


@pytest.mark.parametrize(
    ("entitlements", "groups", "expected"),
    [
        (["allow-cluster-create"], [], "ok"),
        ([], ["users", "admins"], "ok"),
        (["workspace-access"], ["users"], "not checkable"),
        (["workspace-access"], [], "failed"),
    ],
    ids=["own", "admin", "perhaps a group's", "none"],
)
def test_the_right_to_create_clusters_is_looked_for(
    look: Look, workspace: _Workspace, entitlements: list[str], groups: list[str], expected: str
) -> None:
    """A right of one's own or an admin's is one; what a group gives is not for everyone to see."""
    workspace.answers["me"] = User(
        user_name=ME,
        entitlements=[ComplexValue(value=each) for each in entitlements],
        groups=[ComplexValue(display=each) for each in groups],
    )
    assert expected == look()["permission"].state


def test_a_policy_that_can_be_read_permits(look: Look, workspace: _Workspace) -> None:
    """Whoever may use a policy may create clusters by it."""
    workspace.answers["me"] = User(user_name=ME)
    found = look(policy_id="0003")["permission"]
    assert ("ok", "by the cluster policy 'small'") == (found.state, found.found)


def test_a_policy_that_is_not_there_is_told(look: Look, workspace: _Workspace) -> None:
    """The message has its id, the remedy the setting."""
    workspace.answers["policy"] = NotFound("Can't find a cluster policy with id: 0003.")
    found = look(policy_id="0003")["permission"]
    assert ("failed", True) == (found.state, "with id: 0003" in found.found)
    assert "HARNESS_TARGETS_DATABRICKS_POLICY_ID" in found.remedy


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("16.4.x-cpu-ml-scala2.12", "16.4 LTS ML"),
        ("15.4.x-cpu-ml-scala2.12", "There is no runtime 15.4.x-cpu-ml-scala2.12."),
        ("16.4.x-scala2.12", "16.4.x-scala2.12 is no ML runtime."),
    ],
    ids=["there", "not there", "no ML"],
)
def test_the_runtime_is_looked_for(look: Look, runtime: str, expected: str) -> None:
    """It has to be one that the workspace offers, and for machine learning."""
    assert look(runtime=runtime)["runtime"].found.startswith(expected)


def test_a_node_type_that_is_not_there_is_told(look: Look) -> None:
    """With the name that was probably meant."""
    found = look(node_type="Standard_D4ds_v4")["node type"]
    assert "failed" == found.state
    assert "Did you mean 'Standard_D4ds_v5'?" in found.found


def test_a_node_type_that_cannot_be_had_is_told(look: Look, workspace: _Workspace) -> None:
    """The list has also what the region or the subscription does not."""
    node = _node("Standard_D4ds_v5", CloudProviderNodeStatus.NOT_ENABLED_ON_SUBSCRIPTION)
    workspace.answers["nodes"] = ListNodeTypesResponse([node])
    assert "Standard_D4ds_v5 can't be had: NotEnabledOnSubscription." == look()["node type"].found


def test_a_pool_stands_for_the_node_type(look: Look) -> None:
    """It has its own."""
    found = look(instance_pool_id="p-1")
    assert ("warm (D4)", False) == (found["instance pool"].found, "node type" in found)


def test_a_pool_that_is_gone_is_told(look: Look, workspace: _Workspace) -> None:
    """A pool that was deleted is still found by its id."""
    workspace.answers["pool"] = GetInstancePool("p-1", state=InstancePoolState.DELETED)
    assert "its state is DELETED" in look(instance_pool_id="p-1")["instance pool"].found


def test_an_existing_cluster_stands_for_a_new_one(look: Look) -> None:
    """Nobody needs to be permitted to create one then."""
    found = look(cluster_id="c-1")
    assert ("ok", f"warm ({RUNTIME})") == (found["cluster"].state, found["cluster"].found)
    assert not {"permission", "runtime", "node type"} & set(found)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("data_security_mode", DataSecurityMode.USER_ISOLATION, "the access mode USER_ISOLATION"),
        ("data_security_mode", None, "the access mode none"),
        ("single_user_name", "joe@example.com", "is dedicated to joe@example.com"),
        ("spark_version", "15.4.x-cpu-ml-scala2.12", f"the runtime 15.4.x-cpu-ml-scala2.12, not {RUNTIME}"),
    ],
    ids=["standard mode", "no isolation", "somebody else's", "another runtime"],
)
def test_a_cluster_that_will_not_do_is_told(
    look: Look, workspace: _Workspace, field: str, value: object, expected: str
) -> None:
    """What is wrong with it is known before the run is sent."""
    workspace.answers["cluster"] = ClusterDetails.from_dict(CLUSTER.as_dict())
    setattr(workspace.answers["cluster"], field, value)
    found = look(cluster_id="c-1")["cluster"]
    assert ("failed", True) == (found.state, expected in found.found)


def test_the_folder_for_files_is_made(look: Look, workspace: _Workspace) -> None:
    """Nothing less shows that it can be written, and the run needs it anyway."""
    assert "ok" == look()["files"].state
    assert [True] == [
        call.startswith(f"folder {VOLUME}/until-") for call in workspace.calls if "fold" in call
    ]


@pytest.mark.parametrize(
    "error",
    [NotFound("Volume does not exist."), PermissionDenied("No WRITE VOLUME.")],
    ids=["none", "no right"],
)
def test_a_volume_that_cannot_be_written_is_told(look: Look, workspace: _Workspace, error: Exception) -> None:
    """With the grants that it takes; the other lines are there all the same."""
    workspace.answers["folder"] = error
    found = look()
    assert (NEW_CLUSTER, ["files"]) == (list(found), _failed(found))
    assert "WRITE VOLUME ON VOLUME main.default.harness" in found["files"].remedy


def test_each_volume_is_tried_once(look: Look, workspace: _Workspace) -> None:
    """The lake's own is another than the files'; the models lie in the lake's."""
    found = look(lake="/Volumes/main/lake/tables/x", models="/Volumes/main/lake/tables/y")
    assert ("ok", False) == (found["lake"].state, "models" in found)
    assert 2 == sum(call.startswith("folder") for call in workspace.calls)


def test_a_storage_account_is_not_checkable(look: Look) -> None:
    """Only a cluster gets to it, by a secret or by an external location."""
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    uri, other = "abfss://lake@dls.dfs.core.windows.net", "abfss://lake@other.dfs.core.windows.net"
    found = look(toml, secret_scope="harness", lake=other, models=uri)
    assert ("not checkable", "not checkable") == (found["lake"].state, found["models"].state)
    assert "external location" in found["lake"].found
    assert "its secret" in found["models"].found


def test_models_need_a_credential_of_their_account(look: Look) -> None:
    """Bundles are copied by Azure's client, which knows no external location."""
    found = look(models="abfss://models@other.dfs.core.windows.net")["models"]
    assert ("failed", True) == (found.state, "knows no external location" in found.found)
    assert "secret_name" in found.remedy


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([SecretMetadata("lake-key")], "lake-key in the scope 'harness'"),
        ([SecretMetadata("other")], "The secret scope 'harness' does not have lake-key."),
    ],
    ids=["there", "missing"],
)
def test_secrets_are_looked_for_by_name(
    look: Look, workspace: _Workspace, there: list[SecretMetadata], expected: str
) -> None:
    """Their values are not asked for."""
    workspace.answers["secrets"] = there
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    assert expected == look(toml, secret_scope="harness")["secrets"].found


@pytest.mark.parametrize(
    ("path", "experiment", "state"),
    [
        ("", None, "ok"),
        ("/Shared/loans", None, "not checkable"),
        ("", Experiment(lifecycle_stage="active"), "ok"),
        ("/Shared/loans", Experiment(tags=[ExperimentTag("mlflow.ownerEmail", ME)]), "ok"),
        ("/Shared/loans", Experiment(tags=[ExperimentTag("mlflow.ownerEmail", "joe")]), "not checkable"),
        ("", Experiment(lifecycle_stage="deleted"), "failed"),
    ],
    ids=["new", "new elsewhere", "in our folder", "ours", "somebody's", "deleted"],
)
def test_the_experiment_is_looked_for(
    look: Look, workspace: _Workspace, path: str, experiment: Experiment | None, state: str
) -> None:
    """In one's own folder one may write; elsewhere nobody tells who may."""
    if experiment is not None:
        workspace.answers["experiment"] = GetExperimentByNameResponse(experiment)
    assert state == look(experiment=path)["experiment"].state


def test_an_experiments_folder_has_to_be_there(look: Look, workspace: _Workspace) -> None:
    """MLflow makes experiments, no folders."""
    workspace.answers["status"] = NotFound("Path (/Shared/x) doesn't exist.")
    found = look(experiment="/Shared/x/loans")["experiment"]
    assert ("failed", True) == (found.state, "/Shared/x" in found.found)


def test_the_embedded_target_is_looked_at(tmp_path: Path) -> None:
    """Java, jars, the home folder, the disk and the tracking store, without making any of them."""
    home = tmp_path / "home"
    found = list(Embedded(read_settings({"home": str(home)}, folder=tmp_path, environ={})).checks())
    assert ["Java 17", "jars", "home", "disk", "tracking store"] == [check.what for check in found]
    assert ([], False) == ([check for check in found if check.state == "failed"], home.exists())


def test_a_java_that_is_none_is_a_failed_line(tmp_path: Path) -> None:
    """With the message and the remedy that a run would end with."""
    settings = read_settings(folder=tmp_path, environ={"HARNESS_JAVA_HOME": str(tmp_path)})
    found = next(iter(Embedded(settings).checks()))
    assert ("failed", True, True) == (found.state, "holds no Java" in found.found, bool(found.remedy))


def test_jars_that_are_not_there_are_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run fetches them; nobody can say before whether it will get them."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    found = {check.what: check for check in Embedded(read_settings(folder=tmp_path, environ={})).checks()}
    assert "not checkable" == found["jars"].state


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Also where what is in the way is a file."""
    (tmp_path / "file").touch()
    settings = read_settings({"home": str(tmp_path / "file" / "home")}, folder=tmp_path, environ={})
    found = {check.what: check for check in Embedded(settings).checks()}
    assert "failed" == found["home"].state
    assert "HARNESS_HOME" in found["home"].remedy


def test_room_and_right_are_asked_of_the_nearest_folder(tmp_path: Path) -> None:
    """A folder that is not there yet will lie in it."""
    assert "a run needs 200 MB" in room(tmp_path / "a" / "b")
    assert (f"{tmp_path / 'a'} can be made", str(tmp_path)) == (
        writable(tmp_path / "a"),
        writable(tmp_path),
    )


def test_a_tracking_file_is_looked_at(tmp_path: Path) -> None:
    """It is there, or will be."""
    file = tmp_path / "mlflow.db"
    before = tracking_store(f"sqlite:///{file}")
    file.touch()
    assert (f"{file} is made by the first run", str(file)) == (
        before.found,
        tracking_store(f"sqlite:///{file}").found,
    )


@pytest.fixture(name="server")
def _server() -> Iterator[Callable[[int], str]]:
    """A server's address, which answers everything with a code."""
    servers: list[HTTPServer] = []

    def serve(code: int) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("code", "expected"), [(200, "answers"), (401, "answers with 401")])
def test_a_tracking_server_is_asked(server: Callable[[int], str], code: int, expected: str) -> None:
    """One that asks for a login is there, too."""
    url = server(code)
    assert ("ok", f"{url} {expected}") == (tracking_store(url).state, tracking_store(url).found)


def test_a_tracking_server_that_is_not_there_is_told() -> None:
    """The message has its address, the remedy the setting."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}"
    found = tracking_store(url)
    assert ("failed", True) == (found.state, url in found.found)
    assert "HARNESS_TRACKING_URI" in found.remedy


def test_a_database_elsewhere_is_not_checkable() -> None:
    """And its URI, which may hold a password, is not shown."""
    found = tracking_store("postgresql://me:secret@db/mlflow")
    assert ("not checkable", False) == (found.state, "secret" in found.found)


def _compose(folder: Path, **environ: str) -> dict[str, Check]:
    settings = read_settings({"target": "compose"}, folder=folder, environ=environ)
    return {check.what: check for check in Compose(settings).checks()}


def _docker(folder: Path, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    (folder / "bin").mkdir()
    cases = "\n".join((*answers, "*) exit 1 ;;"))
    (folder / "bin" / "docker").write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\nesac\n')
    (folder / "bin" / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))


def test_compose_without_docker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine would have to tell is not listed behind it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = _compose(tmp_path)
    assert (["home", "disk", "memory", "Docker"], ["Docker"]) == (list(found), _failed(found))


def test_compose_without_images_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy makes them; the ports are looked at nevertheless."""
    _docker(tmp_path, monkeypatch, "info) echo 27.5.1 ;;", "compose) echo 2.24.0 ;;")
    found = _compose(tmp_path)
    assert "'make up' makes them." == found["images"].remedy
    assert "ports" in found


def test_a_port_that_is_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Callable[[int], str]
) -> None:
    """The remedy has the setting that moves it."""
    _docker(tmp_path, monkeypatch, "info) echo 27.5.1 ;;", "compose) echo 2.24.0 ;;", "image) ;;")
    port = server(200).rpartition(":")[2]
    found = _compose(tmp_path, HARNESS_AZURITE_PORT=port)
    assert ("ok", "failed") == (found["images"].state, found["ports"].state)
    assert "HARNESS_AZURITE_PORT" in found["ports"].remedy


def test_a_worker_without_memory_for_an_executor_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any image is built."""
    _docker(tmp_path, monkeypatch)
    assert "memory" in _failed(_compose(tmp_path, HARNESS_WORKER_MEMORY="512m"))


CHECKS = (
    Check("Java 17", "ok", "17.0.15"),
    Check("lake", "not checkable", "a cluster alone can tell"),
    Check("files", "failed", "No such volume.\nsecond line", "Make it."),
)


def _shown(encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    show_checks(Console(file=file, width=40), CHECKS)
    file.seek(0)
    return file.read().splitlines()


def test_each_check_is_a_line() -> None:
    """Sign, state, what it is about and what was seen; below a failed one its remedy. No line is broken."""
    assert [
        "✓ ok             Java 17: 17.0.15",
        "? not checkable  lake: a cluster alone can tell",
        "✗ failed         files: No such volume.",
        "                 second line",
        "                 Make it.",
    ] == _shown()


def test_checks_are_shown_in_ascii() -> None:
    """Where the terminal has no more."""
    assert ["+", "?", "x"] == [line[0] for line in _shown("ascii") if line[0] != " "]


def test_a_check_is_shown_when_it_is_there() -> None:
    """Not when the last one is: some take seconds."""
    file = io.StringIO()

    def slow() -> Iterator[Check]:
        yield CHECKS[0]
        assert "Java 17" in file.getvalue()

    assert show_checks(Console(file=file), slow())


@pytest.mark.parametrize(("checks", "well"), [(CHECKS[:2], True), (CHECKS, False), ((), True)])
def test_a_failed_check_is_told_to_the_caller(checks: tuple[Check, ...], well: bool) -> None:
    """What could not be looked at has not failed."""
    assert well is show_checks(Console(file=io.StringIO()), checks)
