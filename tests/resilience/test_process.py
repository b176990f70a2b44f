"""The life of a process: fork, spawn, exit in every state, imported twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import FaultServer, Tcp
from tests.resilience.watching import eventually

Serve = Callable[..., FaultServer]
ROOT = Path(__file__).resolve().parents[2]
EXIT = 0.5
"""Seconds that the end of a program may take."""


def run(server: FaultServer, source: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """A program of its own, from a file (which spawned children import), that sees this server."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("EPICS_")} | {
        "EPICS_CA_ADDR_LIST": f"127.0.0.1:{server.port}",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_REPEATER_PORT": os.environ["EPICS_CA_REPEATER_PORT"],
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, source], env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


CHILDREN = """
import multiprocessing, sys, threading
from caclient import PV

def value(pv):
    return pv.get(timeout=10, use_monitor=False)

def main(method):
    pv, told = PV("x"), []
    pv.subscribe(told.append)
    assert pv.get(timeout=10) == 1.5
    with multiprocessing.get_context(method).Pool(3) as pool:
        assert pool.map(value, [PV("x") for _ in range(6)]) == [1.5] * 6
        pv.put(2.5, wait=True, timeout=5)
        assert pool.map(value, [pv] * 6) == [2.5] * 6
    assert pv.get(timeout=5) == 2.5 and pv.connected
    pv.wait_for(lambda v: v == 2.5, timeout=5)
    print("parent:", [reading.value for reading in told])

if __name__ == "__main__":
    main("METHOD")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_have_circuits_of_their_own(serve: Serve, tmp_path: Path, method: str) -> None:
    """T26: PVs go to children by name; the parent misses nothing and keeps its circuit."""
    server = serve({"x": 1.5})
    program = tmp_path / "program.py"
    program.write_text(CHILDREN.replace("METHOD", method))
    done = run(server, str(program))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "parent: [1.5, 2.5]\n"
    assert server.errors == []


STATES = {
    "unused": "",
    "connected": 'pvs = [PV(f"x{n}") for n in range(100)]; [pv.get() for pv in pvs]',
    "searching": 'pvs = [PV(f"dead{n}") for n in range(1000)]',
    "connecting": 'pv = PV("x0"); pv.wait_for_connection(0.2)',
    "busy callback": 'pv = PV("x0", callback=lambda **_: sum(range(10**6)))\npv.get()',
    "stuck callback": 'pv = PV("x0", callback=lambda **_: time.sleep(1000)); pv.get()',
    "getting threads": """
def get():
    while True:
        PV("x1").get(timeout=20)
[threading.Thread(target=get, daemon=True).start() for _ in range(4)]; time.sleep(0.2)""",
    "waiting thread": """
threading.Thread(target=lambda: PV("dead").get(timeout=100), daemon=True).start(); time.sleep(0.1)""",
}
ENDINGS = {
    "end": ("", 0, ""),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "exception": ('raise KeyError("mine")', 1, "KeyError: 'mine'\n"),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("state", STATES)
def test_exit(serve: Serve, tmp_path: Path, state: str, ending: str) -> None:
    """T27: within half a second, with the status that was meant, and nothing on the terminal that is not the user's."""
    server = serve({f"x{n}": float(n) for n in range(100)}, tcp=Tcp.NEVER if state == "connecting" else Tcp.SERVE)
    last_words, status, stderr = ENDINGS[ending]
    program = tmp_path / "program.py"
    lines = ["import os, sys, threading, time", "from caclient import PV", STATES[state]]
    program.write_text("\n".join([*lines, "print(time.time(), flush=True)", last_words]))
    for _ in range(3):  # a busy machine may be late, but not each time
        done = run(server, str(program))
        took = time.time() - float(done.stdout)
        if took < EXIT + 0.3:
            break
    assert done.returncode == status
    assert done.stderr.endswith(stderr) and ("Traceback" in done.stderr) == bool(stderr)
    assert stderr or done.stderr == ""
    assert took < EXIT + 0.3, f"{took:.2f} s"  # the interpreter's own end is in it


def test_puts_before_the_end_arrive(serve: Serve, tmp_path: Path) -> None:
    """T27: though nobody waited for them."""
    server = serve({"x": 0.0})
    program = tmp_path / "program.py"
    program.write_text('from caclient import PV\npv = PV("x")\nfor n in range(1, 2001): pv.put(n)')
    done = run(server, str(program))
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: server["x"].value == 2000.0)


def test_a_second_import_and_a_reload_live_beside_the_first(serve: Serve, tmp_path: Path) -> None:
    """T29: two copies in one process, each with a context of its own, neither in the way of the other."""
    server = serve({"x": 1.5})
    program = tmp_path / "program.py"
    program.write_text(
        "import importlib, sys\n"
        "import caclient as first\n"
        'old = first.PV("x"); assert old.get() == 1.5\n'
        'for name in [n for n in sys.modules if n.split(".")[0] == "caclient"]: del sys.modules[name]\n'
        "import caclient as second\n"
        "assert second is not first\n"
        'new = second.PV("x"); assert new.get() == 1.5\n'
        "importlib.reload(second)\n"
        "assert (old.get(use_monitor=False), new.get(use_monitor=False)) == (1.5, 1.5)\n"
        'assert second.PV("x").get() == 1.5\n'
    )
    done = run(server, str(program))
    assert (done.returncode, done.stderr) == (0, "")
