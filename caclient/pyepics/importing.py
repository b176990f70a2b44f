"""``import epics`` gives this package: put in the table of modules, with a finder for what is imported later."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_HERE = __package__ or "caclient.pyepics"
_ALIAS = "epics"
_CHILDREN = str(Path(__file__).parent / "children")
"""A folder for ``sys.path``, which multiprocessing hands to children that start from nothing: ``import epics`` finds
a package there that installs this one."""


class _Loader(Loader):
    """Gives the module that there is already."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: Any = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of this package."""
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run; only its papers are put back, which the import system has just changed."""
        module.__spec__ = self._spec
        _alias_parts(self._name)


class _Finder(MetaPathFinder):
    """Finds ``epics.x`` where ``caclient.pyepics.x`` is."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How to import a module of the package; None for others."""
        if not fullname.startswith(_ALIAS + "."):
            return None
        name = _HERE + fullname[len(_ALIAS) :]
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            return None
        if found is None:
            return None
        return ModuleSpec(fullname, _Loader(name), is_package=found.submodule_search_locations is not None)


_finder = _Finder()


def install(*, strict: bool = False) -> None:
    """Make ``import epics`` give this package, here and in children of this process.

    :param strict: raise where pyepics gives None, -1 or False for a failure.
    :raises RuntimeError: if the real one has been imported already.
    """
    package: Any = sys.modules[_HERE]
    there = sys.modules.get(_ALIAS)
    if there is not None and there is not package:
        where = getattr(there, "__file__", None)
        raise RuntimeError(f"epics has been imported already, from {where}: call install() before")
    if strict:
        package.strict = True
    activate()


def activate() -> None:
    """Take the place of ``epics``, whatever is there."""
    package = sys.modules[_HERE]
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    for name in [name for name in sys.modules if name == _ALIAS or name.startswith(_ALIAS + ".")]:
        del sys.modules[name]
    sys.modules[_ALIAS] = package
    if _CHILDREN not in sys.path:
        sys.path.insert(min(1, len(sys.path)), _CHILDREN)


def _alias_parts(package: str) -> None:
    """Give the second name to the parts of a package: importing them again would change attributes of the package."""
    for name, module in list(sys.modules.items()):
        if name.startswith(package + "."):
            sys.modules.setdefault(_ALIAS + name[len(_HERE) :], module)


def uninstall() -> None:
    """Let ``import epics`` give the real one again; modules that have ours keep it."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    if _CHILDREN in sys.path:
        sys.path.remove(_CHILDREN)
    if sys.modules.get(_ALIAS) is sys.modules[_HERE]:
        for name in [name for name in sys.modules if name == _ALIAS or name.startswith(_ALIAS + ".")]:
            del sys.modules[name]
