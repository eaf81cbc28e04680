"""The folder that a stack belongs to, with an engine that keeps volumes and containers in files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ExitCode, PrerequisiteError
from harness.settings import Settings, read_settings
from harness.targets.compose import ownership
from harness.targets.compose.compose_target import Compose
from harness.targets.compose.secrets import StackFiles
from harness.targets.compose.stack import Stack

STACK = "dataset-harness"
DOCKER = """#!{python}
import json, sys
from pathlib import Path
store, words = Path({store!r}), sys.argv[1:]
with (store / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
match words:
    case ["info", *_]:
        print("27.5.1")
    case ["compose", "version", *_]:
        print("2.40.0")
    case ["compose", *_]:
        if "--volumes" in words:
            (store / "dataset-harness_azurite").unlink(missing_ok=True)
    case ["system" | "image", *_]:
        pass
    case ["volume", "create", *options, name]:
        labels = dict(each.split("=", 1) for each in options[1::2])
        if not (store / name).exists():
            (store / name).write_text(json.dumps(labels))
    case ["volume", "inspect", *_, name]:
        print((store / name).read_text() if (store / name).exists() else sys.exit(1))
    case ["volume", "rm", *_, name]:
        (store / name).unlink(missing_ok=True)
    case ["volume", "ls", *_]:
        print("\\n".join(path.name for path in store.iterdir()))
    case ["ps", "--quiet", *_]:
        print("0123456789ab")
    case ["ps", *_]:
        print((store / "working_dir").read_text() if (store / "working_dir").exists() else "")
    case _:
        sys.exit(1)
"""
FIRST, SECOND = "first", "second"


@pytest.fixture(name="store")
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the engine's volumes."""
    folder = tmp_path / "engine"
    folder.mkdir()
    command = tmp_path / "bin" / "docker"
    command.parent.mkdir()
    command.write_text(DOCKER.format(python=sys.executable, store=str(folder)))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    return folder


@pytest.fixture(name="checkout")
def _checkout(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Stack]:
    """Return a function that goes to a checkout, and returns its stack."""
    assert store.is_dir()

    def enter(name: str) -> Stack:
        project = tmp_path / name
        project.mkdir(exist_ok=True)
        monkeypatch.setattr(ownership, "PROJECT", project)
        return Stack(read_settings(folder=project, environ={}))

    return enter


Checkout = Callable[[str], Stack]


def _start(stack: Stack) -> None:
    """Do what a start does before it creates containers."""
    stack.require_own()
    stack.files.create()
    ownership.claim(stack.name, stack.files)


def _settings(stack: Stack) -> Settings:
    return read_settings(folder=stack.files.folder.parents[1], environ={})


def _calls(store: Path) -> list[str]:
    """Return the commands that change something."""
    calls = (store / "calls").read_text().splitlines()
    return [each for each in calls if " down" in each or " up " in each or each.startswith("volume rm")]


def test_the_owner_starts_its_stack_again(checkout: Checkout) -> None:
    """A folder starts its stack as often as it likes."""
    _start(checkout(FIRST))
    _start(checkout(FIRST))
    assert checkout(FIRST).is_up()


@pytest.mark.parametrize(
    "action",
    [
        Stack.up,
        Stack.down,
        Stack.remove,
        Stack.restart,
        Stack.find_leftovers,
        lambda stack: stack.logs([], follow=False),
    ],
    ids=["up", "down", "clean", "restart", "question", "logs"],
)
def test_another_checkout_leaves_the_stack_alone(
    checkout: Checkout, store: Path, tmp_path: Path, action: Callable[[Stack], object]
) -> None:
    """A second checkout, such as a git worktree, is refused before anything is touched."""
    _start(checkout(FIRST))
    with pytest.raises(PrerequisiteError) as caught:
        action(checkout(SECOND))
    assert (ExitCode.PREREQUISITE_MISSING, []) == (caught.value.exit_code, _calls(store))
    assert str(caught.value).startswith(
        f"The stack '{STACK}' belongs to the folder {tmp_path / FIRST}, not to {tmp_path / SECOND}.\n"
        "  Set HARNESS_STACK to another name."
    )
    assert not (tmp_path / SECOND / ".harness").exists()


def test_another_checkouts_stack_is_not_used(checkout: Checkout) -> None:
    """The running stack of another checkout doesn't answer for this one."""
    _start(checkout(FIRST))
    target = Compose(_settings(checkout(SECOND)))
    assert not target.is_up()
    for ask in (target.tracking_uri, lambda: next(target.pages())):
        with pytest.raises(PrerequisiteError, match="belongs to the folder"):
            ask()
    assert "http://127.0.0.1:5000" == Compose(_settings(checkout(FIRST))).tracking_uri()


def test_a_moved_folder_keeps_its_stack(checkout: Checkout, tmp_path: Path) -> None:
    """A folder that was moved is still the owner, and then the one that messages name."""
    _start(checkout(FIRST))
    (tmp_path / FIRST).rename(tmp_path / SECOND)
    _start(checkout(SECOND))
    with pytest.raises(PrerequisiteError, match=f"belongs to the folder {tmp_path / SECOND}"):
        checkout("third").require_own()


def test_a_copied_folder_is_not_the_owner(checkout: Checkout, tmp_path: Path) -> None:
    """A copy has the ID of the original, but the stack belongs to the original as long as it exists."""
    _start(checkout(FIRST))
    shutil.copytree(tmp_path / FIRST, tmp_path / SECOND)
    with pytest.raises(PrerequisiteError, match=f"belongs to the folder {tmp_path / FIRST}"):
        checkout(SECOND).require_own()
    checkout(FIRST).require_own()


def test_a_stack_without_its_secrets_can_only_be_deleted(
    checkout: Checkout, store: Path, tmp_path: Path
) -> None:
    """If the owner's folder is gone, the stack's data is not touched until somebody deletes it."""
    _start(checkout(FIRST))
    (store / f"{STACK}_azurite").touch()
    shutil.rmtree(tmp_path / FIRST)
    with pytest.raises(PrerequisiteError, match=r"has data, but its secrets are missing: .*/first/\.harness"):
        checkout(SECOND).up()
    assert [] == _calls(store)
    checkout(SECOND).remove()
    _start(checkout(SECOND))


def test_a_stack_without_labels_belongs_to_its_working_folder(
    checkout: Checkout, store: Path, tmp_path: Path
) -> None:
    """A Compose project of the same name in another folder is not touched."""
    (store / "working_dir").write_text(str(tmp_path / FIRST))
    checkout(FIRST).require_own()
    with pytest.raises(PrerequisiteError, match=f"belongs to the folder {tmp_path / FIRST}"):
        checkout(SECOND).require_own()


def test_data_without_labels_needs_its_secrets(checkout: Checkout, store: Path) -> None:
    """Data of an earlier version is only used with existing secrets, which then get an ID."""
    (store / f"{STACK}_azurite").touch()
    with pytest.raises(PrerequisiteError, match="its secrets are missing"):
        checkout(FIRST).require_own()
    stack = checkout(FIRST)
    stack.files.create()
    (stack.files.folder / "id").unlink()
    _start(stack)
    assert stack.files.id


def test_two_checkouts_at_once_do_not_share_a_stack(checkout: Checkout) -> None:
    """If two checkouts start a stack at once, the slower one is refused."""
    slow, quick = checkout(SECOND), checkout(FIRST)
    for stack in (slow, quick):
        stack.require_own()
        stack.files.create()
    ownership.claim(STACK, quick.files)
    with pytest.raises(PrerequisiteError, match="belongs to the folder"):
        ownership.claim(STACK, slow.files)
    ownership.require_own(STACK, quick.files)


def test_an_id_is_written_once(tmp_path: Path) -> None:
    """The ID of a home stays the same."""
    files = StackFiles(tmp_path / "stack")
    files.create()
    before = files.id
    files.create()
    assert (before, 32) == (files.id, len(before))
