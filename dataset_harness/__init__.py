"""The entry points of the command and of the pytest plugin.

They have a package of their own because a project may have a package ``harness`` too: every pytest in the
environment loads the plugin, and must not get our ``harness`` for the project's. So nothing here imports
``harness`` by its name before :func:`own_package` has made sure that the name means ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_NAME = "harness"
_FILE = Path(__file__).parents[1] / _NAME / "__init__.py"
_own_modules: dict[str, ModuleType] = {}
"""Our package and its modules that are imported so far."""


def main() -> None:
    """Run the command, whatever other package ``harness`` is on Python's path."""
    _import_own()
    from harness.cli import main as run

    run()


@contextmanager
def own_package() -> Iterator[None]:
    """Let the name ``harness`` mean our package in a block, and what it meant before afterwards."""
    others = _take_modules()
    if not _own_modules and _is_own(others):
        _own_modules.update(others)
    is_shared = _NAME in others and others[_NAME] is _own_modules.get(_NAME)
    sys.modules.update(_own_modules or _import_own())
    try:
        yield
    finally:
        _own_modules.update(_take_modules())
        sys.modules.update(_own_modules if is_shared else others)


def _take_modules() -> dict[str, ModuleType]:
    """Remove every module of a package ``harness`` from Python's list, and return them by name."""
    names = [name for name in sys.modules if name.partition(".")[0] == _NAME]
    return {name: sys.modules.pop(name) for name in names}


def _is_own(modules: dict[str, ModuleType]) -> bool:
    file = getattr(modules.get(_NAME), "__file__", None)
    return file is not None and Path(file).resolve() == _FILE.resolve()


def _import_own() -> dict[str, ModuleType]:
    """Import our package from its file: its modules are then found through it, not through Python's path."""
    spec = spec_from_file_location(_NAME, _FILE, submodule_search_locations=[str(_FILE.parent)])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(str(_FILE))
    package = module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)
    return {_NAME: package}
