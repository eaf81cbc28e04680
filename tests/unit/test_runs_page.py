"""The page of the runs that are kept on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, HarnessError
from harness.files import file_lock
from harness.report.runs_page import write_runs_page
from harness.results import Result, Verdict
from harness.runs import PLAN, RESULT, RunFolder
from harness.views.kept_runs import RunFilter
from harness.views.metric_courses import MOST_RUNS
from tests.unit import report_samples as samples

_NASTY = "<script>alert('x')</script> & \"quotes\" $math$ {{ 7 * 7 }}"
OLD, NEW = "20260301-101500-three_versions-7f3a", "20260302-101500-other-0b1c"


@pytest.fixture(name="runs")
def _runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def _keep(runs: Path, run_id: str, result: Result | None = None, **changes: Any) -> RunFolder:
    """Keep a run with a plan; with its result and an empty report, if there is one."""
    run = RunFolder.create(runs, run_id)
    scenario = samples.scenario(name=run.scenario)
    plan = samples.plan(run_id=run_id, scenario=scenario, **changes)
    (run.path / PLAN).write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")
    if result is not None:
        kept = result.model_copy(update={"run_id": run_id, "scenario": run.scenario, "inputs": plan.inputs})
        (run.path / RESULT).write_text(kept.to_json(), encoding="utf-8")
        (run.path / "report.html").touch()
    return run


class _Page(HTMLParser):
    """The elements of a page; checks that its tags nest."""

    VOID = ("meta", "link", "wbr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.code: dict[str, str] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in ("style", "script"):
            self.code[self.cdata_elem] = self.code.get(self.cdata_elem, "") + data
        else:
            self.text += data

    def find(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of each element with a tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def rows(self) -> dict[str, dict[str, str]]:
        """The attributes of each row of the table, by run."""
        return {each["data-run"]: each for each in self.find("tr") if "data-run" in each}


def _write(runs: Path, **wanted: Any) -> _Page:
    return _Page(write_runs_page(runs, RunFilter(**wanted)).read_text(encoding="utf-8"))


def test_the_newest_run_is_first_and_each_leads_to_its_report(runs: Path) -> None:
    """Each run is a row, newest first, whose link leads from the page to the run's report."""
    for run_id in (OLD, NEW):
        _keep(runs, run_id, samples.result())
    page = _write(runs)
    links = [each["href"] for each in page.find("a") if not each["href"].startswith("#")]
    assert ([NEW, OLD], [f"{NEW}/report.html", f"{OLD}/report.html"]) == (list(page.rows), links)


def test_a_page_elsewhere_leads_to_the_reports_too(runs: Path, tmp_path: Path) -> None:
    """Links of a page in another folder are relative to that folder."""
    _keep(runs, OLD, samples.result())
    page = _Page(write_runs_page(runs, RunFilter(), tmp_path / "a b" / "page.html").read_text())
    assert f"../runs/{OLD}/report.html" in [each["href"] for each in page.find("a")]


def test_a_run_says_what_became_of_it(runs: Path) -> None:
    """Failed, interrupted, running and damaged runs are rows that say so; existing reports have a link."""
    ids = {name: f"2026030{at}-101500-loans-0000" for at, name in enumerate("abcdef", start=1)}
    _keep(runs, ids["a"], samples.result(verdict=Verdict.FAIL))
    _keep(runs, ids["b"], samples.result((), failure=samples.failure()))
    _keep(runs, ids["c"])
    damaged = _keep(runs, ids["d"])
    (damaged.path / RESULT).write_text("{", encoding="utf-8")
    RunFolder.create(runs, ids["e"])
    running = _keep(runs, ids["f"])
    with file_lock(running.path / PLAN):
        page = _write(runs)
    expected = {"a": "fail", "b": "error", "c": "interrupted", "d": "unreadable", "e": "interrupted"} | {
        "f": "running"
    }
    assert {ids[name]: label for name, label in expected.items()} == {
        run: row["data-outcome"] for run, row in page.rows.items()
    }
    assert "Spark ran out of memory while it trained february." in page.text
    assert {f"{ids[name]}/report.html" for name in "ab"} == {
        each["href"] for each in page.find("a") if not each["href"].startswith("#")
    }


