"""The Python files of a custom pipeline; tests/unit/bad has the mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.loading.custom_code import read_code
from harness.plan import CustomCode
from harness.scenario.pipeline import Pipeline

METHODS = """
    def prepare(self, rows, context): ...
    def fit(self, rows, context): ...
    def evaluate(self, scored, context): ...
    def explain(self, model, background, context): ...
"""


def _pipeline(use: str, **options: Any) -> Pipeline:
    label = {"column": "y", "positive": [1], "negative": [0]}
    return Pipeline.model_validate({"label": label, "features": ["x"], "use": use, "with": options})


def _write(folder: Path, **files: str) -> None:
    """Files by their path without its ending, with ``0`` for ``/``."""
    for name, text in files.items():
        file = folder / f"{name.replace('0', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _told(folder: Path, use: str, **options: Any) -> list[str]:
    return [problem.message for problem in read_code(_pipeline(use, **options), folder)[1]]


def test_the_built_in_pipeline_has_no_files(tmp_path: Path) -> None:
    """Nothing is read for it."""
    built_in = _pipeline("x:y").model_copy(update={"use": None})
    assert (None, []) == read_code(built_in, tmp_path)


def test_a_module_alone_is_one_file(tmp_path: Path) -> None:
    """What lies beside it is not taken along."""
    _write(tmp_path, one=f"class A:{METHODS}", other="")
    code, problems = read_code(_pipeline("one:A"), tmp_path)
    assert (["one.py"], []) == (list(code.files) if code else None, problems)


def test_a_package_is_taken_whole(tmp_path: Path) -> None:
    """So that its modules may import each other."""
    _write(tmp_path, team0trees=f"class A:{METHODS}", team0inner0maths="", team0__init__="")
    code, problems = read_code(_pipeline("team.trees:A"), tmp_path)
    assert [] == problems
    assert ["team/__init__.py", "team/inner/maths.py", "team/trees.py"] == sorted(code.files if code else ())


def test_a_package_itself_may_be_the_module(tmp_path: Path) -> None:
    """Its __init__.py has the name."""
    _write(tmp_path, team0__init__=f"class A:{METHODS}")
    assert [] == _told(tmp_path, "team:A")


@pytest.mark.parametrize(
    "statement",
    [
        "import harness.pipelines",
        "from harness import pipelines",
        "from harness.pipelines import FEATURES",
        "from .harness import helper",
        "import harnesses",
    ],
)
def test_the_public_module_can_be_imported(tmp_path: Path, statement: str) -> None:
    """Imports of ``harness.pipelines``, and of modules that are not the harness's, are allowed."""
    _write(tmp_path, one=f"{statement}\nclass A:{METHODS}")
    assert [] == _told(tmp_path, "one:A")


@pytest.mark.parametrize(
    ("statement", "module"),
    [
        ("import harness", "harness"),
        ("import json, harness.plan as plan", "harness.plan"),
        ("from harness import run", "harness.run"),
        ("from harness.job.model_pipeline import Context", "harness.job.model_pipeline"),
        ("def late():\n    from harness.job import explain", "harness.job"),
    ],
)
def test_an_import_of_internals_is_reported(tmp_path: Path, statement: str, module: str) -> None:
    """The message names the file, the line, the module, and the public module to import from instead."""
    _write(tmp_path, one=f"class A:{METHODS}\n{statement}")
    line = 7 + statement.count("\n")
    message = f"one.py, line {line}, imports from {module}, which is internal to the harness"
    assert [f"{message}; import from harness.pipelines instead."] == _told(tmp_path, "one:A")


def test_the_digest_is_of_names_and_texts() -> None:
    """It changes with a text and with a path, and not with the order."""
    files = {"a.py": "x", "b.py": "y"}
    same = CustomCode(dict(reversed(files.items())))
    others = [{"a.py": "x", "b.py": "z"}, {"a.py": "x", "c.py": "y"}, {"a.py": "xb.py", "": "y"}, {}]
    digests = {CustomCode(each).sha256 for each in others}
    assert CustomCode(files).sha256 == same.sha256
    assert len(others) == len(digests - {same.sha256})


def test_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    """They are part of every plan."""
    _write(tmp_path, one=f"class A:{METHODS}\n#{'x' * 1_000_000}")
    [told] = _told(tmp_path, "one:A")
    assert "more than 1,000,000 bytes" in told


def test_a_dataclass_is_made_with_its_fields(tmp_path: Path) -> None:
    """Those without a default are needed."""
    text = f"@dataclass(frozen=True)\nclass A:\n    trees: int\n    depth: int = 3\n{METHODS}"
    _write(tmp_path, one=text)
    assert [] == _told(tmp_path, "one:A", trees=3)
    assert [
        "A in one.py has no argument 'tree'. Did you mean 'trees'?",
        "A in one.py needs 'trees'; set it under 'with'.",
    ] == _told(tmp_path, "one:A", tree=3)


@pytest.mark.parametrize(
    "text",
    [
        f"class A:{METHODS}    def __init__(self, **others): ...",
        f"@decorated\nclass A:{METHODS}",
        f"class A(Base):{METHODS}",
        "class A(Base): ...",
        "from elsewhere import A",
        "import A",
        "A = make()",
        "def A(*, trees): ...",
        "async def A(trees, /): ...",
    ],
)
def test_what_cannot_be_seen_is_left_to_the_job(tmp_path: Path, text: str) -> None:
    """No good pipeline is refused for what reading alone can't tell."""
    _write(tmp_path, one=text)
    assert [] == _told(tmp_path, "one:A", trees=3)


@pytest.mark.parametrize(
    "method",
    [
        "def fit(self, rows, context, more=1): ...",
        "def fit(self, *everything): ...",
        "def fit(self, rows, context, *, more=1): ...",
    ],
)
def test_a_method_may_take_more_than_it_gets(tmp_path: Path, method: str) -> None:
    """What has a default need not be given."""
    _write(tmp_path, one=f"class A:{METHODS}    {method}")
    assert [] == _told(tmp_path, "one:A")


@pytest.mark.parametrize(
    "method", ["def fit(self, rows, context, *, more): ...", "def fit(self, rows, context, more): ..."]
)
def test_a_method_that_needs_more_is_told(tmp_path: Path, method: str) -> None:
    """The job could not call it."""
    _write(tmp_path, one=f"class A:{METHODS}    {method}")
    assert ["'fit' of A in one.py, line 6, must take 2 arguments besides self."] == _told(tmp_path, "one:A")


def test_a_file_that_no_parser_reads_is_told(tmp_path: Path) -> None:
    """Nested more deeply than Python's own parser can go."""
    _write(tmp_path, one="A = " + "(" * 300 + ")" * 300)
    [told] = _told(tmp_path, "one:A")
    assert told.startswith("one.py, line 1, is not valid Python: too many nested parentheses")
