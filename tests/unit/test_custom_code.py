"""The Python files of a custom pipeline; tests/unit/bad has more mistakes."""

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
    """Write files by their path without its ending, with ``0`` for ``/``."""
    for name, text in files.items():
        file = folder / f"{name.replace('0', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _messages(folder: Path, use: str, **options: Any) -> list[str]:
    return [problem.message for problem in read_code(_pipeline(use, **options), folder)[1]]


def test_the_built_in_pipeline_has_no_files(tmp_path: Path) -> None:
    """A scenario with a built-in model has no code."""
    built_in = _pipeline("x:y").model_copy(update={"use": None})
    assert (None, []) == read_code(built_in, tmp_path)


def test_a_module_outside_a_package_is_one_file(tmp_path: Path) -> None:
    """The code of a module outside a package is its file, without the files next to it."""
    _write(tmp_path, one=f"class A:{METHODS}", other="")
    code, problems = read_code(_pipeline("one:A"), tmp_path)
    assert (["one.py"], []) == (list(code.files) if code else None, problems)


def test_all_files_of_a_package_are_read(tmp_path: Path) -> None:
    """The code of a module in a package is the whole package, so that its modules can import each other."""
    _write(tmp_path, team0trees=f"class A:{METHODS}", team0inner0maths="", team0__init__="")
    code, problems = read_code(_pipeline("team.trees:A"), tmp_path)
    assert [] == problems
    assert ["team/__init__.py", "team/inner/maths.py", "team/trees.py"] == sorted(code.files if code else ())


def test_a_package_can_be_the_module(tmp_path: Path) -> None:
    """The name of a package stands for its __init__.py."""
    _write(tmp_path, team0__init__=f"class A:{METHODS}")
    assert [] == _messages(tmp_path, "team:A")


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
    assert [] == _messages(tmp_path, "one:A")


@pytest.mark.parametrize(
    ("statement", "module"),
    [
        ("import harness", "harness"),
        ("import json, harness.plan as plan", "harness.plan"),
        ("from harness import run", "harness.run"),
        ("from harness.job.custom_pipeline import open_pipeline", "harness.job.custom_pipeline"),
        ("def late():\n    from harness.job import explain", "harness.job"),
    ],
)
def test_an_import_of_internals_is_reported(tmp_path: Path, statement: str, module: str) -> None:
    """The message names the file, the line, the module, and the public module to import from instead."""
    _write(tmp_path, one=f"class A:{METHODS}\n{statement}")
    line = 7 + statement.count("\n")
    message = f"one.py, line {line}, imports from {module}, which is internal to the harness"
    assert [f"{message}; import from harness.pipelines instead."] == _messages(tmp_path, "one:A")


def test_the_digest_covers_paths_and_texts() -> None:
    """The digest of code depends on paths and texts of its files, and not on their order."""
    files = {"a.py": "x", "b.py": "y"}
    same = CustomCode(dict(reversed(files.items())))
    others = [{"a.py": "x", "b.py": "z"}, {"a.py": "x", "c.py": "y"}, {"a.py": "xb.py", "": "y"}, {}]
    digests = {CustomCode(each).sha256 for each in others}
    assert CustomCode(files).sha256 == same.sha256
    assert len(others) == len(digests - {same.sha256})


def test_too_much_code_is_refused(tmp_path: Path) -> None:
    """Code of more than 1 MB is refused, as it would become part of every plan."""
    _write(tmp_path, one=f"class A:{METHODS}\n#{'x' * 1_000_000}")
    [message] = _messages(tmp_path, "one:A")
    assert "more than 1,000,000 bytes" in message


def test_the_fields_of_a_dataclass_are_its_arguments(tmp_path: Path) -> None:
    """A dataclass's fields are its arguments, and those without a default are required."""
    text = f"@dataclass(frozen=True)\nclass A:\n    trees: int\n    depth: int = 3\n{METHODS}"
    _write(tmp_path, one=text)
    assert [] == _messages(tmp_path, "one:A", trees=3)
    assert [
        "A in one.py has no argument 'tree'. Did you mean 'trees'?",
        "A in one.py needs 'trees'; set it under 'with'.",
    ] == _messages(tmp_path, "one:A", tree=3)


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
def test_code_that_can_not_be_analyzed_is_left_to_the_job(tmp_path: Path, text: str) -> None:
    """Arguments are not checked if they don't show in the code."""
    _write(tmp_path, one=text)
    assert [] == _messages(tmp_path, "one:A", trees=3)


@pytest.mark.parametrize(
    "method",
    [
        "def fit(self, rows, context, more=1): ...",
        "def fit(self, *everything): ...",
        "def fit(self, rows, context, *, more=1): ...",
    ],
)
def test_a_method_can_have_optional_parameters(tmp_path: Path, method: str) -> None:
    """A method of a pipeline can have further parameters if they have defaults."""
    _write(tmp_path, one=f"class A:{METHODS}    {method}")
    assert [] == _messages(tmp_path, "one:A")


@pytest.mark.parametrize(
    "method", ["def fit(self, rows, context, *, more): ...", "def fit(self, rows, context, more): ..."]
)
def test_a_method_with_too_many_required_parameters_is_reported(tmp_path: Path, method: str) -> None:
    """A method that the job could not call with its arguments is reported."""
    _write(tmp_path, one=f"class A:{METHODS}    {method}")
    assert ["'fit' of A in one.py, line 6, must take 2 arguments besides self."] == _messages(
        tmp_path, "one:A"
    )


def test_a_file_that_python_can_not_parse_is_reported(tmp_path: Path) -> None:
    """A file that is nested too deeply for Python is reported with its line."""
    _write(tmp_path, one="A = " + "(" * 300 + ")" * 300)
    [message] = _messages(tmp_path, "one:A")
    assert message.startswith("one.py, line 1, is not valid Python: too many nested parentheses")
