"""Whatever a scenario file has become, it is loaded, or its mistakes are told in the scenario's words."""

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
from hypothesis import HealthCheck, given, settings, strategies as st
from ruamel.yaml import YAML

from harness.authoring.plan_preview import predict
from harness.errors import ScenarioError, UsageError
from harness.loading.loader import LoadedScenario, load_scenario
from harness.scenario.model import Scenario

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "bad"
_NOT_OUR_WORDS = re.compile(
    r"pydantic|function-|Input should|type=|\bdict\b|[Tt]uple|NoneType|validator|Traceback|\bNone\b"
)
"""What only Python or the validator would say."""
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


def _parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _seeds() -> Iterator[Any]:
    """Every scenario that ships, every example of the documentation, and every wrong file."""
    for file in sorted((ROOT / "scenarios").glob("*.yaml")):
        yield _parsed(file.read_text(encoding="utf-8"))
    for page in ("docs/scenario.md", "README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for example in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
            yield {**_WHOLE, **_parsed(example)}
    for file in sorted(BAD.glob("*.yaml")):
        if not file.stem.startswith("yaml_"):
            yield _parsed(file.read_text(encoding="utf-8"))


SEEDS = list(_seeds())


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, key)
            yield from _places(inner, (*at, key))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for part in place:
        value = value[part]
    return value


@st.composite
def _mutated(draw: st.DrawFn) -> Any:
    """A scenario's values with one to three of them changed."""
    values = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(values))
        if not places:
            break
        *inside, key = draw(st.sampled_from(places))
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
        holder[key] = copy.deepcopy(_at(values, draw(st.sampled_from(list(_places(values))))))
    else:
        odd = draw(st.sampled_from(_ODD) | st.text(max_size=8) | st.integers() | st.floats())
        # A copy: a later mutation of the same scenario would change the list that is drawn from.
        holder[key] = copy.deepcopy(odd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for scenario files, beside the data that they name."""
    made = tmp_path_factory.mktemp("fuzz")
    (made / "data").mkdir()
    for file in (*(ROOT / "scenarios" / "data").iterdir(), *(BAD / "data").iterdir()):
        (made / "data" / file.name).symlink_to(file)
    return made


def _loaded(file: Path, content: str) -> LoadedScenario | None:
    """The scenario, or nothing where its mistakes are told as they should be."""
    file.write_text(content, encoding="utf-8", errors="surrogatepass")
    try:
        return load_scenario(str(file))
    except UsageError:
        return None
    except ScenarioError as error:
        told = [each.message for each in error.problems]
    assert [message for message in told if _NOT_OUR_WORDS.search(_own(message))] == []
    assert all(message.strip() for message in told)
    return None


def _own(message: str) -> str:
    """A message without what it quotes of the file."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\(it is .*\)|not valid YAML.*", "", message)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=_mutated())
def test_a_mutated_scenario_is_loaded_or_told(folder: Path, values: Any) -> None:
    """It leads to messages about the file, or to a scenario that can be planned and handed on as JSON."""
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(values, stream)
    loaded = _loaded(folder / "mutated.yaml", stream.getvalue())
    if loaded is not None:
        scenario = loaded.scenario
        assert [version.name for version in scenario.versions] == [each.name for each in predict(scenario)]
        assert scenario.matrix or Scenario.model_validate_json(scenario.model_dump_json()) == scenario


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_mutated_text_is_loaded_or_told(folder: Path, data: st.DataObject) -> None:
    """A character more or less, or a line that is indented otherwise, is a message about the file at most."""
    file = data.draw(st.sampled_from(sorted((ROOT / "scenarios").glob("*.yaml"))))
    text = file.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.sampled_from([0, 0, 1, 2, 20]))
    put = data.draw(st.sampled_from(_TEXTS))
    _loaded(folder / "mutated.yaml", text[:start] + put + text[start + length :])


def test_spark_is_not_even_imported_for_a_wrong_file() -> None:
    """No wrong file leads the check to Spark or to what is as heavy."""
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
