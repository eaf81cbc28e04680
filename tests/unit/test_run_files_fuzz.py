"""Damaged and edited files of runs: each command reads them, or says in one message that it can't."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, HarnessError, PrerequisiteError
from harness.result_digest import add_digest
from harness.results import Result
from harness.runs import PLAN, RESULT, RunFolder
from harness.stored_json import parse_json
from tests.properties import HealthCheck, given, settings, st
from tests.unit import report_samples as samples
from tests.unit.retention_samples import SampleTable

A, B = "20260301-101500-three_versions-7f3a", "20260302-101500-three_versions-0b1c"
_ODD: list[Any] = [
    *(None, True, -1, 0, 0.5, 2**63, 10**400, 1e308, -1e308, float("nan"), float("inf")),
    *("", "x", "x" * 10_000, "null\0byte", "a\ud800b", "\x1b[2J\u202e", "../..", "0001-01-01T00:00:00Z"),
    *("9999-12-31T23:59:59Z", "pass", [], {}, [[]], {"": {}}, [None] * 3),
]
_TEXTS = [
    *("", " ", "null", "[]", "0", '"text"', "{", "\ufeff{}", "NaN", "9" * 5000, "not JSON"),
    *("[" * 10_000, '{"a":' * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "[" * 400 + "]" * 400),
]
_COMMANDS = {
    "list": ["list"],
    "runs": ["runs", "--html"],
    "compare": ["compare", A, B],
    "compare to": ["compare", B, A, "--json"],
    "check": ["check", "loans.yaml"],
    "attach": ["attach", B],
    "clean": ["clean", "--keep-runs", "2"],
    "plan": ["plan", "loans.yaml"],
}


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with two runs, and a scenario whose bounds compare with the second one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    values = samples.scenario().model_dump(mode="json", by_alias=True, exclude_unset=True)
    values["table"] |= {"source": {"generate": {"rows": 10}}}
    values["pipeline"] |= {"derive": {}, "features": ["loan_amnt"]}
    values["versions"] = [{"name": "march", "append": {}}]
    plan = samples.plan(scenario=values)
    for run_id in (A, B):
        run = RunFolder.create(tmp_path / "runs", run_id)
        result = samples.result(samples.result().versions[-1:], run_id=run_id, inputs=plan.inputs)
        (run.path / PLAN).write_text(
            plan.model_copy(update={"run_id": run_id}).model_dump_json(by_alias=True)
        )
        (run.path / RESULT).write_text(result.to_json())
    run.make_latest()
    baseline = {"baseline": {"from": B, "min": -0.1}}
    (tmp_path / "loans.yaml").write_text(
        json.dumps(values | {"every": {"metrics": {"cv_roc_auc": baseline}}})
    )
    (tmp_path / "scenarios").mkdir()
    shutil.copy(tmp_path / "loans.yaml", tmp_path / "scenarios" / "three_versions.yaml")
    return tmp_path


def _list_locations(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for key, each in items:
        yield from _list_locations(each, (*at, key))


def _mutate(draw: Any, text: str) -> str:
    """Return a file's text with one mistake: in its form, or in one of its values."""
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(text)))
        return str(draw(st.sampled_from([*_TEXTS, text[:cut], text[:cut] + "\0" + text[cut:]])))
    values = json.loads(text)
    locations = list(_list_locations(values))
    *inside, last = draw(st.sampled_from(locations[1:]))
    node = values
    for part in inside:
        node = node[part]
    if draw(st.integers(0, 4)):
        node[last] = copy.deepcopy(draw(st.sampled_from(_ODD)))
    else:
        del node[last]
    try:
        return json.dumps(add_digest(values) if "digest" in values else values)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return json.dumps(values)


