"""The public door: its names, and that opening it costs nothing."""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import caclient
from caclient.protocol import commands as commands_module
from caclient.protocol.command import Command
from caclient.protocol.states import OBSOLETE

COMMANDS = {each for each in vars(commands_module).values() if isinstance(each, type) and issubclass(each, Command)}


def test_every_public_name_is_there_once_and_in_order():
    assert len(set(caclient.__all__)) == len(caclient.__all__)
    for name in caclient.__all__:
        assert getattr(caclient, name) is not None


def test_what_type_checkers_see_is_what_there_is():
    tree = ast.parse(Path(caclient.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for name, module in imported.items():
        assert getattr(caclient, name) is getattr(importlib.import_module(module), name)
    for name in set(caclient.__all__) | {"errors", "client", "dbr"}:
        assert getattr(caclient, name) is not None
    assert not hasattr(caclient, "nothing_of_ours") and not hasattr(caclient, "numpy")
    assert set(caclient.__all__) <= set(imported)


def test_a_name_loads_what_it_needs_and_importing_alone_nothing():
    program = """
import sys
import caclient
assert "numpy" not in sys.modules and "caclient.client" not in sys.modules
try:
    raise caclient.CATimeoutError("x")
except caclient.CAError:
    pass
assert "caclient.client" not in sys.modules
from caclient import *
assert PV is caclient.PV and "numpy" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("first", ["caclient.PV", "caclient.caget_many", "caclient.client.pv.PV", "caclient.using"])
def test_whatever_is_used_first_there_is_a_default_context(first):
    program = f"""
import caclient, importlib, pkgutil
pkgutil.resolve_name({first!r})
with caclient.PV("nothing:of:ours"):
    assert "nothing:of:ours" in str(caclient.why("nothing:of:ours"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_users_see_what_is_for_users():
    assert set(dir(caclient)) - set(caclient.__all__) == {
        "__doc__",
        "__file__",
        "__name__",
        "__path__",
        "__version__",
    }
    assert not {name for name in caclient.__all__ if name.endswith(("Request", "Response")) or name.startswith("_")}


def test_the_names_of_the_protocol_core_can_be_had_all_the_same():
    page = (Path(__file__).parents[1] / "docs" / "reference" / "protocol-core.md").read_text("utf-8")
    named = set(re.findall(r"auto(?:class|function|data):: caclient\.(\w+)$", page, re.MULTILINE))
    commands = {name for name, value in vars(commands_module).items() if isinstance(value, type) and value in COMMANDS}
    assert {"VirtualCircuit", "ChannelType"} < named
    assert "SearchRequest" in commands
    for name in named | (commands - {each.__name__ for each in OBSOLETE}):
        assert getattr(caclient, name) is not None
        assert name not in caclient.__all__


def test_every_public_class_and_function_says_what_it_is_for():
    silent = [name for name in caclient.__all__ if not (getattr(caclient, name).__doc__ or "").strip()]
    assert silent == []


def test_importing_opens_nothing_and_starts_nothing():
    program = """
import socket, sys, threading
made = []
class Watched(socket.socket):
    def __init__(self, *args, **keywords): made.append(args); super().__init__(*args, **keywords)
socket.socket = Watched
import caclient
assert made == [] and threading.active_count() == 1, (made, threading.enumerate())
caclient.PV
assert made == [] and threading.active_count() == 1, (made, threading.enumerate())
assert caclient.client.default._default is None
print(caclient.__version__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout.strip(), done.stderr) == (caclient.__version__, "")


SIGNATURES = Path(__file__).parent / "data" / "signatures.txt"


def agreed() -> Iterator[tuple[str, str]]:
    """(name, signature) of each call that was agreed upon."""
    for line in SIGNATURES.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, parenthesis, rest = line.partition("(")
            yield name, parenthesis + rest


def named(dotted: str) -> Callable[..., Any]:
    found: Any = caclient
    for part in dotted.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def parameters(call: Callable[..., Any]) -> list[tuple[str, str, Any]]:
    return [(each.name, each.kind.name, each.default) for each in inspect.signature(call).parameters.values()]


class Whatever:
    """A default that may be anything."""

    def __eq__(self, other: object) -> bool:
        return other is not inspect.Parameter.empty


@pytest.mark.parametrize("name, signature", list(agreed()))
def test_each_call_is_as_agreed(name, signature):
    """Names, order, what is keyword-only, defaults, what comes back."""
    text, _, returned = signature.partition(" -> ")
    spelled = eval(
        "lambda " + ast.unparse(ast.parse(f"def f{text}: pass").body[0].args) + ": None",  # type: ignore[attr-defined]
        {**{name: getattr(caclient, name) for name in caclient.__all__}, "math": math},
    )
    wanted = [(n, kind, Whatever() if default is ... else default) for n, kind, default in parameters(spelled)]
    call = named(name)
    assert wanted == parameters(call)
    if returned:
        assert inspect.signature(call).return_annotation == returned


def test_all_that_users_call_is_agreed():
    functions = {name for name in caclient.__all__ if inspect.isfunction(getattr(caclient, name))}
    assert functions - {name for name, _ in agreed()} == set()


def test_each_method_that_users_call_says_what_it_does():
    silent = [name for name, _ in agreed() if not (named(name).__doc__ or "").strip()]
    assert silent == []


FOR_USERS = {
    "PV": """access add_access_callback add_callback add_connection_callback age auto_monitor begin_put callbacks
        channel char_value clear_callbacks close connected count describe disconnect enum_strs expect get host limits
        lower_alarm_limit lower_ctrl_limit lower_disp_limit lower_warning_limit nanoseconds nelm posixseconds precision
        priority put put_and_wait pvname read read_access reading remove_callback severity status subscribe timeout
        timestamp type units updates upper_alarm_limit upper_ctrl_limit upper_disp_limit upper_warning_limit value
        wait_for wait_for_connection why write_access""",
    "Subscription": "active age callback close closed dropped errors pause pending pv pvname resume thinned",
    "Updates": "close dropped next pending thinned",
    "Put": """add_done_callback cancel cancelled done exception pvname result running
        set_exception set_result set_running_or_notify_cancel""",
    "Expectation": "reading",
    "Context": "close closed config pv queue_bytes read_only report servers shared_pv timeout",
    "Results": "failed get items keys ok raise_for_failed to_dict values",
    "Snapshot": "diff failed get items keys load ok raise_for_failed save time to_dataframe to_dict values",
    "Subscriptions": "close count index to_dict",
    "Display": "active close lines",
}


@pytest.mark.parametrize("kind", FOR_USERS)
def test_what_is_not_for_users_has_an_underscore(kind):
    assert {name for name in dir(getattr(caclient, kind)) if name[0] != "_"} == set(FOR_USERS[kind].split())
