import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.settings import Settings, read_settings
from harness.targets.base import open_target
from harness.targets.compose.compose_target import Compose
from harness.targets.compose.docker import docker, has_images, require_engine
from harness.targets.compose.stack import Stack
from harness.targets.embedded.embedded_target import Embedded
from tests.unit import report_samples as samples

NO_DOCKER = (
    "Docker is not installed on this machine.\n"
    "  Install Docker with Compose v2 and start it, or use --target embedded."
)
NO_ENGINE = (
    "The Docker engine does not answer: {}\n"
    "  Start it (systemctl start docker), join the group 'docker', or use --target embedded."
)
NO_INFO = "info) echo 'Cannot connect.' >&2; exit 1 ;;"
COMPOSE_ALONE = 'compose) if [ "$2" = version ]; then echo 2.24.0; else exit 1; fi ;;'
INFO, COMPOSE, IMAGES = "info) echo 27.5.1 ;;", "compose) echo 2.24.0 ;;", "image) exit 0 ;;"


@pytest.fixture(name="path")
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH, without a command in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _engine(path: Path, *answers: str, mode: int = 0o755) -> None:
    """A command that answers as Docker's does: by its first argument, and with exit code 1 otherwise."""
    cases = "\n".join((*answers, "*) exit 1 ;;"))
    (path / "docker").write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\nesac\n')
    (path / "docker").chmod(mode)


def _settings(tmp_path: Path, target: str) -> Settings:
    return read_settings({"target": target}, folder=tmp_path, environ={})


def test_no_docker_is_told(path: Path) -> None:
    """Where there is no such command, the message says what to install, or how to do without."""
    assert path.is_dir()
    with pytest.raises(PrerequisiteError) as caught:
        require_engine()
    assert (NO_DOCKER, ExitCode.PREREQUISITE_MISSING) == (str(caught.value), caught.value.exit_code)


def test_a_docker_that_may_not_be_started_is_none(path: Path) -> None:
    """A file without the right to be executed is no command."""
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
def test_an_engine_that_is_down_is_told(path: Path, answer: str, reason: str) -> None:
    """The last line of what Docker says is the reason."""
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
def test_a_compose_that_is_none_or_too_old_is_told(path: Path, answer: str) -> None:
    """The message has the version that is needed and the package to install."""
    _engine(path, INFO, answer)
    with pytest.raises(PrerequisiteError) as caught:
        require_engine()
    assert str(caught.value) == (
        "Docker Compose 2.24 or later is not installed.\n"
        "  Install the package docker-compose-plugin, or use --target embedded."
    )


@pytest.mark.parametrize(
    "ask",
    [Stack.down, Stack.remove, lambda stack: stack.logs([], follow=False)],
    ids=["down", "clean", "logs"],
)
def test_a_stack_without_an_engine_is_told_as_such(
    path: Path, tmp_path: Path, ask: Callable[[Stack], None]
) -> None:
    """The message says what to start, whatever was asked of the stack."""
    _engine(path, NO_INFO, COMPOSE_ALONE)
    with pytest.raises(PrerequisiteError) as caught:
        ask(Stack(_settings(tmp_path, "compose")))
    assert NO_ENGINE.format("Cannot connect.") == str(caught.value)


def test_a_run_without_an_engine_is_told_as_such(path: Path, tmp_path: Path) -> None:
    """That there is nothing to clean up either does not hide what the run lacks."""
    _engine(path, NO_INFO, COMPOSE_ALONE)
    with pytest.raises(PrerequisiteError) as caught:
        Compose(_settings(tmp_path, "compose")).prepare(samples.plan())
    assert NO_ENGINE.format("Cannot connect.") == str(caught.value)


def test_logs_of_no_service_are_a_fault(path: Path, tmp_path: Path) -> None:
    """What Compose refuses is no success."""
    _engine(path, INFO, COMPOSE_ALONE)
    with pytest.raises(PrerequisiteError, match="Can't show the logs of the stack's services"):
        Stack(_settings(tmp_path, "compose")).logs(["no-such"], follow=False)


