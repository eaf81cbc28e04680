"""Mutated scenario files are loaded, or their mistakes are reported in terms of the file."""

import copy
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.authoring.plan_preview import predict_run
from harness.errors import ScenarioError, UsageError
from harness.loading.loader import LoadedScenario, load_scenario
from harness.scenario.model import Scenario
from tests.properties import HealthCheck, given, settings, st

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "bad"
_INTERNAL_TERMS = re.compile(
    r"pydantic|function-|Input should|type=|\bdict\b|[Tt]uple|NoneType|validator|Traceback|\bNone\b"
)
"""Terms of Python and of the validator, which no message may contain."""
_WHOLE: dict[str, Any] = {
    "name": "example",
    "table": {"source": "data/rows.csv", "key": "id"},
    "pipeline": {
        "label": {"column": "status", "positive": ["late"], "negative": ["paid"]},
        "features": ["amount", "income"],
        "categorical": ["state"],
    },
    "versions": [{"name": "january", "append": None}],
}
_ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "x" * 70,
    "first",
    "previous",
    "latest",
    "null\0byte",
    "a\ud800b",
    "../../..",
    "abfss://user:word@host/x",
    date(1, 1, 1),
    datetime(9999, 12, 31, 23, tzinfo=UTC),
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"min": 1},
    {"generate": {"rows": 1}},
    {1: 2},
]
_TEXTS = ["", " ", "\n", "\t", ":", "- ", "{", "]", "'", "#", "&a ", "*a", "!x ", "<<: "]
_MUTATIONS = ("replace", "remove", "rename", "double", "move")


def _parse(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _seeds() -> Iterator[Any]:
    """Yield every shipped scenario, every example of the documentation, and every bad file."""
    for file in sorted((ROOT / "scenarios").glob("*.yaml")):
        yield _parse(file.read_text(encoding="utf-8"))
    for page in ("docs/scenario.md", "README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for example in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
            yield {**_WHOLE, **_parse(example)}
    for file in sorted(BAD.glob("*.yaml")):
        if not file.stem.startswith("yaml_"):
            yield _parse(file.read_text(encoding="utf-8"))


SEEDS = list(_seeds())


def _locations(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, key)
            yield from _locations(inner, (*at, key))


def _at(value: Any, location: tuple[Any, ...]) -> Any:
    for part in location:
        value = value[part]
    return value


@st.composite
def _mutated_values(draw: st.DrawFn) -> Any:
    """Draw a scenario's values with one to three of them changed."""
    values = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        locations = list(_locations(values))
        if not locations:
            break
        *inside, key = draw(st.sampled_from(locations))
        _mutate(draw, values, _at(values, tuple(inside)), key)
    return values


def _mutate(draw: st.DrawFn, values: Any, holder: Any, key: Any) -> None:
    kind = draw(st.sampled_from(_MUTATIONS))
    if kind == "remove":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        name = draw(st.sampled_from([f"{key}s", str(key)[1:], "min", "from", "on", "versions", 5]))
        holder[name] = holder.pop(key)
    elif kind == "double" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif kind == "move":
        holder[key] = copy.deepcopy(_at(values, draw(st.sampled_from(list(_locations(values))))))
    else:
        odd = draw(st.sampled_from(_ODD) | st.text(max_size=8) | st.integers() | st.floats())
        # A copy: a later mutation of the same scenario would change the list that is drawn from.
        holder[key] = copy.deepcopy(odd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for scenario files, with the data that they use."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "data").mkdir()
    for file in (*(ROOT / "scenarios" / "data").iterdir(), *(BAD / "data").iterdir()):
        (folder / "data" / file.name).symlink_to(file)
    return folder


def _load(file: Path, content: str) -> LoadedScenario | None:
    """Return the scenario, or ``None`` if its mistakes are reported in terms of the file."""
    file.write_text(content, encoding="utf-8", errors="surrogatepass")
    try:
        return load_scenario(str(file))
    except UsageError:
        return None
    except ScenarioError as error:
        messages = [each.message for each in error.problems]
    assert [message for message in messages if _INTERNAL_TERMS.search(_without_quotes(message))] == []
    assert all(message.strip() for message in messages)
    return None


def _without_quotes(message: str) -> str:
    """Return a message without its quotations from the file."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\(it is .*\)|not valid YAML.*", "", message)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=_mutated_values())
def test_a_mutated_scenario_is_loaded_or_reported(folder: Path, values: Any) -> None:
    """A scenario with mutated values leads to messages about the file, or can be planned and serialized."""
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(values, stream)
    loaded = _load(folder / "mutated.yaml", stream.getvalue())
    if loaded is not None:
        scenario = loaded.scenario
        assert [version.name for version in scenario.versions] == [
            each.name for each in predict_run(scenario)
        ]
        assert scenario.matrix or Scenario.model_validate_json(scenario.model_dump_json()) == scenario


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_mutated_text_is_loaded_or_reported(folder: Path, data: st.DataObject) -> None:
    """A scenario with mutated text or indentation leads to messages about the file, or is loaded."""
    file = data.draw(st.sampled_from(sorted((ROOT / "scenarios").glob("*.yaml"))))
    text = file.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.sampled_from([0, 0, 1, 2, 20]))
    put = data.draw(st.sampled_from(_TEXTS))
    _load(folder / "mutated.yaml", text[:start] + put + text[start + length :])


def test_no_wrong_file_imports_spark() -> None:
    """Checking any of the bad files imports neither Spark nor another heavy library."""
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from harness.cli import app\n"
        "codes = {int(CliRunner().invoke(app, ['check', file]).exit_code) for file in sys.argv[1:]}\n"
        "heavy = {'pyspark', 'py4j', 'mlflow', 'synapse'} & set(sys.modules)\n"
        "print(codes, heavy)\n"
    )
    files = [str(file) for file in sorted(BAD.glob("*.yaml"))]
    done = subprocess.run(
        [sys.executable, "-c", script, *files], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{2} set()\n"
