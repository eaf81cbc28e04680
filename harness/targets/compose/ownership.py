"""The folder that a stack belongs to, so that another checkout of the project leaves it alone.

The folder of the secrets has an ID, and the stack has the same ID in the labels of an empty volume, which is
created before anything else of the stack and removed with its data. A folder that was moved still has the ID.
A second checkout and a git worktree have another one. A copy has the same ID, but the original still exists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.targets.compose.docker import PROJECT, run_docker
from harness.targets.compose.secrets import StackFiles, read_id

_LABEL = "harness.stack"
_COMPOSE_LABEL = "com.docker.compose.project"
_OTHER_NAME = (
    "Set HARNESS_STACK to another name. To use both at the same time, also set HARNESS_AZURITE_PORT, "
    "HARNESS_MLFLOW_PORT and HARNESS_SPARK_PORT to free ports."
)


@dataclass(frozen=True)
class Owner:
    """The folder that a stack belongs to, from its labels."""

    id: str
    project: str
    files: str
    """Folder of its secrets, which has the ID."""


def find_owner(stack: str) -> Owner | None:
    """Return the owner of a stack, or ``None`` if the stack doesn't exist or has no labels."""
    answer = run_docker(["volume", "inspect", "--format", "{{json .Labels}}", _name_volume(stack)])
    labels = (json.loads(answer.stdout) if answer.returncode == 0 else None) or {}
    if f"{_LABEL}.id" not in labels:
        return None
    return Owner(*(labels.get(f"{_LABEL}.{name}", "") for name in ("id", "project", "files")))


def claim(stack: str, files: StackFiles) -> None:
    """Write this folder into the stack's labels.

    Raises:
        PrerequisiteError: Another command was faster, for another folder.
    """
    owner = Owner(files.id, str(PROJECT), str(files.folder))
    found = find_owner(stack)
    if found not in (None, owner):
        require_own(stack, files)
        # This folder's own, from before it was moved.
        remove_claim(stack)
    labels = {f"{_LABEL}.{name}": value for name, value in vars(owner).items()} | {_COMPOSE_LABEL: stack}
    options = [option for name, value in labels.items() for option in ("--label", f"{name}={value}")]
    # If the volume exists, Docker changes nothing: of two commands at once, one gets the stack.
    run_docker(["volume", "create", *options, _name_volume(stack)])
    require_own(stack, files)


def remove_claim(stack: str) -> None:
    """Remove the labels, with the stack's data."""
    run_docker(["volume", "rm", "--force", _name_volume(stack)])


def require_own(stack: str, files: StackFiles, *, or_abandoned: bool = False) -> None:
    """Require that a stack, if it exists, belongs to this folder.

    Args:
        stack: Name of the stack.
        files: Secrets of this folder.
        or_abandoned: Whether a stack is accepted whose secrets no folder has any more.

    Raises:
        PrerequisiteError: The stack belongs to another folder.
    """
    error = explain_other_owner(stack, files, or_abandoned=or_abandoned)
    if error is not None:
        raise error


def explain_other_owner(
    stack: str, files: StackFiles, *, or_abandoned: bool = False
) -> PrerequisiteError | None:
    """Return the error for a stack of another folder; ``None`` if it is this folder's, or doesn't exist."""
    owner = find_owner(stack)
    if owner is None:
        folder = _find_other_project(stack)
        if folder is not None:
            return _make_error(stack, folder, str(PROJECT))
        is_abandoned = not files.folder.is_dir() and _has_data(stack)
        return _make_abandoned_error(stack, str(files.folder)) if is_abandoned and not or_abandoned else None
    original = Path(owner.files)
    if read_id(original) != owner.id:
        # Moved, or lost.
        is_own = files.id == owner.id or or_abandoned
        return None if is_own else _make_abandoned_error(stack, owner.files)
    is_here = original.resolve() == files.folder.resolve()
    if is_here:
        return None
    if owner.project == str(PROJECT):
        # The same checkout, with another home.
        return _make_error(stack, str(original.parent), str(files.folder.parent))
    return _make_error(stack, owner.project, str(PROJECT))


def _make_error(stack: str, owner: str, here: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"The stack '{stack}' belongs to the folder {owner}, not to {here}.", remedy=_OTHER_NAME
    )


def _make_abandoned_error(stack: str, files: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"The stack '{stack}' has data, but its secrets are missing: {files} doesn't have them any more.",
        remedy=f"Restore that folder, or set HARNESS_STACK to another name. 'make clean' deletes '{stack}' "
        "with its data.",
    )


def _name_volume(stack: str) -> str:
    return f"{stack}_owner"


def _find_other_project(stack: str) -> str | None:
    """Return the folder of a Compose project with the same name, if it isn't this one."""
    label = f"{_COMPOSE_LABEL}.working_dir"
    arguments = ["ps", "--all", "--filter", f"label={_COMPOSE_LABEL}={stack}"]
    folders = run_docker([*arguments, "--format", f'{{{{.Label "{label}"}}}}']).stdout.splitlines()
    return next((each for each in folders if each and Path(each).resolve() != PROJECT.resolve()), None)


def _has_data(stack: str) -> bool:
    names = run_docker(["volume", "ls", "--filter", f"name={stack}_", "--format", "{{.Name}}"])
    return f"{stack}_azurite" in names.stdout.split()
