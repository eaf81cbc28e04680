"""Checks of a workspace's permissions and contents, before anything is uploaded or started.

With one volume they take at most nine API calls, two more for each further volume, and one for a schema. No
cluster is started, and everything that is written is removed again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING

from harness.errors import HarnessError, PrerequisiteError, did_you_mean
from harness.setting_types import Settings
from harness.storage.uris import SCHEME, VOLUMES, StorageUri
from harness.targets.checks import Check, State
from harness.targets.databricks import read_setting
from harness.targets.databricks.catalog_tables import require_schema
from harness.targets.databricks.client import UnreachableError, translate_errors
from harness.targets.databricks.cluster import RUNTIMES
from harness.targets.databricks.experiment import find_experiment
from harness.targets.databricks.workspace_files import find_nearest_existing, open_files, try_writing

if TYPE_CHECKING:
    from databricks.sdk.service.compute import ClusterDetails

    from harness.plan import Environment
    from harness.targets.databricks.databricks_target import Databricks

_Finding = tuple[State, str]
_PlannedCheck = tuple[str, str, Callable[[], _Finding]]
"""Name of a check, the remedy if it fails (the error's own if it is empty), and the check itself."""

_REQUIRED_BY_OTHERS = ("authentication", "settings")
_CREATE = "allow-cluster-create"
_DEDICATED_MODES = ("DATA_SECURITY_MODE_DEDICATED", "SINGLE_USER")
_ML = "-ml-"
_ML_PART = re.compile(r"-(cpu|gpu)-ml-")
_OWNER = "mlflow.ownerEmail"
_VARIABLE = "HARNESS_TARGETS_DATABRICKS_"


def check_workspace(settings: Settings, target: Databricks) -> Iterator[Check]:
    """Yield each check as soon as the workspace has answered, until the workspace is unreachable.

    Args:
        settings: Settings with those of this target.
        target: Target with the client of the workspace.
    """
    for subject, remedy, check in _WorkspaceChecks(settings, target).list_checks():
        try:
            state, finding = check()
        except UnreachableError as error:
            yield Check(subject, "failed", error.message, error.remedy or "")
            return
        except HarnessError as error:
            yield Check(subject, "failed", error.message, remedy or error.remedy or "")
            if subject in _REQUIRED_BY_OTHERS:
                return
        else:
            yield Check(subject, state, finding)


class _WorkspaceChecks:
    """The checks of one workspace, each a method that returns its finding or raises an error."""

    def __init__(self, settings: Settings, target: Databricks) -> None:
        self._settings = settings
        self._target = target

    def list_checks(self) -> Iterator[_PlannedCheck]:
        yield "authentication", "", self._check_authentication
        yield "settings", "", self._check_locations
        yield from self._list_compute_checks()
        yield from self._list_storage_checks()
        if any(account.secret_name for account in self._environment.accounts):
            remedy = "Add one with 'databricks secrets put-secret SCOPE NAME'; the scope's owner grants READ."
            yield "secrets", remedy, self._check_secrets
        remedy = f"Set {_VARIABLE}EXPERIMENT to a path in an existing folder, such as /Users/NAME/harness."
        yield "experiment", remedy, self._check_experiment

    def _list_compute_checks(self) -> Iterator[_PlannedCheck]:
        if read_setting(self._settings, "cluster_id"):
            remedy = f"Set {_VARIABLE}CLUSTER_ID to another cluster, or unset it to create one for each run."
            yield "cluster", remedy, self._check_cluster
            return
        remedy = f"Ask an admin for 'Unrestricted cluster creation', or set {_VARIABLE}POLICY_ID to a policy."
        yield "permission", remedy, self._check_permission
        yield "runtime", f"{RUNTIMES}.", self._check_runtime
        if read_setting(self._settings, "instance_pool_id"):
            remedy = f"Set {_VARIABLE}INSTANCE_POOL_ID to a pool that you may attach to, or unset it."
            yield "instance pool", remedy, self._check_pool
        else:
            yield "node type", f"Set {_VARIABLE}NODE_TYPE to an existing node type.", self._check_node_type

    def _list_storage_checks(self) -> Iterator[_PlannedCheck]:
        """Yield checks of the upload folder, further volumes, and accounts that only a cluster can reach."""
        root = self._target.root
        yield "files", _grant_remedy(root), partial(self._check_folder, root)
        if schema := self._target.schema:
            remedy = (
                "Create it with 'databricks schemas create'; its owner grants access with 'GRANT USE SCHEMA, "
                f"CREATE TABLE ON SCHEMA {schema}', and USE CATALOG."
            )
            yield "schema", remedy, partial(self._check_schema, schema)
        checked = {_find_volume(root)}
        for name, location in self._list_further_locations():
            if location.startswith(SCHEME):
                yield name, "", partial(self._check_account, location)
            elif _find_volume(location) not in checked:
                checked.add(_find_volume(location))
                yield name, _grant_remedy(location), partial(self._check_folder, location)

    def _list_further_locations(self) -> Iterator[tuple[str, str]]:
        environment = self._environment
        yield "lake", environment.lake
        yield "models", environment.model_store
        if environment.scratch is not None:
            yield "model volume", environment.scratch

    def _check_authentication(self) -> _Finding:
        config = self._target.workspace.config
        return "ok", f"{self._target.me.user_name} on {config.host}, by {config.auth_type}"

    def _check_locations(self) -> _Finding:
        root, environment = self._target.root, self._environment
        return "ok", f"files in {root}, lake {environment.lake}, models {environment.model_store}"

    def _check_permission(self) -> _Finding:
        if policy_id := read_setting(self._settings, "policy_id"):
            with translate_errors(self._target.workspace, f"read the cluster policy {policy_id}"):
                policy = self._target.workspace.cluster_policies.get(policy_id)
            return "ok", f"by the cluster policy '{policy.name}'"
        groups = [each.display or "" for each in self._target.me.groups or ()]
        if _CREATE in [each.value for each in self._target.me.entitlements or ()]:
            return "ok", f"to create clusters ({_CREATE})"
        if "admins" in groups:
            return "ok", "to create clusters, as an admin"
        if groups:
            # A workspace returns a user's own entitlements; only an admin can see those of groups.
            names = ", ".join(groups)
            return (
                "not checkable",
                f"the user has no {_CREATE}; only an admin can see whether a group has it: {names}",
            )
        raise PrerequisiteError(f"{self._target.me.user_name} can't create clusters ({_CREATE}).")

    def _check_runtime(self) -> _Finding:
        runtime_name = read_setting(self._settings, "runtime")
        with translate_errors(self._target.workspace, "list the runtimes"):
            runtimes = self._target.workspace.clusters.spark_versions().versions or []
        names = {each.key or "": each.name or "" for each in runtimes}
        if runtime_name not in names:
            raise PrerequisiteError(
                f"Unknown runtime {runtime_name}.{did_you_mean(runtime_name, sorted(names))}"
            )
        _require_ml(runtime_name)
        return "ok", names[runtime_name]

    def _check_node_type(self) -> _Finding:
        type_name = read_setting(self._settings, "node_type")
        with translate_errors(self._target.workspace, "list the node types"):
            available_types = self._target.workspace.clusters.list_node_types().node_types or []
        types = {each.node_type_id: each for each in available_types}
        if type_name not in types:
            raise PrerequisiteError(f"Unknown node type {type_name}.{did_you_mean(type_name, sorted(types))}")
        info = types[type_name].node_info
        if info is not None and info.status:
            raise PrerequisiteError(
                f"{type_name} is not available: {', '.join(each.value for each in info.status)}."
            )
        return "ok", type_name

    def _check_pool(self) -> _Finding:
        pool_id = read_setting(self._settings, "instance_pool_id")
        with translate_errors(self._target.workspace, f"read the instance pool {pool_id}"):
            pool = self._target.workspace.instance_pools.get(pool_id)
        state = pool.state.value if pool.state is not None else "unknown"
        if state != "ACTIVE":
            raise PrerequisiteError(f"The instance pool {pool_id} can't be used: its state is {state}.")
        return "ok", f"{pool.instance_pool_name} ({pool.node_type_id})"

    def _check_cluster(self) -> _Finding:
        cluster_id = read_setting(self._settings, "cluster_id")
        with translate_errors(self._target.workspace, f"read the cluster {cluster_id}"):
            cluster = self._target.workspace.clusters.get(cluster_id)
        self._require_dedicated(cluster)
        runtime_name, runtime = read_setting(self._settings, "runtime"), cluster.spark_version or "none"
        if cluster.use_ml_runtime and _remove_ml_part(runtime) == _remove_ml_part(runtime_name):
            return "ok", f"{cluster.cluster_name} ({runtime}, for machine learning)"
        if runtime != runtime_name:
            raise PrerequisiteError(
                f"The cluster {cluster_id} has the runtime {runtime}, not {runtime_name}."
            )
        _require_ml(runtime_name)
        return "ok", f"{cluster.cluster_name} ({runtime})"

    def _require_dedicated(self, cluster: ClusterDetails) -> None:
        mode = cluster.data_security_mode.value if cluster.data_security_mode is not None else "none"
        if mode not in _DEDICATED_MODES:
            raise PrerequisiteError(
                f"The cluster {cluster.cluster_id} has the access mode {mode}, not a dedicated one."
            )
        owner = cluster.single_user_name
        own_names = [self._target.me.user_name, *(each.display for each in self._target.me.groups or ())]
        if owner and owner not in own_names:
            raise PrerequisiteError(f"The cluster {cluster.cluster_id} is dedicated to {owner}.")

    def _check_folder(self, folder: str) -> _Finding:
        # Permissions apply to a whole volume, so folders in it need not exist yet.
        files = open_files(self._target.workspace, folder)
        try_writing(
            files,
            _find_volume(folder) if folder.startswith(VOLUMES) else find_nearest_existing(files, folder),
        )
        return "ok", f"{folder} can be written"

    def _check_schema(self, schema: str) -> _Finding:
        require_schema(self._target.workspace, schema)
        return "ok", f"runs build their tables in {schema}"

    def _check_account(self, uri: str) -> _Finding:
        account = StorageUri.parse(uri).account
        if uri == self._environment.model_store and account not in [
            each.name for each in self._environment.accounts
        ]:
            raise PrerequisiteError(
                f"Bundles can't be copied to {uri}: Azure's client can't use an external location.",
                remedy=f"Give [accounts.{account}] a secret_name, or set {_VARIABLE}MODELS to a volume.",
            )
        if account in [each.name for each in self._environment.accounts]:
            return "not checkable", f"{uri}: only a cluster can check whether its secret is valid"
        return "not checkable", f"{uri}: only a cluster can check whether an external location covers it"

    def _check_secrets(self) -> _Finding:
        """Check the names of the secrets without reading their values."""
        scope = read_setting(self._settings, "secret_scope")
        with translate_errors(self._target.workspace, f"list the names in the secret scope '{scope}'"):
            available_names = [each.key for each in self._target.workspace.secrets.list_secrets(scope)]
        secret_names = sorted({each.secret_name for each in self._environment.accounts if each.secret_name})
        if missing := [name for name in secret_names if name not in available_names]:
            raise PrerequisiteError(f"The secret scope '{scope}' doesn't have {', '.join(missing)}.")
        return "ok", f"{', '.join(secret_names)} in the scope '{scope}'"

    def _check_experiment(self) -> _Finding:
        path = self._target.experiment
        own = path.startswith(f"/Users/{self._target.me.user_name}/")
        experiment = find_experiment(self._target.workspace, path)
        if experiment is None:
            self._require_folder(path.rpartition("/")[0])
            if own:
                return "ok", f"the first run creates {path}"
            return "not checkable", f"the first run creates {path} if it is permitted to"
        owners = [tag.value for tag in experiment.tags or () if tag.key == _OWNER]
        if own or self._target.me.user_name in owners:
            return "ok", path
        return "not checkable", f"{path} exists; only the first run can check whether it is writable"

    def _require_folder(self, folder: str) -> None:
        if folder:
            with translate_errors(self._target.workspace, f"find the experiment's folder {folder}"):
                self._target.workspace.workspace.get_status(folder)

    @cached_property
    def _environment(self) -> Environment:
        return self._target.environment(None, "")


def _remove_ml_part(runtime: str) -> str:
    """Return a runtime's name without its ML part, as a cluster with the ML switch reports it."""
    return _ML_PART.sub("-", runtime)


def _require_ml(runtime: str) -> None:
    if _ML not in runtime:
        raise PrerequisiteError(f"{runtime} is not an ML runtime.")


def _find_volume(path: str) -> str:
    """Return the volume of a path, or the path itself if it is not in a volume."""
    return "/".join(path.split("/")[:5]) if path.startswith(VOLUMES) else path


def _grant_remedy(location: str) -> str:
    if not location.startswith(VOLUMES):
        return f"Ask for the permission to edit {location}, or set {_VARIABLE}FILES to a folder of your own."
    volume = ".".join(location.split("/")[2:5])
    return (
        "Create the volume with 'databricks volumes create'; its owner grants access with 'GRANT READ "
        f"VOLUME, WRITE VOLUME ON VOLUME {volume}', USE CATALOG and USE SCHEMA."
    )