def test_texts_of_a_scenario_are_escaped(runs: Path) -> None:
    """Names and messages are shown as text, whatever they contain: the only script is the page's own."""
    bound = samples.bound(_NASTY, Verdict.FAIL)
    version = samples.version(_NASTY, 2, bounds=(bound,), metrics={_NASTY: 1.0, "test_roc_auc": 0.5})
    result = samples.result((version,), target=_NASTY, failure=samples.failure(message=_NASTY))
    _keep(runs, OLD, result, existing_table=_NASTY, parameters={_NASTY: _NASTY})
    _keep(runs, NEW, samples.result())
    page = _write(runs)
    assert ([{}], True, False) == (page.find("script"), _NASTY in page.text, "alert" in page.code["script"])


def test_the_page_may_only_run_its_own_script(runs: Path) -> None:
    """The policy names the page's style sheet and script by their hashes, and the page loads nothing."""
    _keep(runs, OLD, samples.result())
    page = _write(runs)
    [policy] = [each["content"] for each in page.find("meta") if "http-equiv" in each]
    for kind, code in page.code.items():
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src-elem 'sha256-{digest}'" in policy
    assert {"style", "script"} == page.code.keys()
    assert policy.startswith("default-src 'none'")
    written = (runs / "index.html").read_text()
    assert not re.findall(r"https?://|@import|<iframe|src=| on\w+=", written)


def test_every_field_has_a_label_and_every_header_a_scope(runs: Path) -> None:
    """Each field has a label, each header cell a scope, and each run in a chart its values as text."""
    for run_id in (OLD, NEW):
        _keep(runs, run_id, samples.result())
    page = _write(runs)
    fields = [each["id"] for tag in ("select", "input") for each in page.find(tag)]
    assert fields
    assert set(fields) == {each["for"] for each in page.find("label")}
    assert {"row", "col"} == {each.get("scope") for each in page.find("th")}
    groups = [each for each in page.find("g") if each.get("role") == "img"]
    assert len(groups) == len(page.find("title")) - 1


def test_without_a_script_the_page_is_a_table(runs: Path) -> None:
    """Only the script shows the filters; all rows, and one chart of each scenario, are visible without it."""
    for run_id in (OLD, NEW):
        _keep(runs, run_id, samples.result())
    page = _write(runs)
    assert ["hidden" in each for each in page.find("form")] == [True]
    assert not [row for row in page.rows.values() if "hidden" in row]
    shown = [each["data-metric"] for each in page.find("figure") if "hidden" not in each]
    assert ["cv_roc_auc", "cv_roc_auc"] == shown


def test_a_chart_has_the_values_of_every_run(runs: Path) -> None:
    """A chart of a metric has a group for each run, with the value, error and verdict at each version."""
    _keep(runs, OLD, samples.result())
    _keep(runs, OLD.replace("0301", "0302"), samples.result())
    text = " ".join(_write(runs).text.split())
    value = "january 0.6431 ± 0.041, pass; february 0.6652 ± 0.039, pass; march 0.6558 ± 0.037, pass"
    assert text.index(f"{OLD} (pass): {value}") < text.index(f"{OLD.replace('0301', '0302')} (pass): {value}")