def _run(*arguments: str) -> None:
    """Run a command, which may only end with an exit code or with an expected error."""
    outcome = CliRunner().invoke(app, list(arguments))
    if isinstance(outcome.exception, HarnessError):
        message = str(outcome.exception)
        assert not any(word in message for word in ("Traceback", "pydantic", "Errno")), message
        assert len(message.splitlines()) <= 3
    elif outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception


@pytest.mark.parametrize("arguments", _COMMANDS.values(), ids=_COMMANDS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_file_of_a_run_is_read_or_refused(home: Path, arguments: list[str], data: st.DataObject) -> None:
    """A command that reads a damaged plan or result ends with an exit code, never with a traceback."""
    folder = home / "runs" / B
    before = {name: (folder / name).read_text() for name in (PLAN, RESULT)}
    name = data.draw(st.sampled_from(list(before)))
    try:
        text = _mutate(data.draw, before[name])
        (folder / name).write_text(text, encoding="utf-8", errors="surrogatepass")
        _run(*arguments)
    finally:  # Some commands write a result, or remove a run.
        folder.mkdir(exist_ok=True)
        for name, text in before.items():
            (folder / name).write_text(text)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_result_makes_a_page_or_is_refused(home: Path, data: st.DataObject) -> None:
    """A page with both runs is written whatever a readable result says."""
    file = home / "runs" / B / RESULT
    before = file.read_text()
    try:
        file.write_text(_mutate(data.draw, before), encoding="utf-8", errors="surrogatepass")
        _run("compare", A, B, "--html", str(home / "page.html"))
    finally:
        file.write_text(before)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_manifest_is_read_or_refused(home: Path, data: st.DataObject) -> None:
    """A damaged manifest of a bundle ends 'retain' with a message."""
    table = SampleTable(home / "loans", home / "models")
    manifest = Path(table.pin(1)) / "manifest.json"
    try:
        manifest.write_text(
            _mutate(data.draw, manifest.read_text()), encoding="utf-8", errors="surrogatepass"
        )
        _run("retain")
    finally:
        shutil.rmtree(table.store)


@pytest.mark.parametrize("arguments", [_COMMANDS["check"], _COMMANDS["plan"]])
def test_the_undamaged_run_can_be_read(home: Path, arguments: list[str]) -> None:
    """Without damage, the bound's other run is a baseline, so that its numbers are read too."""
    assert home.is_dir()
    assert ExitCode.PASS == CliRunner().invoke(app, arguments).exit_code


@pytest.mark.parametrize("text", ["[" * 10_000, '{"versions":' * 10_000, '{"run_id": "\\ud800"}'])
def test_what_no_program_can_handle_is_refused(home: Path, text: str) -> None:
    """A file that is nested too deeply, or isn't Unicode, is refused in a sentence, and listed so."""
    run = RunFolder(home / "runs" / B)
    for file, read in ((PLAN, run.read_plan), (RESULT, run.read_result)):
        (run.path / file).write_text(text)
        with pytest.raises(PrerequisiteError, match=f"{file} is not "):
            read()
    outcome = CliRunner().invoke(app, ["list"])
    assert (ExitCode.PASS, True) == (outcome.exit_code, "unreadable" in outcome.output)


def test_a_number_that_no_table_can_have_is_refused(home: Path) -> None:
    """A count of rows beyond 64 bits is refused: it can't be converted to a number that can be drawn."""
    file = home / "runs" / B / RESULT
    values = json.loads(file.read_text())
    values["versions"][0]["rows"] = 10**400
    with pytest.raises(ValueError, match="less than"):
        Result.from_json(json.dumps(values))
    file.write_text(json.dumps(values))
    outcome = CliRunner().invoke(app, ["compare", A, B, "--html", str(home / "page.html")])
    assert f"{file} is not the result of a run of the harness." == str(outcome.exception)


def test_a_shallow_document_is_parsed() -> None:
    """A document as deep as any of the harness is parsed unchanged."""
    text = "[" * 98 + '{"é": 1e308}' + "]" * 98
    assert json.loads(text) == parse_json(text)
