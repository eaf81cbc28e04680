"""The comparison of two runs on the terminal."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, PrerequisiteError
from harness.parity.compare import Parity, report_not_compared
from harness.prediction_files import name_file, write_predictions
from harness.report.terminal.verdict_summary import show_parity
from harness.results import Result, StoredPredictions
from harness.runs import RESULT, RunFolder
from harness.targets.registry import TARGETS
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples
from tests.unit.predictions_samples import make_predictions

A, B = "20260301-101500-three_versions-7f3a", "20260302-101500-three_versions-0b1c"


def _run(**changes: Any) -> Result:
    return samples.result((samples.version("march", 2, **changes),))


def _render(a: Result, b: Result, width: int = 120) -> str:
    file = io.StringIO()
    show_parity(Console(file=file, width=width), compare_runs(a, b))
    return file.getvalue()


@pytest.fixture(name="runs")
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a home with the same run twice, the second one being the latest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    for run_id in (A, B):
        _write(tmp_path / "runs", run_id, samples.result(run_id=run_id)).make_latest()
    return tmp_path / "runs"


def _write(runs: Path, run_id: str, result: Result) -> RunFolder:
    run = RunFolder(runs / run_id)
    run.path.mkdir(parents=True, exist_ok=True)
    (run.path / RESULT).write_text(result.model_dump_json(by_alias=True), encoding="utf-8")
    return run


def _compare(*arguments: str) -> tuple[int, str]:
    """Run the command and return its exit code and output."""
    outcome = CliRunner().invoke(app, ["compare", *arguments])
    return outcome.exit_code, outcome.stdout


def test_runs_that_agree_need_no_table() -> None:
    """The summary of two equal runs has their IDs, the number of identical values and the verdict."""
    a = samples.result(samples.result().versions[:1], run_id=A)
    values = len(compare_runs(a, a).differences)
    expected = f"a  {A}\nb  {B}\n\n{values} values identical, 0 different.\n✓ The two runs agree.\n"
    assert expected == _render(a, a.model_copy(update={"run_id": B}))


def test_a_small_difference_is_shown() -> None:
    """A difference within the tolerance is shown with both values and its size."""
    shown = _render(_run(metrics={"test_f1": 0.5}), _run(metrics={"test_f1": 0.5 * (1 - 1e-7)}))
    line = next(line.split() for line in shown.splitlines() if "test_f1" in line)
    expected = ["march", "metric", "test_f1", "0.5000", "0.5000", "1.0e-07", "1e-06", "✓", "pass"]
    assert (expected, True) == (line, "1 different.\n✓ The two runs agree." in shown)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metrics": {"test_f1": 0.6}}, ["metric", "test_f1", "0.5000", "0.6000", "1.7e-01", "1e-06", "✗"]),
        ({"metrics": {"test_f1": None}}, ["metric", "test_f1", "0.5000", "not", "measured", "1e-06", "?"]),
        ({"metrics": {}}, ["metric", "test_f1", "0.5000", "absent", "1e-06", "?", "not", "proven"]),
        ({"rows": 8422}, ["data", "rows", "8421", "8422", "exact", "✗"]),
        ({"fingerprint": "6" * 32}, ["data", "fingerprint", "5" * 24 + "…", "6" * 24 + "…", "exact", "✗"]),
    ],
    ids=["metric", "not measured", "absent", "rows", "fingerprint"],
)
def test_differences_are_shown(changes: dict[str, Any], words: list[str]) -> None:
    """A differing value has a line with kind, name, both values, tolerance and verdict."""
    base: dict[str, Any] = {"metrics": {"test_f1": 0.5}, "fingerprint": "5" * 32}
    shown = _render(_run(**base), _run(**(base | changes)))
    line = next(line.split() for line in shown.splitlines() if line.startswith("march "))
    assert words == line[1 : len(words) + 1]


@pytest.mark.parametrize(
    ("b", "words"),
    [
        (samples.result(), "✓ The two runs agree."),
        (samples.result((samples.version("january", 0, rows=1),)), "✗ The two runs disagree."),
        (samples.result(samples.result().versions[:2]), "? Not everything could be compared."),
    ],
    ids=["pass", "fail", "not proven"],
)
def test_the_verdict_comes_last(b: Result, words: str) -> None:
    """The last line of the comparison is the verdict as a sentence."""
    assert words == _render(samples.result(), b).splitlines()[-1]


def test_runs_on_two_targets_are_named_by_them() -> None:
    """Runs on different targets are named by their targets above the columns."""
    shown = _render(samples.result(), samples.cloud((samples.version("january", 0, rows=1),))).splitlines()
    header = next(line.split() for line in shown if line.startswith("version "))
    assert (
        ["embedded    20260301-101500-7f3a", "databricks  20260302-080000-three_versions-0b1c"],
        True,
    ) == (
        shown[:2],
        {"embedded", "databricks"} <= set(header),
    )


def test_libraries_that_differ_are_listed() -> None:
    """Libraries with different versions are listed with both versions; others are not."""
    shown = _render(samples.result(), samples.cloud())
    expected = (
        "Libraries with different versions:\n"
        "  python 3.12.8 (embedded), 3.12.3 (databricks)\n"
        "  pyspark 3.5.9 (embedded), 3.5.2 (databricks)\n"
        "  photon absent (embedded), 1 (databricks)\n"
        "\n"
    )
    assert (True, False) == (expected in shown, "mlflow" in shown)


@pytest.mark.parametrize(("b", "expected"), [(samples.cloud(), True), (samples.result(), False)])
def test_gaps_are_listed_only_for_the_cloud(b: Result, expected: bool) -> None:
    """The gaps of a local run are listed only if the other run is on Databricks."""
    shown = _render(samples.result(), b)
    assert {expected} == {gap in shown for gap in TARGETS["databricks"].gaps}


def test_a_run_without_another_has_a_reason() -> None:
    """Without another run, the summary has only the run and the reason."""
    file = io.StringIO()
    show_parity(Console(file=file, width=40), report_not_compared(samples.cloud(), "There is no local run."))
    expected = (
        "databricks  20260302-080000-three_versions-0b1c\n\n? Nothing was compared. There is no local run.\n"
    )
    assert expected == file.getvalue()


def test_no_name_is_truncated() -> None:
    """In a log of 80 columns, long names are wrapped instead of truncated."""
    names = ("explained_rows_of_january", "explained_rows_of_february")
    a, b = (_run(explanations=dict.fromkeys(names, samples.explanation(value))) for value in (0.5, 0.6))
    assert "…" not in _render(a, b, width=80)


def test_markup_in_a_name_is_shown() -> None:
    """Square brackets in a column name are shown as they are."""
    name = "[/][red]x"
    a, b = (_run(explanations={name: samples.explanation(value)}) for value in (0.5, 0.6))
    assert name in _render(a, b)


def test_an_ascii_log_is_supported() -> None:
    """On an output limited to ASCII, the check mark is replaced."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    show_parity(Console(file=file, width=120), compare_runs(_run(fingerprint="5" * 32), _run(rows=1)))
    file.seek(0)
    shown = file.read()
    assert (True, True) == ("x fail" in shown, shown.endswith("x The two runs disagree.\n"))


