"""The house rules that no other tool checks: what an import does, who imports what, which words stay out."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

import caclient

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "caclient"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAY_PRINT = ("cli/", "ioc_examples/", "repeater.py", "protocol/diagrams.py")
MOST_LINES = 520
ALLOWED_PACKAGES = {"caclient", "numpy", "typing_extensions", "ifaddr"}

# Each module is the first one imported in a child of its own, forked from an interpreter that has seen the packages
# that we may use but nothing of ours. A line of JSON for each: every socket, thread, process and package it brings.
_IMPORT_EACH = """
import importlib, json, os, sys, threading, warnings
import ifaddr, numpy, typing_extensions
warnings.simplefilter("error")
for module in sys.argv[1:]:
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0, module
        continue
    events, before = [], set(sys.modules)
    watched = ("socket.", "subprocess.", "os.fork", "os.posix_spawn", "_thread.start_")
    sys.addaudithook(lambda event, args: events.append(event) if event.startswith(watched) else None)
    importlib.import_module(module)
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    foreign = sorted(name for name in new if name not in sys.stdlib_module_names and not name.startswith("_"))
    report = {"events": events, "threads": threading.active_count(), "packages": foreign}
    print(json.dumps([module, report]), flush=True)
    os._exit(0)
"""


def module_name(path: Path) -> str:
    """``caclient.dbr.types`` for its path."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def places(path: Path, nodes: Iterator[ast.AST]) -> list[str]:
    """``file:line`` of each node."""
    return [f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}" for node in nodes]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child for each module is forked")
def test_each_module_imports_alone_and_quietly(tmp_path: Path) -> None:
    """Every module can be the first one imported, and no import opens a socket, starts a thread or a process."""
    stand_ins = PACKAGE / "pyepics/children"  # found by children of ``python -m caclient.pyepics`` under another name
    modules = [module_name(path) for path in SOURCES if path.stem != "__main__" and stand_ins not in path.parents]
    command = [sys.executable, "-c", _IMPORT_EACH, *modules]
    compiled_once = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=compiled_once, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    reports = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    assert set(reports) == set(modules)
    assert {name: report["events"] for name, report in reports.items() if report["events"]} == {}
    assert {name: report["threads"] for name, report in reports.items() if report["threads"] != 1} == {}
    brought = {name: set(report["packages"]) - ALLOWED_PACKAGES for name, report in reports.items()}
    assert {name: packages for name, packages in brought.items() if packages} == {}


# What there is on POSIX systems only, and is not there on Windows.
_IMPORT_ALL_AS_ON_WINDOWS = """
import asyncio, importlib, multiprocessing, os, select, signal, socket, subprocess, sys, tempfile
import ifaddr, numpy, typing_extensions
for module in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty"):
    sys.modules[module] = None
for owner, names in {
    os: "fork forkpty register_at_fork uname getuid geteuid getpgid setsid killpg",
    signal: "SIGHUP SIGUSR1 SIGALRM SIGPIPE setitimer pthread_kill pthread_sigmask siginterrupt",
    select: "poll epoll",
}.items():
    for name in names.split():
        if hasattr(owner, name):
            delattr(owner, name)
for module in sys.argv[1:]:
    importlib.import_module(module)
"""


def test_no_import_needs_what_only_posix_systems_have() -> None:
    stand_ins = PACKAGE / "pyepics/children"
    modules = [module_name(path) for path in SOURCES if path.stem != "__main__" and stand_ins not in path.parents]
    command = [sys.executable, "-c", _IMPORT_ALL_AS_ON_WINDOWS, *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_only_front_ends_print() -> None:
    found = [place for path in SOURCES if not is_front_end(path) for place in places(path, calls_of(path, "print"))]
    assert found == []


def test_no_bare_except() -> None:
    assert [place for path in SOURCES for place in places(path, bare_excepts(path))] == []


def test_every_function_is_annotated() -> None:
    assert [place for path in SOURCES for place in places(path, unannotated(path))] == []


def test_every_module_postpones_annotations() -> None:
    """One rule for all: types may name what is defined below, and cost nothing at run time."""
    late = "from __future__ import annotations"
    assert [str(p.relative_to(ROOT)) for p in SOURCES if has_definitions(p) and late not in p.read_text()] == []


def test_tests_wait_for_events_and_never_sleep() -> None:
    """Only what runs on real peers, pyepics among them, may let time pass; all others wait for what they expect."""
    tests = [p for p in (ROOT / "tests").rglob("*.py") if not {"interop", "benchmarks", "pyepics"} & set(p.parts)]
    assert [
        place for path in tests for place in places(path, calls_of(path, "sleep")) if not gives_way(path, place)
    ] == []


def test_each_source_file_has_its_test_file() -> None:
    """But for the drop-in: its measure is pyepics itself, by scripts that go across its files (tests/pyepics)."""
    own = [path for path in SOURCES if "pyepics" not in path.relative_to(PACKAGE).parts and path.parent != PACKAGE]
    own += [path for path in SOURCES if path.parent == PACKAGE and path.stem != "__init__"]
    missing = [module_name(path) for path in own if has_definitions(path) and not its_test_file(path).exists()]
    assert missing == []


def test_floors_hold() -> None:
    """The import-linter contracts of pyproject.toml."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as check; check()",
    ]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documentation_names_the_rooms_of_floor_4_and_no_others() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    table = text[text.index("| room |") : text.index("Four protocols")]
    named = [name for line in table.split("\n|")[2:] for name in re.findall(r"`(\w+)`", line.partition("|")[0])]
    assert sorted(named) == sorted(path.stem for path in (PACKAGE / "client").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_installed_version_is_the_stated_one() -> None:
    assert version("caclient") == caclient.__version__


def is_front_end(path: Path) -> bool:
    return path.relative_to(PACKAGE).as_posix().startswith(MAY_PRINT)


def calls_of(path: Path, name: str) -> Iterator[ast.AST]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and name in (getattr(node.func, "id", None), getattr(node.func, "attr", None)):
            yield node


def gives_way(path: Path, place: str) -> bool:
    """Whether the line only lets other tasks run."""
    return "asyncio.sleep(0)" in path.read_text().splitlines()[int(place.rpartition(":")[2]) - 1]


def bare_excepts(path: Path) -> Iterator[ast.AST]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node


def unannotated(path: Path) -> Iterator[ast.AST]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            named = [a for a in arguments if a.arg not in ("self", "cls")]
            if node.returns is None or any(a.annotation is None for a in named):
                yield node


def has_definitions(path: Path) -> bool:
    """Whether there is anything to test: a module that only gathers names is tested by those who use them."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return any(isinstance(node, kinds) for node in tree(path).body)


def its_test_file(path: Path) -> Path:
    relative = path.relative_to(PACKAGE)
    name = relative.parent.name if relative.stem == "__init__" else relative.stem
    folder = relative.parent.parent if relative.stem == "__init__" else relative.parent
    return ROOT / "tests" / folder / f"test_{name.strip('_')}.py"
