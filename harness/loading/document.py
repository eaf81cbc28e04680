"""A YAML file, read with the line of every value."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import Location, Problem, ScenarioError, UsageError
from harness.storage.uris import hide_passwords

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

_UNKNOWN_TAG = re.compile(r"could not determine a constructor for the tag (.*)")


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: its values, and their lines."""

    file: str
    values: Any
    marked: Any

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
        return ScenarioError(sorted(located, key=lambda problem: problem.line or 0), file=self.file)


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        UsageError: The file doesn't exist or can't be read.
        ScenarioError: It is not valid YAML, or not a mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = YAML(typ="safe", pure=True).load(text)
        marked = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ScenarioError(
            [Problem(f"not valid YAML: {_explain_error(error)}.", line=line)], file=file
        ) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not valid YAML: the {_name_character(text[error.position])} is not allowed."
        raise ScenarioError([Problem(message, line=line)], file=file) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ScenarioError([Problem("not UTF-8 text; save it as UTF-8.", line=line)], file=file) from error
    except OSError as error:
        raise UsageError(f"Can't read {path}: {error.strerror}.") from error
    except RecursionError as error:
        raise ScenarioError([Problem("not valid YAML: nested too deeply.")], file=file) from error
    except Exception as error:  # Constructors of values raise all kinds of errors.
        raise ScenarioError([Problem(f"not valid YAML: {error}.")], file=file) from error
    if values is None:
        raise ScenarioError(
            [Problem("the file is empty; 'harness init' writes a first scenario.")], file=file
        )
    if not isinstance(values, dict):
        raise ScenarioError(
            [Problem("a scenario must be a mapping of keys; see docs/scenario.md.")], file=file
        )
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
