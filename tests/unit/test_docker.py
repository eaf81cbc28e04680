"""The Docker engine: its answers, its versions and its absence."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.settings import Settings, read_settings
from harness.targets.base import open_target
from harness.targets.compose.compose_target import Compose
from harness.targets.compose.docker import has_images, require_engine, run_docker
from harness.targets.compose.stack import Stack
from harness.targets.embedded.embedded_target import Embedded
from tests.unit import report_samples as samples

NO_DOCKER = (
    "Docker is not installed on this machine.\n"
    "  Install Docker with Compose v2 and start it, or use --target embedded."
)
NO_ENGINE = (
    "The Docker engine doesn't answer: {}\n"
    "  Start it (systemctl start docker), join the group 'docker', or use --target embedded."
)
NO_INFO = "info) echo 'Cannot connect.' >&2; exit 1 ;;"
COMPOSE_ALONE = 'compose) if [ "$2" = version ]; then echo 2.24.0; else exit 1; fi ;;'
INFO, COMPOSE, IMAGES = "info) echo 27.5.1 ;;", "compose) echo 2.24.0 ;;", "image) exit 0 ;;"


@pytest.fixture(name="path")
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the whole PATH, and return it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _engine(path: Path, *answers: str, mode: int = 0o755) -> None:
    """Create a command that answers like Docker by its first argument, and otherwise exits with 1."""
    cases = "\n".join((*answers, "*) exit 1 ;;"))
    (path / "docker").write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\nesac\n')
    (path / "docker").chmod(mode)


def _settings(tmp_path: Path, target: str) -> Settings:
    return read_settings({"target": target}, folder=tmp_path, environ={})


def test_the_variables_of_another_project_do_not_reach_compose(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose's own variables, which another project's shell may have, don't reach the engine's command."""
    _engine(path, 'ps) echo "$COMPOSE_PROJECT_NAME $DOCKER_HOST $HARNESS_STACK" ;;')
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "other")
    monkeypatch.setenv("DOCKER_HOST", "unix:///docker.sock")
    assert " unix:///docker.sock mine" == run_docker(["ps"], {"HARNESS_STACK": "mine"}).stdout.rstrip("\n")


def test_a_missing_docker_is_reported(path: Path) -> None:
    """A missing Docker is reported with what to install, or how to do without it."""
    assert path.is_dir()
    with pytest.raises(PrerequisiteError) as caught:
        require_engine()
    assert (NO_DOCKER, ExitCode.PREREQUISITE_MISSING) == (str(caught.value), caught.value.exit_code)


def test_a_docker_that_is_not_executable_is_missing(path: Path) -> None:
    """A file that may not be executed is not a Docker command."""
    _engine(path, mode=0o644)
    with pytest.raises(PrerequisiteError) as caught:
        require_engine()
    assert NO_DOCKER == str(caught.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("info) echo; printf 'warning\\nCannot connect.\\n' >&2; exit 1 ;;", "Cannot connect."),
        ("info) echo 'no engine'; exit 1 ;;", "no engine"),
        ("info) exit 1 ;;", "no reason given"),
        ("info) echo; echo 'Cannot connect.' >&2 ;;", "Cannot connect."),
    ],
    ids=["error", "standard output", "silence", "exit code 0"],
)
def test_an_engine_that_is_down_is_reported(path: Path, answer: str, reason: str) -> None:
    """An engine that doesn't answer is reported with the last line of Docker's output."""
    _engine(path, answer, COMPOSE)
    with pytest.raises(PrerequisiteError) as caught:
        require_engine()
    assert NO_ENGINE.format(reason) == str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        "compose) echo \"docker: 'compose' is not a docker command.\" >&2; exit 1 ;;",
        "compose) echo 2.23.9 ;;",
        "compose) echo v2.9.0 ;;",
        "compose) echo 1.29.2 ;;",
        "compose) echo dev ;;",
        "compose) echo 2.24.0; exit 1 ;;",
    ],
    ids=["none", "too old", "one digit", "first one", "no number", "fault"],
)
def test_a_missing_or_old_compose_is_reported(path: Path, answer: str) -> None:
    """A missing or old Compose is reported with the required version and the package."""
    _engine(path, INFO, answer)
    with pytest.raises(PrerequisiteError) as caught:
        require_engine()
    assert str(caught.value) == (
        "Docker Compose 2.24 or later is not installed.\n"
        "  Install the package docker-compose-plugin, or use --target embedded."
    )


@pytest.mark.parametrize(
    "ask",
    [Stack.down, Stack.remove, Stack.restart, lambda stack: stack.logs([], follow=False)],
    ids=["down", "clean", "restart", "logs"],
)
def test_the_stack_needs_an_engine(path: Path, tmp_path: Path, ask: Callable[[Stack], None]) -> None:
    """Every action on the stack reports an engine that is down, with what to start."""
    _engine(path, NO_INFO, COMPOSE_ALONE)
    with pytest.raises(PrerequisiteError) as caught:
        ask(Stack(_settings(tmp_path, "compose")))
    assert NO_ENGINE.format("Cannot connect.") == str(caught.value)


def test_a_run_needs_an_engine(path: Path, tmp_path: Path) -> None:
    """A run without an engine reports this, not that the clean-up failed, too."""
    _engine(path, NO_INFO, COMPOSE_ALONE)
    with pytest.raises(PrerequisiteError) as caught:
        Compose(_settings(tmp_path, "compose")).prepare(samples.plan())
    assert NO_ENGINE.format("Cannot connect.") == str(caught.value)