@pytest.mark.parametrize("version", ["2.24.0", "v2.24.0-desktop.1", "2.100.1", "5.0.0"])
def test_a_compose_that_is_new_enough_will_do(path: Path, version: str) -> None:
    """Versions are compared as numbers, from the first one that knows all that compose.yaml asks for."""
    _engine(path, INFO, f"compose) echo {version} ;;")
    require_engine()


def test_docker_that_takes_too_long_is_ended(path: Path) -> None:
    """An engine that hangs does not hang the command."""
    _engine(path, f"info) exec {shutil.which('sleep', path='/bin:/usr/bin')} 60 ;;")
    expected = r"'docker info' did not finish within 0\.1 s\.\n  Check that the engine works: docker info\."
    with pytest.raises(PrerequisiteError, match=expected):
        docker(["info"], timeout_s=0.1)


def test_an_answer_is_given_back_as_it_is(path: Path) -> None:
    """Exit code, output and complaints, also those that are no UTF-8."""
    _engine(path, "say) read given; echo \"$given $WHO\"; printf '\\377' >&2; exit 7 ;;")
    answer = docker(["say"], {"WHO": "world"}, stdin=b"hello\n")
    assert (7, "hello world\n", "\N{REPLACEMENT CHARACTER}") == (
        answer.returncode,
        answer.stdout,
        answer.stderr,
    )


@pytest.mark.parametrize(("answer", "there"), [(IMAGES, True), ("image) exit 1 ;;", False)])
def test_images_are_there_or_not(path: Path, answer: str, there: bool) -> None:
    """Docker's exit code says whether it has all of them."""
    _engine(path, answer)
    assert there is has_images(["one:1", "two:2"])


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
            "The images of this version don't exist. 'make up' builds them.",
        ),
    ],
    ids=["no docker", "no engine", "no images"],
)
def test_auto_is_embedded_where_compose_is_not_ready(
    path: Path, tmp_path: Path, answers: tuple[str, ...] | None, reason: str
) -> None:
    """One line says which target was chosen, why, and how to get the other."""
    if answers is not None:
        _engine(path, *answers)
    told: list[str] = []
    target = open_target(_settings(tmp_path, "auto"), told.append)
    expected = f"Target: embedded. Compose is not ready: {reason}"
    assert (True, [expected]) == (isinstance(target, Embedded), told)


def test_auto_is_compose_where_it_is_ready(path: Path, tmp_path: Path) -> None:
    """With an engine and images it is the better one, and one line says how to get the other."""
    _engine(path, INFO, COMPOSE, IMAGES)
    told: list[str] = []
    target = open_target(_settings(tmp_path, "auto"), told.append)
    expected = "Target: compose, which is ready. For another one: --target embedded."
    assert (True, [expected]) == (isinstance(target, Compose), told)


def test_compose_never_falls_back(path: Path, tmp_path: Path) -> None:
    """Who names Compose gets Compose, or the reason why not."""
    assert path.is_dir()
    told: list[str] = []
    target = open_target(_settings(tmp_path, "compose"), told.append)
    with pytest.raises(PrerequisiteError) as caught:
        target.prepare(samples.plan())
    assert (True, [], NO_DOCKER) == (isinstance(target, Compose), told, str(caught.value))


def test_embedded_asks_no_docker(path: Path, tmp_path: Path) -> None:
    """Who names embedded is not told of Docker."""
    assert path.is_dir()
    told: list[str] = []
    assert (True, []) == (
        isinstance(open_target(_settings(tmp_path, "embedded"), told.append), Embedded),
        told,
    )


@pytest.mark.parametrize(
    ("setting", "value"), [("tracking_uri", "sqlite:////srv/mlflow.db"), ("lake", "/srv/lake")]
)
def test_containers_reach_no_files_of_this_machine(
    path: Path, tmp_path: Path, setting: str, value: str
) -> None:
    """A setting that names some is refused before anything is started."""
    assert path.is_dir()
    settings = read_settings({"target": "compose", setting: value}, folder=tmp_path, environ={})
    with pytest.raises(UsageError, match=rf"The Compose target can't reach .*{value}"):
        Compose(settings).environment(0, "models")
