"""The notebook of the docs: its cells in both formats."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.embedded.runner import ROOT

SOURCE = ROOT / "docs" / "loans.py"
"""In the format of Databricks."""
NOTEBOOK = SOURCE.with_suffix(".ipynb")
_HEADER = "# Databricks notebook source\n"
_SEPARATOR = "\n# COMMAND ----------\n"
_MAGIC = "# MAGIC"
_MARKDOWN = "%md\n"


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook."""

    kind: str
    """``code`` or ``markdown``."""
    text: str

    @property
    def is_python(self) -> bool:
        """Whether it is Python, without a command of the notebook such as ``%pip``."""
        return self.kind == "code" and not self.text.startswith("%")


def read_source(file: Path = SOURCE) -> list[Cell]:
    """Return the cells of a notebook in the format of Databricks."""
    text = file.read_text(encoding="utf-8")
    assert text.startswith(_HEADER)
    return [_parse_cell(part.strip("\n")) for part in text.removeprefix(_HEADER).split(_SEPARATOR)]


def read_notebook(file: Path = NOTEBOOK) -> list[Cell]:
    """Return the cells of a notebook in the format of Jupyter."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return [Cell(each["cell_type"], "".join(each["source"])) for each in content["cells"]]


def format_notebook(cells: list[Cell]) -> str:
    """Return cells as a notebook in the format of Jupyter, without outputs."""
    content = {
        "cells": [_format_cell(index, cell) for index, cell in enumerate(cells)],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _parse_cell(text: str) -> Cell:
    if not text.startswith(_MAGIC):
        return Cell("code", text)
    lines = [line.removeprefix(_MAGIC).removeprefix(" ") for line in text.splitlines()]
    command = "\n".join(lines)
    if command.startswith(_MARKDOWN):
        return Cell("markdown", command.removeprefix(_MARKDOWN))
    return Cell("code", command)


def _format_cell(index: int, cell: Cell) -> dict[str, Any]:
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if cell.kind == "code" else {}
    return {
        "cell_type": cell.kind,
        "id": f"cell-{index}",
        "metadata": {},
        **code,
        "source": cell.text.splitlines(keepends=True),
    }
