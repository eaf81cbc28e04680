"""The examples in the docs, which are valid scenarios."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.loading import rules
from harness.loading.document import read_document
from harness.scenario.model import Scenario

ROOT = Path(__file__).parents[2]
_EXAMPLES = [
    pytest.param(text, id=f"{file.stem}-{number}")
    for file in (ROOT / "docs" / "scenario.md", ROOT / "README.md")
    for number, text in enumerate(
        re.findall(r"```yaml\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)
    )
]
_REST: dict[str, Any] = {
    "name": "example",
    "table": {"source": "rows.csv", "key": "id"},
    "pipeline": {
        "label": {"column": "outcome", "positive": ["lost"], "negative": ["paid"]},
        "features": ["amount", "income", "age", "num_char"],
    },
    "versions": [{"name": "january", "append": None}],
}


@pytest.mark.parametrize("text", _EXAMPLES)
def test_documented_examples_are_valid(tmp_path: Path, text: str) -> None:
    """Every example in the documentation is valid once its omitted parts are filled in."""
    file = tmp_path / "example.yaml"
    file.write_text(text, encoding="utf-8")
    values = read_document(file).values
    rest = {
        name: value for name, value in _REST.items() if name != "versions" or "versions" not in str(values)
    }
    scenario = Scenario.model_validate({**rest, **values})
    assert [] == list(rules.check_rules(scenario))


def test_the_documented_custom_pipeline_is_the_shipped_one() -> None:
    """The documented custom pipeline is the shipped file, and its keys are those of the shipped scenario."""
    text = (ROOT / "docs" / "custom_pipelines.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert (ROOT / "scenarios" / "pipelines" / "boosted.py").read_text(encoding="utf-8") == code
    [keys] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    shipped = (ROOT / "scenarios" / "custom_pipeline.yaml").read_text(encoding="utf-8")
    lines = [line.partition(" #")[0] for line in keys.splitlines()]
    assert [] == [line for line in lines if line not in shipped]
