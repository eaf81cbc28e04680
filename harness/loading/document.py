"""A scenario as it is written: a YAML file with the line of every value, or YAML text, or a dict."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import Location, Problem, ScenarioError, UsageError, format_location
from harness.storage.uris import hide_passwords

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

_UNKNOWN_TAG = re.compile(r"could not determine a constructor for the tag (.*)")


@dataclass(frozen=True)
class GivenScenario:
    """A scenario that is given in Python, without a file: as YAML text, or as a dict."""

    content: str | Mapping[str, Any]


def find_given(scenario: object) -> GivenScenario | None:
    """Return a scenario that is given in Python; ``None`` for the name or path of a file.

    Text with a line break, or with a key and its value, is the scenario itself.
    """
    if isinstance(scenario, str):
        return GivenScenario(scenario) if "\n" in scenario or ": " in scenario else None
    return GivenScenario(scenario) if isinstance(scenario, Mapping) else None


@dataclass(frozen=True)
class Document:
    """A parsed scenario: its values, and their lines if it was written as YAML."""

    file: str
    """Its path; empty for one that is given in Python, whose relative paths start from the current folder."""
    values: Any
    marked: Any
    """The values with their lines."""

    def line_of(self, location: Location) -> int | None:
        """Return the line, from 1, of the value at a location, or of the nearest existing value around it."""
        line: int | None = None
        node: Any = self.marked
        for part in location:
            if isinstance(part, int) and not isinstance(node, list) and not _has_key(node, part):
                continue  # A value may be written in place of a list of one.
            try:
                position = node.lc.key(part) if hasattr(node, "items") else node.lc.item(part)
                node = node[part]
                line = position[0] + 1
            except (AttributeError, KeyError, IndexError, TypeError):
                # The value comes from a merge key, so its line is elsewhere.
                break
        return line

    def error(self, problems: list[Problem]) -> ScenarioError:
        """Return an error with the problems and their lines, in the order of the file."""
        located = [
            Problem(
                hide_passwords(problem.message),
                problem.location,
                problem.line or self.line_of(problem.location),
            )
            for problem in problems
        ]
        return _make_error(sorted(located, key=lambda problem: problem.line or 0), self.file)


def _make_error(problems: list[Problem], file: str) -> ScenarioError:
    """Return an error that names the file and the lines; without a file, the lines or the keys."""
    if file:
        return ScenarioError(problems, file=file)
    return ScenarioError([replace(each, message=_name_location(each) + each.message) for each in problems])


def _name_location(problem: Problem) -> str:
    if problem.line is not None:
        return f"line {problem.line}: "
    return f"{format_location(problem.location)}: " if problem.location else ""


def make_document(given: GivenScenario) -> Document:
    """Return the document of a scenario that is given in Python.

    Raises:
        ScenarioError: It is not valid YAML, or not a mapping.
    """
    if isinstance(given.content, str):
        return _parse(given.content, "")
    try:
        values = _make_plain(given.content)
    except RecursionError as error:
        raise _make_error([Problem("the dict is nested too deeply.")], "") from error
    return Document(file="", values=values, marked=values)


def _make_plain(value: Any) -> Any:
    """Return a value as YAML has it: without tuples, paths, and NumPy's numbers."""
    if isinstance(value, Mapping):
        return {key: _make_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_make_plain(each) for each in value]
    if isinstance(value, bool) or not isinstance(value, Real | Path):
        return value
    if isinstance(value, Path):
        return str(value)
    return int(value) if isinstance(value, Integral) else float(value)


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        UsageError: The file doesn't exist or can't be read.
        ScenarioError: It is not valid YAML, or not a mapping.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _make_error([Problem("not UTF-8 text; save it as UTF-8.", line=line)], file) from error
    except OSError as error:
        raise UsageError(f"Can't read {path}: {error.strerror}.") from error
    return _parse(text, file)


def _parse(text: str, file: str) -> Document:
    """Parse YAML; the file is empty for text that is given in Python."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        values = YAML(typ="safe", pure=True).load(text)
        marked = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise _make_error([Problem(f"not valid YAML: {_explain_error(error)}.", line=line)], file) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not valid YAML: the {_name_character(text[error.position])} is not allowed."
        raise _make_error([Problem(message, line=line)], file) from error
    except RecursionError as error:
        raise _make_error([Problem("not valid YAML: nested too deeply.")], file) from error
    except Exception as error:  # Constructors of values raise all kinds of errors.
        raise _make_error([Problem(f"not valid YAML: {error}.")], file) from error
    if values is None:
        what = "file" if file else "text"
        raise _make_error([Problem(f"the {what} is empty; 'harness init' writes a first scenario.")], file)
    if not isinstance(values, dict):
        raise _make_error([Problem("a scenario must be a mapping of keys; see docs/scenario.md.")], file)
    return Document(file=file, values=values, marked=marked)


def _explain_error(error: MarkedYAMLError) -> str:
    """Return what is wrong; the parser begins some sentences in the context of the problem."""
    problem = str(error.problem)
    if problem == "found unhashable key":
        return "a key must be text, not a list or mapping"
    if tag := _UNKNOWN_TAG.fullmatch(problem):
        return f"the tag {tag[1]} is not supported; remove it"
    if problem.startswith(r"found character '\t'"):
        return "tabs can't indent; use spaces"
    return f"{error.context}, {problem}" if problem.startswith("but ") else problem


def _name_character(character: str) -> str:
    """Return a character that can't be printed as its code point."""
    kind = "control character" if unicodedata.category(character) == "Cc" else "character"
    return f"{kind} U+{ord(character):04X}"


def _has_key(node: Any, part: int) -> bool:
    return isinstance(node, dict) and part in node