@pytest.mark.parametrize("named", [(A, B), (B, "latest"), (A, A)], ids=["ids", "latest", "itself"])
@pytest.mark.usefixtures("runs")
def test_the_same_runs_end_with_0(named: tuple[str, str]) -> None:
    """Comparing equal runs, named by ID or as 'latest', exits with 0."""
    code, output = _compare(*named)
    assert (ExitCode.PASS, True) == (code, output.endswith("✓ The two runs agree.\n"))


def test_a_run_may_be_named_by_its_folder(runs: Path) -> None:
    """A run of another home can be compared by its path."""
    assert _compare(A, str(runs / B))[0] == ExitCode.PASS


def test_runs_that_differ_end_with_1(runs: Path) -> None:
    """A difference beyond the tolerance is shown and leads to exit code 1."""
    _write(runs, B, samples.result((samples.version("january", 0, rows=1),)))
    code, output = _compare(A, B)
    assert (ExitCode.BOUND_FAILED, True) == (code, output.endswith("✗ The two runs disagree.\n"))


def test_a_missing_version_ends_with_4(runs: Path) -> None:
    """A version that only one of the runs has leads to exit code 4."""
    _write(runs, B, samples.result(samples.result().versions[:2]))
    assert _compare(A, B)[0] == ExitCode.NOT_PROVEN


