"""The verdict and the progress of a run on the terminal."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness.events import Event
from harness.parity.compare import Parity, report_not_compared
from harness.report.html import render_html
from harness.report.terminal.progress import show_progress
from harness.report.terminal.verdict_summary import show_parity, show_verdict
from harness.results import Registration, Result, Verdict
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples

FOLDER = Path("/runs/20260301-101500-7f3a")


@pytest.fixture(autouse=True)
def _capable_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a capable terminal, whatever the tests are started from."""
    monkeypatch.setenv("TERM", "xterm")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Latin(io.TextIOWrapper):
    """A log that is limited to ASCII."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", write_through=True)


class _Clock:
    """A clock that moves only when it is set."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _render(result: Result, width: int = 100, parity: Parity | None = None) -> str:
    file = io.StringIO()
    show_verdict(Console(file=file, width=width), result, FOLDER, parity)
    return file.getvalue()


def test_every_version_is_shown() -> None:
    """The bounds of each version are shown, including those that hold."""
    assert _render(samples.result()).count("✓ pass") == 14


def test_warnings_are_shown() -> None:
    """Warnings of the run are shown with its locations."""
    assert "\nwarning Version 3 expires.\n" in _render(samples.result(warnings=("Version 3 expires.",)))


def test_versions_that_were_read_by_a_time_are_named() -> None:
    """A version that was read by a time is shown with the version that it led to."""
    file = io.StringIO()
    reads = [("t20310101_000000", "as of 2031-01-01 00:00:00 UTC: version 2, the newest")]
    show_verdict(Console(file=file, width=100), samples.result(), FOLDER, reads=reads)
    assert (
        "read    t20310101_000000 as of 2031-01-01 00:00:00 UTC: version 2, the newest\n" in file.getvalue()
    )


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.OBSERVED])
def test_a_verdict_is_a_word(verdict: Verdict) -> None:
    """Each verdict is shown as a word in a log without colors."""
    version = samples.version("march", 2, bounds=(samples.bound(verdict=verdict),))
    assert f"{verdict.value.upper()}: three_versions on embedded" in _render(samples.result((version,)))


@pytest.mark.parametrize(
    ("parity", "words"),
    [
        (compare_runs(samples.result(), samples.cloud()), "✓ PASS: three_versions on databricks."),
        (compare_runs(samples.result(()), samples.cloud()), "? NOT PROVEN: three_versions on databricks."),
        (
            compare_runs(samples.result((samples.version("march", 2, rows=1),)), samples.cloud()),
            "✗ FAIL: three_versions on databricks.",
        ),
    ],
    ids=["agrees", "nothing to compare", "disagrees"],
)
def test_the_other_run_is_shown_above_the_verdict(parity: Parity, words: str) -> None:
    """Parity is shown as 'harness compare' shows it, and counts in the run's verdict."""
    file = io.StringIO()
    show_parity(Console(file=file, width=100), parity)
    assert f"\nParity\n{file.getvalue()}\n{words} All 14 bounds hold" in _render(
        samples.cloud(), parity=parity
    )


def test_without_another_run_there_is_no_parity() -> None:
    """A run that is not compared has no parity section."""
    assert "Parity" not in _render(samples.result())


def test_the_reason_is_shown_once() -> None:
    """The reason why nothing was compared is shown once, in the parity section."""
    shown = _render(samples.cloud(), parity=report_not_compared(samples.cloud(), "There is no local run."))
    assert 1 == shown.count("There is no local run.")


def test_lines_fit_the_width() -> None:
    """No line of a table is wider than the terminal."""
    tables = _render(samples.result()).split("PASS:", maxsplit=1)[0]
    assert max(map(len, tables.splitlines())) <= 100


def test_metrics_without_a_bound_are_shown() -> None:
    """Metrics without a bound are shown, too."""
    assert "test_pr_auc" in _render(samples.result())