def test_a_chart_has_the_newest_runs(runs: Path) -> None:
    """A chart of many runs has the newest ones, and the page says so; the table has all of them."""
    version = samples.version("march", 2, metrics={"test_roc_auc": 0.5}, bounds=())
    ids = [f"20260301-{at:06}-loans-0000" for at in range(MOST_RUNS + 2)]
    for run_id in ids:
        _keep(runs, run_id, samples.result((version,)))
    page = _write(runs)
    assert (ids[2:], f"newest {MOST_RUNS} runs" in page.text, len(ids)) == (
        [each["data-run"] for each in page.find("g") if "data-run" in each],
        True,
        len(page.rows),
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [NEW, OLD]),
        ({"scenario": "three_versions"}, [OLD]),
        ({"target": "databricks"}, [NEW]),
        ({"table": "lc_loan"}, [NEW, OLD]),
        ({"table": "/lake/loans"}, [NEW]),
        ({"table": "/lake/loans/"}, [NEW]),
        ({"table": "lc_loan", "version": 2}, [OLD]),
        ({"table": samples.version("january", 0).fingerprint}, [OLD]),
        ({"table": samples.version("january", 0).fingerprint, "scenario": "three_versions"}, [OLD]),
    ],
)
def test_filters_select_runs(runs: Path, wanted: dict[str, Any], expected: list[str]) -> None:
    """Scenario, target, table (by its name, URI or fingerprint) and version select the runs of the page."""
    _keep(runs, OLD, samples.result())
    cloud = samples.cloud((samples.version("april", 9),), table_uri="/lake/loans")
    _keep(runs, NEW, cloud, existing_table="/lake/loans")
    assert expected == list(_write(runs, **wanted).rows)


@pytest.mark.parametrize("wanted", [{"scenario": "loans"}, {"table": "lc_loan", "version": 7}])
def test_filters_without_a_match_are_reported(runs: Path, wanted: dict[str, Any]) -> None:
    """If no run matches, the message repeats the filters, and no page is written."""
    _keep(runs, OLD, samples.result())
    with pytest.raises(HarnessError, match="There are no such runs in ") as caught:
        write_runs_page(runs, RunFilter(**wanted))
    assert all(f"{name} {value}" in caught.value.message for name, value in wanted.items())
    assert (ExitCode.PREREQUISITE_MISSING, False) == (caught.value.exit_code, (runs / "index.html").exists())


def test_a_home_without_runs_is_reported(runs: Path) -> None:
    """Without any run, the message says so, and the folder of the runs is not created."""
    with pytest.raises(HarnessError, match="There are no runs in "):
        write_runs_page(runs, RunFilter())
    assert not runs.exists()


def test_the_command_writes_the_page_and_shows_where(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """'harness runs --html' writes the page next to the runs, without MLflow, and prints its location."""
    monkeypatch.setenv("HARNESS_HOME", str(runs.parent))
    _keep(runs, OLD, samples.result())
    _keep(runs, NEW, samples.cloud())
    done = CliRunner().invoke(app, ["runs", "--html", "--target", "databricks"])
    assert (0, f"page    {runs / 'index.html'}\n") == (done.exit_code, done.stdout)
    assert [NEW] == list(_Page((runs / "index.html").read_text()).rows)
    elsewhere = runs.parent / "page.html"
    assert CliRunner().invoke(app, ["runs", "--html", "--out", str(elsewhere)]).exit_code == 0
    assert [NEW, OLD] == list(_Page(elsewhere.read_text()).rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "page.html"], "--out needs --html"),
        (["--html", "--version", "1"], "--version needs --table"),
        (["--html", "--target", "databrick"], "Unknown target 'databrick'"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """An option that has no effect, or an unknown target, is a mistake on the command line."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["runs", *arguments])
    assert message in f"{done.output} {done.exception}"
    assert [] == list(tmp_path.iterdir())


def test_a_run_of_a_newer_harness_is_a_row(runs: Path) -> None:
    """A result of a newer format is a row that says so."""
    run = _keep(runs, OLD, samples.result())
    values = json.loads((run.path / RESULT).read_text()) | {"format_version": 99}
    (run.path / RESULT).write_text(json.dumps(values))
    assert "unreadable" == _write(runs).rows[OLD]["data-outcome"]
