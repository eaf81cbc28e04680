"""The code of a scenario's custom pipeline: reading and checking it without running it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Location, Problem, did_you_mean
from harness.plan import CustomCode
from harness.scenario.pipeline import METHODS, Pipeline, split_use

_USE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
_AT: Location = ("pipeline", "use")
_MAX_BYTES = 1_000_000
"""Maximum size of all files together, as they become part of the plan."""
_INSTALLED_MODULES = {"harness", "mlflow", "numpy", "pandas", "pydantic", "py4j", "pyspark", "synapse"}
"""Names of installed modules that a pipeline's module can't have, apart from the standard library."""
_PUBLIC = "harness.pipelines"
"""The module of the harness that custom pipelines can import."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class _PipelineNotFoundError(Exception):
    """A pipeline that can't be read; the message is for the scenario's author."""


def read_code(pipeline: Pipeline, folder: Path) -> tuple[CustomCode | None, list[Problem]]:
    """Read the code of a scenario's custom pipeline, and report the mistakes that can be seen in it.

    Args:
        pipeline: The scenario's pipeline.
        folder: The folder of the scenario file, which contains the module.

    Returns:
        The code, or ``None`` if the scenario uses a built-in model or there is a mistake; and the mistakes.
    """
    if pipeline.use is None:
        return None, []
    try:
        code, file = _find_code(pipeline.use, folder)
        definition = _find_definition(code.files[file], file, split_use(pipeline.use)[1])
    except _PipelineNotFoundError as error:
        return None, [Problem(str(error), _AT)]
    problems = [*_check_imports(code), *_check_definition(definition, file, pipeline)]
    return (None if problems else code), problems


def _find_code(use: str, folder: Path) -> tuple[CustomCode, str]:
    """Return the code, and the file of the module in it."""
    if not _USE.fullmatch(use):
        raise _PipelineNotFoundError(
            f"'use' must be MODULE:NAME (it is {use!r}), such as pipelines.boosted:BoostedTrees "
            "for BoostedTrees in pipelines/boosted.py next to the scenario."
        )
    module, _ = split_use(use)
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names | _INSTALLED_MODULES:
        message = f"the module '{parts[0]}' in 'use' has the name of an installed module"
        raise _PipelineNotFoundError(f"{message}; rename the file.")
    code = _read_files(folder, parts[0])
    for file in ("/".join(parts) + ".py", "/".join(parts) + "/__init__.py"):
        if file in code.files:
            return code, file
    known = sorted(path.removesuffix("/__init__.py").removesuffix(".py") for path in code.files)
    near = did_you_mean(module, [path.replace("/", ".") for path in known])
    where = folder / f"{'/'.join(parts)}.py"
    raise _PipelineNotFoundError(f"the module '{module}' doesn't exist ({where}).{near}")


def _read_files(folder: Path, top: str) -> CustomCode:
    """Read the file, or all files of the package, with a module's first name."""
    package, module_file = folder / top, folder / f"{top}.py"
    paths = (
        sorted(package.rglob("*.py")) if package.is_dir() else [module_file] if module_file.is_file() else []
    )
    try:
        if sum(path.stat().st_size for path in paths) > _MAX_BYTES:
            raise _PipelineNotFoundError(
                f"the Python files of '{top}' have more than {_MAX_BYTES:,} bytes. "
                "Every run copies them, so keep only what the pipeline needs."
            )
        texts = {path.relative_to(folder).as_posix(): _read_text(path, folder) for path in paths}
    except OSError as error:
        raise _PipelineNotFoundError(f"can't read {error.filename}: {error.strerror}.") from error
    return CustomCode(texts)