def test_addresses_stay_on_one_line() -> None:
    """The URI of a bundle and the path of the report are on one line, so that they can be copied."""
    shown = _render(samples.result(), width=40)
    assert f"{samples.BUNDLE}/march" in shown
    assert str(FOLDER / "report.html") in shown


def test_a_registered_model_is_shown() -> None:
    """The version of the registered model is shown with the alias that points to it."""
    last = samples.result().versions[-1]
    registered = Registration(name="loan", version="4", alias="champion")
    result = samples.result((last.model_copy(update={"registered": registered}),))
    assert f"model   {last.name}  models:/loan/4 (champion)\n" in _render(result)
    page = render_html(samples.plan(), result).replace("<wbr>", "")
    assert "models:/loan/4 (champion)" in page


def test_a_failure_shows_message_and_remedy() -> None:
    """A failed run shows its message and its remedy."""
    shown = _render(samples.result((), failure=samples.failure()))
    assert "JobError: Spark ran out of memory while it trained february." in shown
    assert "Set spark.driver.memory to 4g or more." in shown


def test_markup_in_a_message_is_shown() -> None:
    """Square brackets in a message are shown as they are."""
    assert "[/] [red]x" in _render(samples.result((), failure=samples.failure(message="[/] [red]x")))


def test_an_ascii_log_is_supported() -> None:
    """On an output limited to ASCII, the check mark is replaced."""
    file = _Latin()
    show_verdict(Console(file=file, width=100), samples.result(), FOLDER)
    file.seek(0)
    assert "+ PASS" in file.read()


def test_many_versions_show_the_latest_metrics() -> None:
    """Of thirty versions, only the latest five have a column."""
    versions = tuple(samples.version(f"v{at}_{'x' * 60}", at) for at in range(30))
    assert "last 5 of 30 versions" in _render(samples.result(versions))


def test_a_log_gets_a_line_per_finished_step() -> None:
    """Without a terminal, each finished step is a line with the time since the start."""
    file, clock = io.StringIO(), _Clock()
    with show_progress(Console(file=file, width=30), clock) as listen:
        listen(Event("train", "started", "january"))
        clock.now_s += 12.34
        listen(Event("train", "running", "january", detail="1 of 20 fits"))
        listen(Event("train", "done", "january", elapsed_s=8.1))
        assert file.getvalue() == "[   12.3 s] january: train done in 8.1 s\n"


def test_a_notice_is_a_line_of_its_own() -> None:
    """A message for the user is shown at once, in a log and above a terminal's live display."""
    notice = Event("stack", "notice", detail="waiting for workers: 0 of 1\x1b[2J")
    log, terminal = io.StringIO(), _Terminal()
    with show_progress(Console(file=log), _Clock()) as listen:
        listen(notice)
    with show_progress(Console(file=terminal, width=100, force_terminal=True), _Clock()) as listen:
        listen(Event("train", "started", "january"))
        listen(notice)
        listen(Event("train", "done", "january", elapsed_s=3))
    assert log.getvalue().startswith("[    0.0 s] run: waiting for workers: 0 of 1")
    assert 1 == terminal.getvalue().count("waiting for workers: 0 of 1")
    assert "\x1b[2J" not in log.getvalue() + terminal.getvalue()


def test_a_step_of_the_whole_run_has_a_label() -> None:
    """A step without a version is labeled as the run's."""
    file = io.StringIO()
    with show_progress(Console(file=file), _Clock()) as listen:
        listen(Event("session", "done", elapsed_s=4))
    assert "run: session done in 4.0 s" in file.getvalue()


def test_a_terminal_shows_versions_side_by_side() -> None:
    """On a terminal, each version has a line with its running and finished steps."""
    file, clock = _Terminal(), _Clock()
    with show_progress(
        Console(file=file, width=100, force_terminal=True, color_system=None), clock
    ) as listen:
        listen(Event("check", "done", "january", elapsed_s=0.2))
        listen(Event("train", "started", "january"))
        listen(Event("train", "running", "january", detail="1 of 20 fits"))
        listen(Event("train", "started", "february"))
        clock.now_s += 3
        listen(Event("train", "done", "february", elapsed_s=3))
    last = file.getvalue().splitlines()[-4:]
    assert "january  train 3.0 s 1 of 20 fits stopped  ✓ check" in last[0]
    assert "february ✓ train 3.0 s" in last[1]