@pytest.mark.parametrize(("tolerance", "code"), [("0.001", ExitCode.PASS), ("0.0001", ExitCode.BOUND_FAILED)])
def test_the_tolerance_of_the_command_line_is_used(runs: Path, tolerance: str, code: ExitCode) -> None:
    """The exit code depends on --tolerance."""
    for run_id, value in ((A, 0.5), (B, 0.5 * (1 - 0.0005))):
        _write(runs, run_id, _run(metrics={"test_f1": value}))
    assert _compare(A, B, "--tolerance", tolerance)[0] == code


@pytest.mark.parametrize("tolerance", ["-1", "nan", "inf", "few"])
@pytest.mark.usefixtures("runs")
def test_an_invalid_tolerance_is_refused(tolerance: str) -> None:
    """A negative or infinite tolerance is refused."""
    assert _compare(A, B, "--tolerance", tolerance) == (ExitCode.WRONG_INPUT, "")


def test_json_has_every_value(runs: Path) -> None:
    """With --json, every compared value is printed, with the same exit code."""
    other = samples.result((samples.version("january", 0, rows=1),), run_id=B)
    _write(runs, B, other)
    code, output = _compare(A, B, "--json")
    expected = compare_runs(samples.result(run_id=A), other)
    assert (ExitCode.BOUND_FAILED, expected) == (code, Parity.model_validate_json(output))


def test_the_rows_whose_score_differs_most_are_named(runs: Path) -> None:
    """Terminal, JSON and page name as many rows as --rows says; they don't change the exit code."""
    for run_id, scores in ((A, {"a7": 0.5, "b8": 0.5}), (B, {"a7": 0.4, "b8": 0.9})):
        write_predictions(make_predictions(scores), runs / run_id / name_file("march"))
        stored = StoredPredictions(file=name_file("march"), sha256="0", rows=2, held_out=2)
        _write(runs, run_id, _run(predictions=stored))
    code, output = _compare(A, B, "--html", "page.html")
    assert (ExitCode.PASS, True) == (code, output.index("b8") < output.index("a7"))
    assert all(key in Path("page.html").read_text(encoding="utf-8") for key in ("a7", "b8"))
    [moved] = Parity.model_validate_json(_compare(A, B, "--rows", "1", "--json")[1]).moved
    assert ["b8"] == [row.key for row in moved.rows]
    assert "b8" not in _compare(A, B, "--rows", "0")[1]


def test_an_unknown_run_is_reported_with_a_suggestion(runs: Path) -> None:
    """A mistyped run ID leads to exit code 3, the searched folder and a suggestion."""
    mistyped = A.replace("three", "tree")
    outcome = CliRunner().invoke(app, ["compare", mistyped, B])
    expected = (
        f"Unknown run '{mistyped}': {runs / mistyped} doesn't exist. Did you mean '{A}'?\n"
        f"  The runs are in {runs}."
    )
    assert isinstance(outcome.exception, PrerequisiteError)
    assert (expected, ExitCode.PREREQUISITE_MISSING) == (str(outcome.exception), outcome.exception.exit_code)