def _read_text(path: Path, folder: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        file = path.relative_to(folder).as_posix()
        raise _PipelineNotFoundError(f"{file} is not UTF-8 text; save it as UTF-8.") from error


def _find_definition(text: str, file: str, name: str) -> ast.stmt:
    """Return the last statement at the top level of a file that defines the name."""
    try:
        body = ast.parse(text, filename=file).body
    except SyntaxError as error:
        raise _PipelineNotFoundError(
            f"{file}, line {error.lineno}, is not valid Python: {error.msg}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise _PipelineNotFoundError(f"{file} is not valid Python: {error}.") from error
    named: dict[str, ast.stmt] = {}
    for statement in body:
        named.update(dict.fromkeys(_list_defined_names(statement), statement))
    if name not in named:
        raise _PipelineNotFoundError(f"{file} doesn't define '{name}'.{did_you_mean(name, sorted(named))}")
    return named[name]


def _list_defined_names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef | _Function):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _check_imports(code: CustomCode) -> Iterator[Problem]:
    """Report imports of the harness's internals, which change without notice, in any file of the pipeline."""
    for file, text in code.files.items():
        for line, module in _find_internal_imports(text):
            message = f"{file}, line {line}, imports from {module}, which is internal to the harness"
            yield Problem(f"{message}; import from {_PUBLIC} instead.", _AT)


def _find_internal_imports(text: str) -> Iterator[tuple[int, str]]:
    """Find the modules of the harness that a file imports, other than the public one, with their lines."""
    try:
        statements = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return  # The pipeline's own module is parsed before; nothing may import another broken file.
    for statement in statements:
        if isinstance(statement, ast.Import):
            modules = [alias.name for alias in statement.names]
        elif not isinstance(statement, ast.ImportFrom) or statement.level:
            continue
        elif statement.module == "harness":
            modules = [f"harness.{alias.name}" for alias in statement.names]
        else:
            modules = [str(statement.module)]
        for module in modules:
            if module.partition(".")[0] == "harness" and module != _PUBLIC:
                yield statement.lineno, module


def _check_definition(definition: ast.stmt, file: str, pipeline: Pipeline) -> Iterator[Problem]:
    """Check a class or a function as far as possible; the job checks the rest when it imports it."""
    if not isinstance(definition, ast.ClassDef | _Function):
        return
    if isinstance(definition, ast.ClassDef) and not definition.bases:
        yield from _check_methods(definition, file)
    arguments = _find_arguments(definition)
    if arguments is None:
        return
    for name in pipeline.options:
        if name not in arguments.is_required_by_name and not arguments.takes_others:
            near = did_you_mean(name, arguments.is_required_by_name)
            message = f"{definition.name} in {file} has no argument '{name}'.{near}"
            yield Problem(message, ("pipeline", "with", name))
    for name, is_required in arguments.is_required_by_name.items():
        if is_required and name not in pipeline.options:
            yield Problem(f"{definition.name} in {file} needs '{name}'; set it under 'with'.", _AT)


def _check_methods(definition: ast.ClassDef, file: str) -> Iterator[Problem]:
    methods = {each.name: each for each in definition.body if isinstance(each, _Function)}
    for name, count in METHODS.items():
        if name not in methods:
            near = did_you_mean(name, sorted(set(methods) - set(METHODS)))
            message = f"{definition.name} in {file} has no method '{name}'"
            yield Problem(f"{message}: a pipeline has {', '.join(METHODS)}.{near}", _AT)
        elif not _can_be_called(methods[name].args, count + 1):
            message = f"'{name}' of {definition.name} in {file}, line {methods[name].lineno},"
            yield Problem(f"{message} must take {count} arguments besides self.", _AT)


def _can_be_called(arguments: ast.arguments, count: int) -> bool:
    """Return whether a function can be called with this number of positional arguments."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needs_names = any(default is None for default in arguments.kw_defaults)
    fits = positional - len(arguments.defaults) <= count and (
        count <= positional or arguments.vararg is not None
    )
    return fits and not needs_names


@dataclass(frozen=True)
class _Arguments:
    """Arguments of a pipeline's class or function."""

    is_required_by_name: Mapping[str, bool]
    """Name to whether the argument is required."""
    takes_others: bool = False


def _find_arguments(definition: ast.ClassDef | _Function) -> _Arguments | None:
    """Return the arguments by name, or ``None`` if the code doesn't show them, as in a subclass."""
    if isinstance(definition, _Function):
        return _read_arguments(definition.args, skipped_count=0)
    for each in definition.body:
        if isinstance(each, _Function) and each.name == "__init__":
            return _read_arguments(each.args, skipped_count=1)
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


def _read_arguments(arguments: ast.arguments, skipped_count: int) -> _Arguments:
    """Return the arguments of a function without the first ``skipped_count`` ones, such as self."""
    ordered = [*arguments.posonlyargs, *arguments.args]
    first_default = len(ordered) - len(arguments.defaults)
    is_required_by_name = {
        each.arg: position < first_default
        for position, each in enumerate(ordered)
        if position >= skipped_count
    }
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        is_required_by_name[each.arg] = default is None
    return _Arguments(is_required_by_name, takes_others=arguments.kwarg is not None)