def test_an_error_in_the_block_restores_the_terminal() -> None:
    """Ctrl-C during the job restores the cursor and is not swallowed."""
    file = _Terminal()
    with (
        pytest.raises(KeyboardInterrupt),
        show_progress(Console(file=file, force_terminal=True)),
    ):
        raise KeyboardInterrupt
    assert file.getvalue().rstrip("\n").endswith("\x1b[?25h")


def test_versions_that_do_not_fit_are_counted() -> None:
    """On a small terminal, running versions are shown and the rest are counted."""
    file = _Terminal()
    console = Console(file=file, width=80, height=10, force_terminal=True, color_system=None)
    with show_progress(console, _Clock()) as listen:
        for at in range(30):
            listen(Event("train", "done", f"v{at}", elapsed_s=1))
    assert "0.0 s elapsed, 24 lines not shown" in file.getvalue()


def test_the_module_loads_no_heavy_ones() -> None:
    """The terminal report imports neither matplotlib nor jinja2."""
    check = (
        "import sys, harness.report.terminal.verdict_summary\n"
        "print({'matplotlib', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_bound_that_must_fail_is_marked() -> None:
    """A bound that must fail is marked next to its value and in the verdict's line."""
    bound = samples.bound(verdict=Verdict.FAIL, must_fail=True)
    shown = _render(samples.result((samples.version("march", 2, bounds=(bound,)),)))
    assert "✓ fails as expected" in shown
    assert "✓ PASS: three_versions on embedded. 1 bound must fail, and does" in shown


def test_texts_and_percents_are_shown() -> None:
    """The terminal shows texts that bounds found and relative changes in percent."""
    text = samples.bound(
        "operation",
        Verdict.FAIL,
        kind="is",
        limit=None,
        measured=None,
        distance=None,
        expected="WRITE",
        found="MERGE",
    )
    relative = samples.bound(
        kind="change_min",
        relative=True,
        measured=-0.05,
        limit=-0.1,
        distance=0.05,
        reference=samples.since("may"),
    )
    shown = _render(samples.result((samples.version("march", 2, bounds=(text, relative)),)))
    assert ["MERGE", "=", "WRITE", "✗", "fail"] == _line(shown, " operation ").split()[2:]
    assert "-5 % >= -10 % since may +5 % ✓ pass" in " ".join(_line(shown, "change").split())


def test_versions_without_a_model_are_shown() -> None:
    """Versions without a model are shown with their outcome and commits."""
    versions = (
        samples.version("march", 2, bounds=()),
        samples.version("wide", 3, status="built", commits=1, metrics={}),
        samples.version("wrong", 3, status="built", error="DELTA_SOMETHING", commits=0, metrics={}),
    )
    shown = _render(samples.result(versions)).partition("Versions without a model")[2]
    assert "built, not trained" in _line(shown, "wide ")
    assert "failed as expected with DELTA_SOMETHING" in _line(shown, "wrong ")
    assert "march " not in shown.partition("bundle")[0]


def test_without_untrained_versions_there_is_no_table_of_them() -> None:
    """If all versions are trained, there is no table of versions without a model."""
    assert "Versions without a model" not in _render(samples.result())


def test_bounded_metrics_are_not_repeated() -> None:
    """A metric that is bounded at every trained version is not repeated among the other metrics."""
    versions = (*samples.result().versions, samples.version("wide", 3, status="built", metrics={}))
    names = [
        line.split()[:1]
        for line in _render(samples.result(versions)).partition("Other metrics")[2].splitlines()
    ]
    assert (True, False) == (["rows"] in names or ["test_rows"] in names, ["lime_r2_mean"] in names)


def _line(shown: str, word: str) -> str:
    return next(line for line in shown.splitlines() if word in line)
