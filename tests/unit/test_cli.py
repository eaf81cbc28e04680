"""The command line: its help, its exit codes and its error messages."""

import inspect
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from harness import cli
from harness.cli import COMMANDS, EXIT_CODES, app
from harness.errors import ExitCode, PrerequisiteError
from harness.plan import Environment
from harness.targets.embedded.embedded_target import Embedded

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "bad"
SCENARIO = str(ROOT / "scenarios" / "three_versions.yaml")
HEAVY = {"pyspark", "mlflow", "matplotlib", "pandas", "numpy", "pyarrow", "deltalake", "jinja2", "synapse"}
SLOW = {"pydantic", "ruamel", "rich"}
_TELL_IMPORTS = """
import sys
from harness.cli import main
try:
    main()
finally:
    sys.stderr.write(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def _environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    own = {"HARNESS_HOME": str(home), "HARNESS_TARGET": "embedded", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return {**inherited, **own}


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in its own process, in a folder without scenarios."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=home.parent,
        env=_environment(home),
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_in_the_current_folder_hide_no_module(tmp_path: Path) -> None:
    """Files in the current folder with the names of modules don't break the command."""
    for name in ("queue", "random", "mlflow", "yaml", "rich", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)")
    outcome = _run(tmp_path / "home", "doctor", "--target", "embedded")
    assert 0 == outcome.returncode, outcome.stdout + outcome.stderr


