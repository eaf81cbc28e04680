"""What a workspace must have and permit for a run, asked of it before anything is sent or started.

With one volume it takes nine calls of the API at most, and two more for each further volume. No cluster is
started, and what is written is gone again at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING

from harness.errors import HarnessError, NotThereError
from harness.setting_types import Settings
from harness.storage.uri import SCHEME, VOLUMES, StorageUri
from harness.suggestions import did_you_mean
from harness.targets.checks import Check, State
from harness.targets.databricks.client import UnreachableError, told
from harness.targets.databricks.databricks_definition import DATABRICKS_SETTINGS
from harness.targets.databricks.workspace_files import nearest, open_files, try_writing

if TYPE_CHECKING:
    from databricks.sdk.service.compute import ClusterDetails
    from databricks.sdk.service.ml import Experiment

    from harness.plan import Environment
    from harness.targets.databricks.databricks_target import Databricks

_Seen = tuple[State, str]
_Look = tuple[str, str, Callable[[], _Seen]]
"""What is looked at, the remedy where it fails (the fault's own where it is empty), and the look itself."""

_ALL_ELSE_NEEDS = ("authentication", "settings")
_CREATE = "allow-cluster-create"
_DEDICATED = ("DATA_SECURITY_MODE_DEDICATED", "SINGLE_USER")
_ML = "-ml-"
_ML_PART = re.compile(r"-(cpu|gpu)-ml-")
_OWNER = "mlflow.ownerEmail"
_VARIABLE = "HARNESS_TARGETS_DATABRICKS_"


def checks(settings: Settings, target: Databricks) -> Iterator[Check]:
    """Every line, as soon as the workspace has answered; none that could not be asked any more.

    Args:
        settings: Of the target.
        target: Leads to the workspace.
    """
    for what, remedy, see in _Doctor(settings, target).looks():
        try:
            state, found = see()
        except UnreachableError as error:
            yield Check(what, "failed", error.message, error.remedy or "")
            return
        except HarnessError as error:
            yield Check(what, "failed", error.message, remedy or error.remedy or "")
            if what in _ALL_ELSE_NEEDS:
                return
        else:
            yield Check(what, state, found)


class _Doctor:
    """Each method looks at one thing: gives what it saw, or raises what is missing."""

    def __init__(self, settings: Settings, target: Databricks) -> None:
        self._settings = settings
        self._target = target

    def looks(self) -> Iterator[_Look]:
        yield "authentication", "", self._authentication
        yield "settings", "", self._places
        yield from self._compute()
        yield from self._storage()
        if any(account.secret_name for account in self._environment.accounts):
            remedy = "'databricks secrets put-secret SCOPE NAME' puts one there; its owner lets others read."
            yield "secrets", remedy, self._secrets
        remedy = f"Set {_VARIABLE}EXPERIMENT to a path in a folder that is there, like /Users/NAME/harness."
        yield "experiment", remedy, self._experiment

    def _compute(self) -> Iterator[_Look]:
        if self._chosen("cluster_id"):
            remedy = f"Set {_VARIABLE}CLUSTER_ID to another one, or to none: then one is made for each run."
            yield "cluster", remedy, self._cluster
            return
        remedy = f"An admin grants 'Unrestricted cluster creation'; or name a policy: {_VARIABLE}POLICY_ID."
        yield "permission", remedy, self._permission
        remedy = f"Set {_VARIABLE}RUNTIME to 16.4.x-cpu-ml-scala2.12 or 15.4.x-cpu-ml-scala2.12."
        yield "runtime", remedy, self._runtime
        if self._chosen("instance_pool_id"):
            remedy = f"Set {_VARIABLE}INSTANCE_POOL_ID to one that we may attach to, or to none."
            yield "instance pool", remedy, self._pool
        else:
            yield "node type", f"Set {_VARIABLE}NODE_TYPE to one that is there.", self._node_type

    def _storage(self) -> Iterator[_Look]:
        """The folder for files, further volumes, and accounts that only a cluster can reach."""
        root = self._target.root
        yield "files", _grant(root), partial(self._writable, root)
        asked = {_volume(root)}
        for name, place in self._further_places():
            if place.startswith(SCHEME):
                yield name, "", partial(self._account, place)
            elif _volume(place) not in asked:
                asked.add(_volume(place))
                yield name, _grant(place), partial(self._writable, place)

    def _further_places(self) -> Iterator[tuple[str, str]]:
        environment = self._environment
        yield "lake", environment.lake
        yield "models", environment.model_store
        if environment.scratch is not None:
            yield "model volume", environment.scratch

    def _authentication(self) -> _Seen:
        config = self._target.workspace.config
        return "ok", f"{self._target.me.user_name} on {config.host}, by {config.auth_type}"

    def _places(self) -> _Seen:
        root, environment = self._target.root, self._environment
        return "ok", f"files in {root}, lake {environment.lake}, models {environment.model_store}"

    def _permission(self) -> _Seen:
        if policy_id := self._chosen("policy_id"):
            with told(self._target.workspace, f"read the cluster policy {policy_id}"):
                policy = self._target.workspace.cluster_policies.get(policy_id)
            return "ok", f"by the cluster policy '{policy.name}'"
        groups = [each.display or "" for each in self._target.me.groups or ()]
        if _CREATE in [each.value for each in self._target.me.entitlements or ()]:
            return "ok", f"to create clusters ({_CREATE})"
        if "admins" in groups:
            return "ok", "to create clusters, as an admin"
        if groups:
            # A workspace tells a user's own entitlements for sure; those of groups are an admin's to see.
            names = ", ".join(groups)
            return "not checkable", f"no {_CREATE} of our own; whether a group has it is not told: {names}"
        raise NotThereError(f"{self._target.me.user_name} may not create clusters ({_CREATE}).")

    def _runtime(self) -> _Seen:
        wanted = self._chosen("runtime")
        with told(self._target.workspace, "list the runtimes"):
            found = self._target.workspace.clusters.spark_versions().versions or []
        names = {each.key or "": each.name or "" for each in found}
        if wanted not in names:
            raise NotThereError(f"There is no runtime {wanted}.{did_you_mean(wanted, sorted(names))}")
        _require_ml(wanted)
        return "ok", names[wanted]

    def _node_type(self) -> _Seen:
        wanted = self._chosen("node_type")
        with told(self._target.workspace, "list the node types"):
            found = self._target.workspace.clusters.list_node_types().node_types or []
        types = {each.node_type_id: each for each in found}
        if wanted not in types:
            raise NotThereError(f"There is no node type {wanted}.{did_you_mean(wanted, sorted(types))}")
        info = types[wanted].node_info
        if info is not None and info.status:
            raise NotThereError(f"{wanted} can't be had: {', '.join(each.value for each in info.status)}.")
        return "ok", wanted

    def _pool(self) -> _Seen:
        pool_id = self._chosen("instance_pool_id")
        with told(self._target.workspace, f"read the instance pool {pool_id}"):
            pool = self._target.workspace.instance_pools.get(pool_id)
        state = pool.state.value if pool.state is not None else "unknown"
        if state != "ACTIVE":
            raise NotThereError(f"The instance pool {pool_id} can't be used: its state is {state}.")
        return "ok", f"{pool.instance_pool_name} ({pool.node_type_id})"

    def _cluster(self) -> _Seen:
        cluster_id = self._chosen("cluster_id")
        with told(self._target.workspace, f"read the cluster {cluster_id}"):
            cluster = self._target.workspace.clusters.get(cluster_id)
        self._require_dedicated(cluster)
        wanted, runtime = self._chosen("runtime"), cluster.spark_version or "none"
        if cluster.use_ml_runtime and _without_ml(runtime) == _without_ml(wanted):
            return "ok", f"{cluster.cluster_name} ({runtime}, for machine learning)"
        if runtime != wanted:
            raise NotThereError(f"The cluster {cluster_id} has the runtime {runtime}, not {wanted}.")
        _require_ml(wanted)
        return "ok", f"{cluster.cluster_name} ({runtime})"

    def _require_dedicated(self, cluster: ClusterDetails) -> None:
        mode = cluster.data_security_mode.value if cluster.data_security_mode is not None else "none"
        if mode not in _DEDICATED:
            raise NotThereError(
                f"The cluster {cluster.cluster_id} has the access mode {mode}; a dedicated one is needed."
            )
        owner = cluster.single_user_name
        ours = [self._target.me.user_name, *(each.display for each in self._target.me.groups or ())]
        if owner and owner not in ours:
            raise NotThereError(f"The cluster {cluster.cluster_id} is dedicated to {owner}.")

    def _writable(self, folder: str) -> _Seen:
        # A volume is let into as a whole: what is to lie in it need not be there yet.
        files = open_files(self._target.workspace, folder)
        try_writing(files, _volume(folder) if folder.startswith(VOLUMES) else nearest(files, folder))
        return "ok", f"{folder} can be written"

    def _account(self, uri: str) -> _Seen:
        account = StorageUri.parse(uri).account
        if uri == self._environment.model_store and account not in [
            each.name for each in self._environment.accounts
        ]:
            raise NotThereError(
                f"Bundles can't be copied to {uri}: Azure's client knows no external location.",
                remedy=f"Give [accounts.{account}] a secret_name, or set {_VARIABLE}MODELS to a volume.",
            )
        if account in [each.name for each in self._environment.accounts]:
            return "not checkable", f"{uri}: whether its secret opens it, a cluster alone can tell"
        return "not checkable", f"{uri}: whether an external location covers it, a cluster alone can tell"

    def _secrets(self) -> _Seen:
        """Their names: no value is asked for."""
        scope = self._chosen("secret_scope")
        with told(self._target.workspace, f"list the names in the secret scope '{scope}'"):
            there = [each.key for each in self._target.workspace.secrets.list_secrets(scope)]
        named = sorted({each.secret_name for each in self._environment.accounts if each.secret_name})
        if missing := [name for name in named if name not in there]:
            raise NotThereError(f"The secret scope '{scope}' does not have {', '.join(missing)}.")
        return "ok", f"{', '.join(named)} in the scope '{scope}'"

    def _experiment(self) -> _Seen:
        path = self._target.experiment
        own = path.startswith(f"/Users/{self._target.me.user_name}/")
        experiment = self._find_experiment(path)
        if experiment is None:
            self._require_folder(path.rpartition("/")[0])
            if own:
                return "ok", f"{path} is made by the first run"
            return "not checkable", f"{path} is made by the first run, if it may"
        if experiment.lifecycle_stage == "deleted":
            raise NotThereError(f"The experiment {path} is deleted, and its name taken until it is purged.")
        owners = [tag.value for tag in experiment.tags or () if tag.key == _OWNER]
        if own or self._target.me.user_name in owners:
            return "ok", path
        return "not checkable", f"{path} is there; whether we may write it, the first run can tell"

    def _find_experiment(self, path: str) -> Experiment | None:
        from databricks.sdk.errors import NotFound

        with told(self._target.workspace, f"look for the experiment {path}"):
            try:
                return self._target.workspace.experiments.get_by_name(path).experiment
            except NotFound:
                return None

    def _require_folder(self, folder: str) -> None:
        if folder:
            with told(self._target.workspace, f"find the experiment's folder {folder}"):
                self._target.workspace.workspace.get_status(folder)

    @cached_property
    def _environment(self) -> Environment:
        return self._target.environment(None, "")

    def _chosen(self, name: str) -> str:
        return self._settings[DATABRICKS_SETTINGS + name]


def _without_ml(runtime: str) -> str:
    """A runtime's name as a cluster has it whose ML runtime was switched on: the switch is told beside it."""
    return _ML_PART.sub("-", runtime)


def _require_ml(runtime: str) -> None:
    if _ML not in runtime:
        raise NotThereError(f"{runtime} is no ML runtime.")


def _volume(path: str) -> str:
    """The volume that a path lies in; what is in none is a place of its own."""
    return "/".join(path.split("/")[:5]) if path.startswith(VOLUMES) else path


def _grant(place: str) -> str:
    if not place.startswith(VOLUMES):
        return f"Be let into {place} with the right to edit, or set {_VARIABLE}FILES to a folder of your own."
    volume = ".".join(place.split("/")[2:5])
    return (
        "'databricks volumes create' makes the volume; its owner lets us in by 'GRANT READ VOLUME, WRITE "
        f"VOLUME ON VOLUME {volume}', with USE CATALOG and USE SCHEMA."
    )
