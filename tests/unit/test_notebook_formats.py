"""The notebook of the docs in the formats of Databricks and of Jupyter."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from tests.embedded.runner import ROOT
from tests.notebooks import NOTEBOOK, format_notebook, read_notebook, read_source


def test_both_formats_have_the_same_cells(request: pytest.FixtureRequest) -> None:
    """The notebook for Jupyter has the cells of the one for Databricks, and no outputs."""
    cells = read_source()
    if request.config.getoption("--update"):
        NOTEBOOK.write_text(format_notebook(cells), encoding="utf-8")
    assert cells == read_notebook()
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert [] == [each for each in content["cells"] if each.get("outputs")]


def test_every_kind_of_cell_is_read() -> None:
    """The cells include Markdown, Python, and the command that installs the harness."""
    cells = read_source()
    assert {"code", "markdown"} == {each.kind for each in cells}
    assert 1 == len([each for each in cells if each.text.startswith("%pip install ")])
    assert not [each for each in cells if "MAGIC" in each.text or not each.text]


def test_the_notebook_names_the_versions_of_the_project() -> None:
    """The wheel, Delta and SynapseML in the notebook have the versions that the project pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = dict(
        each.split("==")
        for each in (*project["dependencies"], *project["optional-dependencies"]["local"])
        if "==" in each
    )
    text = "\n".join(each.text for each in read_source())
    assert [project["version"]] == re.findall(r"dataset_harness-([\d.]+)-", text)
    assert [pins["delta-spark"]] == re.findall(r"delta-spark_2\.12:([\d.]+)", text)
    assert [pins["synapseml"]] == re.findall(r"synapseml-core_2\.12:([\d.]+)", text)