def _main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Return the exit code of the command in this process, including the error handling of ``main``."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def _imports(tmp_path: Path, *arguments: str) -> set[str]:
    outcome = subprocess.run(
        [sys.executable, "-c", _TELL_IMPORTS, *arguments],
        cwd=tmp_path,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(outcome.stderr.split())


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder without settings; return the home folder that a run would create in it."""
    for name in os.environ:
        if name.startswith("HARNESS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HARNESS_TARGET", "embedded")
    return tmp_path / "home"


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)])
def test_help_lists_the_exit_codes(command: tuple[str, ...]) -> None:
    """The help of the program and of each of its commands explains the exit codes."""
    outcome = CliRunner().invoke(app, [*command, "--help"])
    assert outcome.exit_code == ExitCode.PASS
    assert EXIT_CODES in " ".join(outcome.stdout.split())


@pytest.mark.parametrize("columns", [80, 120])
def test_help_shows_whole_summaries(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """The list of commands shows each command's summary as a whole sentence, at any usual width."""
    monkeypatch.setenv("COLUMNS", str(columns))
    listed = CliRunner().invoke(app, ["--help"]).stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    names = [line.split()[0] for line in listed.splitlines()]
    unfinished = [line for line in listed.splitlines() if not line.endswith(".") or line.endswith("...")]
    assert (list(COMMANDS), []) == (names, unfinished)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_defaults_in_one_way(command: str) -> None:
    """Every default in the help is written as '(default: X)', in the option's own sentence."""
    assert "[default" not in CliRunner().invoke(app, [command, "--help"]).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_no_python_types(command: str) -> None:
    """The help describes values in words: no type such as '<str>', and no range such as '[x>=0]'."""
    assert [] == re.findall(
        r"<[^<>]+>|\[[^\]]*x[<>]=[^\]]*\]", CliRunner().invoke(app, [command, "--help"]).stdout
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_limits_of_numbers(command: str) -> None:
    """The help of a number with limits names each of them."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for parameter in group.commands[command].params:
        limits = [getattr(parameter, name, None) for name in ("min", "max")]
        text = getattr(parameter, "help", None) or ""
        assert [] == [limit for limit in limits if limit is not None and f" {limit}" not in text]


@pytest.mark.parametrize(
    ("command", "option"), [("calibrate", "repeats"), ("calibrate", "false_alarms"), ("ui", "port")]
)
def test_help_names_the_real_default(command: str, option: str) -> None:
    """The default that the help names is the one that the command uses."""
    default = inspect.signature(COMMANDS[command]).parameters[option].default
    shown = " ".join(CliRunner().invoke(app, [command, "--help"]).stdout.split())
    assert re.search(rf"--{option.replace('_', '-')} [^[]*?\(default: {default}\)", shown)


def test_every_exit_code_is_explained() -> None:
    """The help's list of exit codes contains each exit code."""
    assert [str(int(code)) for code in sorted(ExitCode)] == re.findall(r"\d+", EXIT_CODES)


def test_help_imports_next_to_nothing(tmp_path: Path) -> None:
    """The option --help answers at once, without importing Spark, MLflow or pydantic."""
    assert set() == _imports(tmp_path, "--help") & (HEAVY | SLOW)


@pytest.mark.parametrize("command", ["scenario", "clean"])
def test_help_of_a_command_imports_nothing_heavy(tmp_path: Path, command: str) -> None:
    """The help of a command imports none of the libraries that the command itself needs."""
    assert set() == _imports(tmp_path, command, "--help") & HEAVY


def test_check_imports_nothing_heavy(tmp_path: Path) -> None:
    """A scenario on a CSV file is checked without Spark, pandas or MLflow."""
    assert set() == _imports(tmp_path, "check", SCENARIO) & HEAVY


def test_check_of_a_good_scenario_passes(home: Path) -> None:
    """A valid scenario is confirmed on standard output, and no file is created."""
    outcome = CliRunner().invoke(app, ["check", SCENARIO])
    expected = (ExitCode.PASS, f"{SCENARIO}: ok (3 versions)\n", False)
    assert expected == (outcome.exit_code, outcome.stdout, home.exists())


def test_check_goes_on_after_a_bad_scenario(home: Path) -> None:
    """All scenarios are checked, all problems reported, and the worst one decides the exit code."""
    files = [str(BAD / "three_problems.yaml"), SCENARIO, "absent", str(BAD / "folds_one.yaml")]
    outcome = CliRunner().invoke(app, ["check", *files])
    reported = re.findall(
        r"three_problems\.yaml:\d+|Unknown scenario 'absent'|folds_one\.yaml:\d+", outcome.stderr
    )
    assert (ExitCode.WRONG_INPUT, 5, f"{SCENARIO}: ok (3 versions)\n", False) == (
        outcome.exit_code,
        len(reported),
        outcome.stdout,
        home.exists(),
    )


@pytest.mark.parametrize("name", ["unknown_metric", "source_empty", "yaml_key_twice"])
def test_a_run_of_a_bad_scenario_leaves_nothing(home: Path, name: str) -> None:
    """A run of an invalid scenario ends with one message and exit code 2, and creates no file."""
    file = BAD / f"{name}.yaml"
    line, _, message = file.read_text().splitlines()[0].removeprefix("# expect: ").partition(": ")
    outcome = _run(home, "scenario", str(file))
    assert (ExitCode.WRONG_INPUT, f"{file}:{line}: {message}\n", "", []) == (
        outcome.returncode,
        outcome.stderr,
        outcome.stdout,
        list(home.parent.iterdir()),
    )


def test_an_unknown_scenario_is_reported_with_the_nearest(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped scenario name leads to exit code 2 and a suggestion."""
    monkeypatch.chdir(ROOT)
    code = _main(monkeypatch, "scenario", "three_version")
    reported = "Did you mean 'three_versions'?" in capsys.readouterr().err
    assert (code, reported, home.exists()) == (ExitCode.WRONG_INPUT, True, False)


def test_an_unknown_target_is_reported_with_the_nearest(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped target leads to exit code 2 and a suggestion."""
    code = _main(monkeypatch, "scenario", SCENARIO, "--target", "embeded")  # codespell:ignore
    expected = (
        "Unknown target 'embeded' (command line). Did you mean 'embedded'?\n"
        "  Known targets: auto, embedded, compose, databricks.\n"
    )
    assert (ExitCode.WRONG_INPUT, expected, False) == (code, capsys.readouterr().err, home.exists())


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs",),
        ("runs", "--table", "lc_loan", "--version", "0"),
        ("trace", "20260131-094502-three_versions-7f3a"),
        ("ui",),
    ],
)
def test_without_a_tracking_store_there_are_no_runs(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    """Asking for runs before the first run leads to exit code 3 and creates no tracking store."""
    code = _main(monkeypatch, *arguments)
    expected = f"There are no runs yet: {home}/mlflow.db doesn't exist.\n"
    remedy = "  Run a scenario first: make scenario NAME=three_versions.\n"
    assert (ExitCode.PREREQUISITE_MISSING, ("", expected + remedy), False) == (
        code,
        capsys.readouterr(),
        home.exists(),
    )


def test_mlflow_is_not_imported_without_a_tracking_store(tmp_path: Path) -> None:
    """MLflow is not imported if there is no tracking store."""
    program = _TELL_IMPORTS.replace("finally:", "except SystemExit:")
    outcome = subprocess.run(
        [sys.executable, "-c", program, "runs"],
        cwd=tmp_path,
        env=_environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mlflow" not in outcome.stderr.splitlines()[-1].split()


def test_an_invalid_tracking_store_is_reported(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown scheme of the tracking URI is one message with exit code 3, not a traceback."""
    monkeypatch.setenv("HARNESS_TRACKING_URI", "nothing://here")
    code = _main(monkeypatch, "trace", "some")
    reported = capsys.readouterr().err.startswith("MLflow at nothing://here doesn't answer: ")
    assert (code, reported, home.exists()) == (ExitCode.PREREQUISITE_MISSING, True, False)


def test_an_unusable_home_folder_is_reported(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home folder that can't be written leads to exit code 3 and is left unchanged."""
    environment = Environment(
        target="embedded", lake="lake", model_store="models", tracking_uri="sqlite://", experiment="harness"
    )
    # No Java is looked for: this is about folders.
    monkeypatch.setattr(Embedded, "environment", lambda *_: environment)
    home.write_text("a file")
    code = _main(monkeypatch, "scenario", SCENARIO)
    reported = re.findall(
        r"Can't write (.*)/runs/\S+: Not a directory\.\n  Make the folder", capsys.readouterr().err
    )
    assert (ExitCode.PREREQUISITE_MISSING, [str(home)], "a file") == (code, reported, home.read_text())


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("check",),
        ("scenario",),
        ("clean",),
        ("clean", "--keep-runs", "5", "--stack"),
        ("clean", "--keep-runs", "-1"),
        ("clean", "--keep-runs", "many"),
        ("runs", "--version", "1"),
        ("runs", "--table", "t", "--version", "-1"),
        ("ui", "--port", "0"),
    ],
)
@pytest.mark.usefixtures("home")
def test_an_invalid_command_line_is_wrong_input(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Any invalid command line ends with exit code 2."""
    assert _main(monkeypatch, *arguments) == ExitCode.WRONG_INPUT


@pytest.mark.usefixtures("home")
def test_clean_reports_the_number_of_removed_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cleaning a home without runs reports that no runs were removed."""
    assert (
        _main(monkeypatch, "clean", "--keep-runs", "0"),
        capsys.readouterr().out,
    ) == (ExitCode.PASS, "No runs removed.\n")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            PrerequisiteError("no Java", remedy="Install one."),
            ExitCode.PREREQUISITE_MISSING,
            "no Java\n  Install one.\n",
        ),
        (
            OSError(13, "Permission denied", "/data"),
            ExitCode.PREREQUISITE_MISSING,
            "/data: Permission denied.\n",
        ),
        (OSError("odd"), ExitCode.PREREQUISITE_MISSING, "odd.\n"),
    ],
)
def test_a_system_error_is_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: ExitCode,
    message: str,
) -> None:
    """An error of the system is reported as one message with its exit code, without a traceback."""

    def app_that_fails() -> None:
        raise error

    monkeypatch.setattr(cli, "app", app_that_fails)
    assert (code, message) == (_main(monkeypatch), capsys.readouterr().err)


def test_a_bug_has_another_exit_code_than_a_failed_bound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug ends with exit code 5 and a traceback, as exit code 1 means that a bound failed."""

    def app_with_a_bug() -> None:
        raise KeyError("bug")

    monkeypatch.setattr(cli, "app", app_with_a_bug)
    code = _main(monkeypatch)
    assert (code, capsys.readouterr().err.splitlines()[-1]) == (ExitCode.JOB_FAILED, "KeyError: 'bug'")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_is_reported(tmp_path: Path, how: signal.Signals) -> None:
    """SIGINT and SIGTERM end the command with exit code 130 and without a traceback."""
    program = (
        "import os, signal; from harness import cli, runs; import harness.loading.loader as loader\n"
        f"loader.load_scenario = lambda name: os.kill(os.getpid(), {int(how)})\n"
        "cli.main()"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program, "check", "any"],
        cwd=tmp_path,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, "Traceback" in outcome.stderr) == (ExitCode.INTERRUPTED, False)
