"""``caclient audit PATH...``: which calls of pyepics in these scripts do something else on ``caclient.pyepics``."""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

USAGE: Final = (
    "usage: caclient audit PATH...\n\nLists the calls of pyepics in scripts that differ on caclient.pyepics.\n"
)
CLEAN, FOUND = 0, 1
_ALIAS: Final = "epics"
_ROOT: Final = "caclient.pyepics"
_GONE: Final = {
    "wx": "GUI helpers for wxPython are not there",
    "qt": "the example for PyQt4 is not there",
    "compat": "ports of older clients are not there",
    "clibs": "there is no C library",
}
DIFFERENCES: Final = {
    "ca.sg_get": "waits for the value; pyepics gives what lay in the buffer before it came",
    "ca.client_status": "prints caclient's report",
    "ca.replace_printf_handler": "there is no C library whose messages could go there",
    "ca.enable_ca_messages": "there is no C library that writes messages",
    "ca.get_enum_strings": "of a channel without read access raises at once, each time",
    "ca.find_libca": "gives the folder of caclient.pyepics: there is no C library",
    "ca.libca": "is no C library: nothing can be called in it",
    "ca.PREEMPTIVE_CALLBACK": "has no effect: callbacks never wait for a poll",
    "autosave.restore_pvs": "gives False, and goes on, when a put fails; pyepics raises TypeError",
    "devices.Transform": "can be made; in pyepics it cannot",
    "CAPool": "works; in pyepics it fails",
    "multiproc.CAPool": "works; in pyepics it fails",
}
"""What is different, by the name that a script uses."""
_ENDLESS: Final = "ca.pend_event"
_NAMED: Final = ("caget", "caput", "cainfo", "camonitor", "PV", "get_pv", "pv.PV", "pv.get_pv", "ca.create_channel")


class Finding(NamedTuple):
    """A call, and what is different about it."""

    line: int
    call: str
    difference: str


class Reader(ast.NodeVisitor):
    """Follows what a script calls the package and its parts."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """Name in the script -> dotted name inside the package ("" is the package)."""
        self.found: list[Finding] = []

    # -- imports -------------------------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        """``import epics``, ``import epics.ca as ca``."""
        for alias in node.names:
            root, _, rest = alias.name.partition(".")
            if root == _ALIAS:
                self.names[alias.asname or root] = rest if alias.asname else ""
                self._look(node.lineno, f"import {alias.name}", rest)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from epics import PV``, ``from epics.ca import get``."""
        root, _, rest = (node.module or "").partition(".")
        if root != _ALIAS or node.level:
            return
        for alias in node.names:
            if alias.name == "*":
                self.names.update({name: _joined(rest, name) for name in _names_of(rest)})
                continue
            dotted = _joined(rest, alias.name)
            self.names[alias.asname or alias.name] = dotted
            self._look(node.lineno, f"from {node.module} import {alias.name}", dotted)

    # -- uses ----------------------------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        """A call: arguments may matter."""
        dotted = self._dotted(node.func)
        if dotted == _ENDLESS and node.args and _is_zero(node.args[0]):
            self._tell(node.lineno, node.func, "returns; in pyepics it waits for ever")
        if (
            dotted in _NAMED
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and type(node.args[0].value) is bytes
        ):
            self._tell(node.lineno, node.func, "a name in bytes is decoded; in pyepics such gets time out")
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """``epics.ca.something``: the longest name that means anything is looked up once."""
        dotted = self._dotted(node)
        if dotted is None:
            self.generic_visit(node)
        else:
            self._look(node.lineno, ast.unparse(node), dotted)

    def visit_Name(self, node: ast.Name) -> None:
        """A name that an import has brought."""
        dotted = self.names.get(node.id)
        if dotted and dotted in DIFFERENCES and isinstance(node.ctx, ast.Load):
            self._look(node.lineno, node.id, dotted)

    def _dotted(self, node: ast.expr) -> str | None:
        """The name inside the package that an expression stands for."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return None if base is None or not _is_module(base) else _joined(base, node.attr)
        return None

    def _look(self, line: int, text: str, dotted: str) -> None:
        gone = _GONE.get(dotted.partition(".")[0])
        if gone is not None:
            self.found.append(Finding(line, text, gone))
        elif dotted in DIFFERENCES:
            self.found.append(Finding(line, text, DIFFERENCES[dotted]))
        elif dotted and not _exists(dotted):
            self.found.append(
                Finding(line, text, "is not there: it belongs to the C library, or to the inside of pyepics")
            )

    def _tell(self, line: int, node: ast.expr, difference: str) -> None:
        self.found.append(Finding(line, ast.unparse(node), difference))


def _joined(base: str, name: str) -> str:
    return f"{base}.{name}" if base else name


def _module(dotted: str) -> ModuleType | None:
    try:
        return importlib.import_module(_joined(_ROOT, dotted) if dotted else _ROOT)
    except ImportError:
        return None


def _is_module(dotted: str) -> bool:
    return not dotted or _module(dotted) is not None


def _exists(dotted: str) -> bool:
    base, _, name = dotted.rpartition(".")
    module = _module(base)
    return (module is not None and hasattr(module, name)) or _module(dotted) is not None


def _names_of(dotted: str) -> list[str]:
    module: Any = _module(dotted)
    return list(getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")])


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (0, 0.0)


def audit(source: str) -> list[Finding]:
    """What differs in a script.

    :raises SyntaxError: if it is none.
    """
    reader = Reader()
    reader.visit(ast.parse(source))
    return sorted(set(reader.found))


def scripts(paths: Iterable[str]) -> Iterator[Path]:
    """The files, and those in the folders."""
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.py")) if path.is_dir() else (path,)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to read."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="scripts, or folders of them")


def run(options: argparse.Namespace) -> int:
    """Print the findings, one a line; 1 if there are any, or a file cannot be read."""
    return main(options.paths)


def main(argv: Sequence[str]) -> int:
    """Print the findings, one a line; 1 if there are any, or a file cannot be read."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE, end="", file=sys.stdout if argv else sys.stderr)
        return CLEAN if argv else 2
    status = CLEAN
    for path in scripts(argv):
        try:
            findings = audit(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError) as error:
            print(f"{path}: cannot be read: {error}", file=sys.stderr)
            status = FOUND
            continue
        for finding in findings:
            print(f"{path}:{finding.line}: {finding.call}: {finding.difference}")
            status = FOUND
    if status == CLEAN:
        print("nothing to change")
    return status
