"""A pipeline in Python that a scenario brings along: found, read and looked through, without running it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Location, Problem
from harness.plan import OwnCode
from harness.scenario.pipeline import METHODS, Pipeline, parts_of
from harness.suggestions import did_you_mean

_USE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
_AT: Location = ("pipeline", "use")
_LARGEST = 1_000_000
"""Bytes of all files together: they are part of the plan."""
_OTHERS = {"harness", "mlflow", "numpy", "pandas", "pydantic", "py4j", "pyspark", "synapse"}
"""Modules that are there already, beside Python's own."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class _NoPipelineError(Exception):
    """There is no such pipeline; the message is for the author."""


def read_code(pipeline: Pipeline, folder: Path) -> tuple[OwnCode | None, list[Problem]]:
    """The code of a scenario's own pipeline, and all that is wrong with it as far as reading shows.

    Args:
        pipeline: The scenario's.
        folder: The scenario file's, beside which the module lies.

    Returns:
        The code; none where the scenario uses the built-in pipeline, or where there is something wrong.
    """
    if pipeline.use is None:
        return None, []
    try:
        code, file = _find(pipeline.use, folder)
        definition = _definition(code.files[file], file, parts_of(pipeline.use)[1])
    except _NoPipelineError as error:
        return None, [Problem(str(error), _AT)]
    problems = list(_problems(definition, file, pipeline))
    return (None if problems else code), problems


def _find(use: str, folder: Path) -> tuple[OwnCode, str]:
    """The code, and which of its files the module is."""
    if not _USE.fullmatch(use):
        raise _NoPipelineError(
            f"'use' is {use!r}; write MODULE:NAME, as in pipelines.boosted:BoostedTrees, "
            "which is BoostedTrees in pipelines/boosted.py beside the scenario."
        )
    module, _ = parts_of(use)
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names | _OTHERS:
        message = f"the module '{parts[0]}' of 'use' has the name of one that is there already"
        raise _NoPipelineError(f"{message}; give the file another name.")
    code = _read(folder, parts[0])
    for file in ("/".join(parts) + ".py", "/".join(parts) + "/__init__.py"):
        if file in code.files:
            return code, file
    known = sorted(path.removesuffix("/__init__.py").removesuffix(".py") for path in code.files)
    near = did_you_mean(module, [path.replace("/", ".") for path in known])
    where = folder / f"{'/'.join(parts)}.py"
    raise _NoPipelineError(f"there is no module '{module}' beside the scenario ({where}).{near}")


def _read(folder: Path, top: str) -> OwnCode:
    """All of the package, or the one file, that a module's first name stands for."""
    package, alone = folder / top, folder / f"{top}.py"
    paths = sorted(package.rglob("*.py")) if package.is_dir() else [alone] if alone.is_file() else []
    try:
        if sum(path.stat().st_size for path in paths) > _LARGEST:
            raise _NoPipelineError(
                f"the Python files of '{top}' have more than {_LARGEST:,} bytes; "
                "they travel with every run: keep what the pipeline needs."
            )
        texts = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    except UnicodeDecodeError as error:
        raise _NoPipelineError(f"a Python file of '{top}' is not UTF-8 text.") from error
    except OSError as error:
        raise _NoPipelineError(f"can't read {error.filename}: {error.strerror}.") from error
    return OwnCode(texts)


def _definition(text: str, file: str, name: str) -> ast.stmt:
    """The statement at the top of a file that gives the name its meaning: the last one."""
    try:
        body = ast.parse(text, filename=file).body
    except SyntaxError as error:
        raise _NoPipelineError(f"{file}, line {error.lineno}, is not Python: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise _NoPipelineError(f"{file} is not Python: {error}.") from error
    named: dict[str, ast.stmt] = {}
    for statement in body:
        named.update(dict.fromkeys(_names(statement), statement))
    if name not in named:
        raise _NoPipelineError(f"{file} defines no '{name}'.{did_you_mean(name, sorted(named))}")
    return named[name]


def _names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef | _Function):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _problems(definition: ast.stmt, file: str, pipeline: Pipeline) -> Iterator[Problem]:
    """What can be seen of a class or a function; anything else shows itself when the job imports it."""
    if not isinstance(definition, ast.ClassDef | _Function):
        return
    if isinstance(definition, ast.ClassDef) and not definition.bases:
        yield from _methods(definition, file)
    arguments = _arguments(definition)
    if arguments is None:
        return
    for name in pipeline.options:
        if name not in arguments.needed and not arguments.takes_others:
            near = did_you_mean(name, arguments.needed)
            yield Problem(f"{definition.name} in {file} takes no '{name}'.{near}", ("pipeline", "with", name))
    for name, is_needed in arguments.needed.items():
        if is_needed and name not in pipeline.options:
            yield Problem(f"{definition.name} in {file} needs '{name}'; give it under 'with'.", _AT)


def _methods(definition: ast.ClassDef, file: str) -> Iterator[Problem]:
    there = {each.name: each for each in definition.body if isinstance(each, _Function)}
    for name, count in METHODS.items():
        if name not in there:
            near = did_you_mean(name, sorted(set(there) - set(METHODS)))
            message = f"{definition.name} in {file} has no method '{name}'"
            yield Problem(f"{message}: a pipeline has {', '.join(METHODS)}.{near}", _AT)
        elif not _can_be_called(there[name].args, count + 1):
            message = f"'{name}' of {definition.name} in {file}, line {there[name].lineno},"
            yield Problem(f"{message} must take {count} arguments beside self.", _AT)


def _can_be_called(arguments: ast.arguments, count: int) -> bool:
    """Whether a function takes so many arguments by their order."""
    places = len(arguments.posonlyargs) + len(arguments.args)
    needs_names = any(default is None for default in arguments.kw_defaults)
    fits = places - len(arguments.defaults) <= count and (count <= places or arguments.vararg is not None)
    return fits and not needs_names


@dataclass(frozen=True)
class _Arguments:
    """What a pipeline is made with."""

    needed: Mapping[str, bool]
    """Name to whether it must be given."""
    takes_others: bool = False


def _arguments(definition: ast.ClassDef | _Function) -> _Arguments | None:
    """The arguments by name; none where they can't be seen, as in a class that inherits its maker."""
    if isinstance(definition, _Function):
        return _of_function(definition.args, ahead=0)
    for each in definition.body:
        if isinstance(each, _Function) and each.name == "__init__":
            return _of_function(each.args, ahead=1)
    if definition.bases:
        return None
    if not definition.decorator_list:
        return _Arguments({})
    if len(definition.decorator_list) > 1 or "dataclass" not in ast.unparse(definition.decorator_list[0]):
        return None
    fields = [each for each in definition.body if isinstance(each, ast.AnnAssign)]
    return _Arguments(
        {each.target.id: each.value is None for each in fields if isinstance(each.target, ast.Name)}
    )


def _of_function(arguments: ast.arguments, ahead: int) -> _Arguments:
    """The arguments of a function, without those that it gets ahead of them."""
    ordered = [*arguments.posonlyargs, *arguments.args]
    first_default = len(ordered) - len(arguments.defaults)
    needed = {each.arg: place < first_default for place, each in enumerate(ordered) if place >= ahead}
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        needed[each.arg] = default is None
    return _Arguments(needed, takes_others=arguments.kwarg is not None)