RUNNING = (
    'compose) case "$*" in'
    " version*|*' version'*) echo 2.24.0 ;;"
    ' *" ps "*) echo \'{"Service": "mlflow", "Name": "harness-mlflow-1", "State": "running"}\' ;;'
    " *) exit 1 ;; esac ;;"
)
"""A Compose with one running service, which can't show its logs."""


@pytest.mark.parametrize(
    ("compose", "service", "expected"),
    [
        (COMPOSE_ALONE, "mlflow", "The stack is not running.\n  'make up' starts it."),
        (RUNNING, "mlflw", "Unknown service 'mlflw'. Did you mean 'mlflow'?\n  Services: mlflow."),
        (RUNNING, "mlflow", "Can't show the logs of the stack's services; Docker's message is above."),
    ],
    ids=["no stack", "unknown service", "error"],
)
def test_logs_that_can_not_be_shown_are_reported(
    path: Path, tmp_path: Path, compose: str, service: str, expected: str
) -> None:
    """A stack that doesn't run, an unknown service and an error of Compose are reported."""
    _engine(path, INFO, compose)
    with pytest.raises((PrerequisiteError, UsageError)) as caught:
        Stack(_settings(tmp_path, "compose")).logs([service], follow=False)
    assert expected == str(caught.value)


@pytest.mark.parametrize("version", ["2.24.0", "v2.24.0-desktop.1", "2.100.1", "5.0.0"])
def test_a_new_enough_compose_is_accepted(path: Path, version: str) -> None:
    """Compose versions are compared as numbers; the oldest suitable one is accepted."""
    _engine(path, INFO, f"compose) echo {version} ;;")
    require_engine()


def test_docker_that_takes_too_long_is_ended(path: Path) -> None:
    """A Docker command that hangs is ended after its time limit."""
    _engine(path, f"info) exec {shutil.which('sleep', path='/bin:/usr/bin')} 60 ;;")
    expected = r"'docker info' didn't finish within 0\.1 s\.\n  Check that the engine works: docker info\."
    with pytest.raises(PrerequisiteError, match=expected):
        run_docker(["info"], timeout_s=0.1)


def test_dockers_answer_is_returned_unchanged(path: Path) -> None:
    """Exit code, output and errors are returned, even if they are not valid UTF-8."""
    _engine(path, "say) read given; echo \"$given $WHO\"; printf '\\377' >&2; exit 7 ;;")
    answer = run_docker(["say"], {"WHO": "world"}, stdin=b"hello\n")
    assert (7, "hello world\n", "\N{REPLACEMENT CHARACTER}") == (
        answer.returncode,
        answer.stdout,
        answer.stderr,
    )


@pytest.mark.parametrize(("answer", "exist"), [(IMAGES, True), ("image) exit 1 ;;", False)])
def test_existing_images_are_detected(path: Path, answer: str, exist: bool) -> None:
    """Docker's exit code decides whether all images exist."""
    _engine(path, answer)
    assert exist is has_images(["one:1", "two:2"])


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (None, NO_DOCKER.replace("\n ", "")),
        (
            ("info) echo 'Cannot connect.' >&2; exit 1 ;;",),
            NO_ENGINE.format("Cannot connect.").replace("\n ", ""),
        ),
        (
            (INFO, COMPOSE, "image) exit 1 ;;"),
            "The stack's images for this version of the harness aren't built. 'make up' builds them.",
        ),
    ],
    ids=["no docker", "no engine", "no images"],
)
def test_auto_is_embedded_if_compose_is_not_ready(
    path: Path, tmp_path: Path, answers: tuple[str, ...] | None, reason: str
) -> None:
    """One line reports the chosen target, the reason, and how to get the other one."""
    if answers is not None:
        _engine(path, *answers)
    messages: list[str] = []
    target = open_target(_settings(tmp_path, "auto"), messages.append)
    expected = f"Target: embedded. Compose is not ready: {reason}"
    assert (True, [expected]) == (isinstance(target, Embedded), messages)


def test_auto_is_compose_if_it_is_ready(path: Path, tmp_path: Path) -> None:
    """If engine and images are ready, Compose is chosen, and one line names the alternative."""
    _engine(path, INFO, COMPOSE, IMAGES)
    messages: list[str] = []
    target = open_target(_settings(tmp_path, "auto"), messages.append)
    expected = "Target: compose, because it is ready. To use another, add --target embedded."
    assert (True, [expected]) == (isinstance(target, Compose), messages)


def test_compose_never_falls_back(path: Path, tmp_path: Path) -> None:
    """If Compose is requested, it is used, or the reason why it can't be is reported."""
    assert path.is_dir()
    messages: list[str] = []
    target = open_target(_settings(tmp_path, "compose"), messages.append)
    with pytest.raises(PrerequisiteError) as caught:
        target.prepare(samples.plan())
    assert (True, [], NO_DOCKER) == (isinstance(target, Compose), messages, str(caught.value))


def test_embedded_does_not_ask_docker(path: Path, tmp_path: Path) -> None:
    """If the embedded target is requested, nothing is reported about Docker."""
    assert path.is_dir()
    messages: list[str] = []
    assert (True, []) == (
        isinstance(open_target(_settings(tmp_path, "embedded"), messages.append), Embedded),
        messages,
    )


@pytest.mark.parametrize(
    ("setting", "value"), [("tracking_uri", "sqlite:////srv/mlflow.db"), ("lake", "/srv/lake")]
)
def test_containers_reach_no_files_of_this_machine(
    path: Path, tmp_path: Path, setting: str, value: str
) -> None:
    """A setting that names a file of this machine is refused before anything starts."""
    assert path.is_dir()
    settings = read_settings({"target": "compose", setting: value}, folder=tmp_path, environ={})
    with pytest.raises(UsageError, match=rf"The Compose target can't reach .*{value}"):
        Compose(settings).environment(0, "models")
