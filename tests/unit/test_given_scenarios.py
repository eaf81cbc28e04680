"""Scenarios that are given in Python, as text or as a dict, and existing tables for them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.errors import ExitCode, HarnessError, ScenarioError, UsageError
from harness.loading.document import GivenScenario, find_given
from harness.loading.loader import load_scenario
from harness.loading.table_override import find_table
from tests.embedded.runner import SCENARIOS, make_plan

NAME = "three_versions"
FILE = SCENARIOS / f"{NAME}.yaml"


@pytest.fixture(name="text")
def _text(monkeypatch: pytest.MonkeyPatch) -> str:
    """Provide the text of a shipped scenario, in the folder that its paths start from."""
    monkeypatch.chdir(SCENARIOS)
    return FILE.read_text(encoding="utf-8")


@pytest.fixture(name="values")
def _values(text: str) -> dict[str, Any]:
    values = load_scenario(GivenScenario(text)).document.values
    return copy.deepcopy(dict(values))


def _fail(scenario: str | Mapping[str, Any], **options: Any) -> HarnessError:
    with pytest.raises(HarnessError) as caught:
        harness.run(scenario, quiet=True, **options)
    assert ExitCode.WRONG_INPUT is caught.value.exit_code
    return caught.value


def test_text_and_dict_give_the_scenario_of_the_file(text: str, values: dict[str, Any]) -> None:
    """Text, a dict, and the file of a scenario give the same scenario with the same sources."""
    file = load_scenario(str(FILE))
    for given in (GivenScenario(text), GivenScenario(values)):
        loaded = load_scenario(given)
        assert (file.scenario, "") == (loaded.scenario, loaded.document.file)
        assert [each.path for each in file.sources.values()] == [
            each.path for each in loaded.sources.values()
        ]
    assert file.sha256 == load_scenario(GivenScenario(text)).sha256


@pytest.mark.parametrize(
    ("scenario", "is_given"),
    [
        ("three_versions", False),
        ("scenarios/three_versions.yaml", False),
        (Path("a: b.yaml"), False),
        ("name: three_versions", True),
        ("{name: x}", True),
        ("name:\n  x", True),
        ({}, True),
    ],
)
def test_text_is_distinguished_from_a_name(scenario: object, *, is_given: bool) -> None:
    """Text with a key or a line break is a scenario; a name or a path is not."""
    assert is_given == (find_given(scenario) is not None)


def test_a_mistake_in_a_dict_is_located_by_its_key(values: dict[str, Any]) -> None:
    """A wrong key in a dict is reported with the path of the key, and the key that was probably meant."""
    values["versions"][0]["expect"]["rowz"] = 3
    error = _fail(values)
    assert str(error).startswith("versions[0].expect.rowz: ")
    assert "'rows'" in str(error)


def test_a_mistake_in_text_is_located_by_its_line(text: str) -> None:
    """A wrong key in text is reported with its line in the text."""
    line = next(at for at, each in enumerate(text.splitlines(), 1) if each.startswith("seed:"))
    assert str(_fail(text.replace("\nseed:", "\nsead:", 1))).startswith(f"line {line}: ")


def test_text_that_is_not_yaml_is_refused() -> None:
    """Text that is not YAML is refused with the line of the mistake."""
    assert str(_fail("name: x\ntable: [a\nkey: b")).startswith("line 3: not valid YAML: ")


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("\n", "the text is empty"),
        ("- a\n- b\n", "a scenario must be a mapping"),
        ({}, "'name' is missing"),
        ({1: 2}, "name"),
    ],
)
def test_what_is_no_scenario_is_refused(scenario: Any, expected: str) -> None:
    """Empty text, a list, and a dict without the keys of a scenario are refused without a traceback."""
    error = _fail(scenario)
    assert isinstance(error, ScenarioError)
    assert expected in str(error)


def test_an_endless_dict_is_refused() -> None:
    """A dict that contains itself is refused."""
    endless: dict[str, Any] = {}
    endless["name"] = endless
    assert "nested too deeply" in str(_fail(endless))


def test_values_of_python_are_accepted(values: dict[str, Any]) -> None:
    """Tuples, paths and NumPy's numbers in a dict are accepted; the dict isn't changed."""
    values["seed"] = np.int64(7)
    values["pipeline"]["split"]["test"] = np.float32(0.5)
    values["pipeline"]["features"] = tuple(values["pipeline"]["features"])
    values["table"]["source"] = Path(values["table"]["source"])
    before = copy.deepcopy(values)
    scenario = load_scenario(GivenScenario(values)).scenario
    assert (7, 0.5) == (scenario.seed, scenario.pipeline.split.test)
    assert before == values


def test_a_missing_source_names_its_key(values: dict[str, Any], tmp_path: Path) -> None:
    """A source that doesn't exist is reported with its key; its path starts from the current folder."""
    values["table"]["source"] = str(tmp_path / "none.csv")
    assert str(_fail(values)).startswith("table.source: ")


@pytest.mark.parametrize(
    ("versions", "names"),
    [
        (None, ["latest"]),
        (0, ["v0"]),
        ("0,latest", ["v0", "latest"]),
        ([0, "latest"], ["v0", "latest"]),
        ((12, "2026-03-01"), None),
    ],
)
def test_versions_can_be_listed_in_every_way(versions: Any, names: list[str] | None, tmp_path: Path) -> None:
    """One version or several, as numbers or text, mean the same as on the command line; 0 is a version."""
    table = find_table(tmp_path, versions)
    assert table is not None
    found = [read.name for read in table.versions]
    assert (names or found) == found
    assert str(tmp_path) == table.uri


def test_messages_about_a_table_name_the_argument(text: str, tmp_path: Path) -> None:
    """A mistake in table= or versions= is reported by the name of the argument."""
    messages = [
        str(_fail(text, **options))
        for options in (
            {"versions": 3},
            {"table": ""},
            {"table": tmp_path / "none"},
            {"table": tmp_path, "versions": "twelve"},
            {"table": tmp_path, "versions": [1, 1]},
        )
    ]
    starts = (
        "versions= needs table=:",
        "table= is empty.",
        "table=: ",
        "versions=: 'twelve' is not",
        "versions= lists",
    )
    assert [True] * len(starts) == [
        message.startswith(start) for message, start in zip(messages, starts, strict=True)
    ]


def test_no_table_means_that_of_the_scenario() -> None:
    """Without table= and versions=, a scenario has its own table."""
    assert find_table(None, None) is None
    with pytest.raises(UsageError):
        find_table(None, 0)


def test_a_run_of_a_given_scenario_is_not_resumed_by_its_id(tmp_path: Path, values: dict[str, Any]) -> None:
    """A command can't resume a run whose scenario has no file, and says how to."""
    from harness.resumption import make_request
    from harness.runs import PLAN, RunFolder

    scenario = load_scenario(GivenScenario(values)).scenario
    plan = make_plan(scenario, FILE, tmp_path).model_copy(update={"scenario_file": ""})
    folder = RunFolder.create(tmp_path / "runs", plan.run_id)
    (folder.path / PLAN).write_text(plan.model_dump_json(by_alias=True))
    with pytest.raises(UsageError, match=r"its scenario has no file.*\n.*harness\.run"):
        make_request(folder)
