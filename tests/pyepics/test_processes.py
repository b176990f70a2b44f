"""``python -m caclient.pyepics``, and processes that a script starts: each has a Channel Access that works."""

from __future__ import annotations

import pytest

from tests.pyepics.conftest import Program

pytestmark = pytest.mark.interop
METHODS = ("fork", "spawn", "forkserver")


def test_a_script_runs_as_it_would_by_itself(program: Program) -> None:
    source = """
import sys, epics
from epics import ca
print(sys.argv[1:], __name__, epics.__file__.endswith("caclient/pyepics/__init__.py"), epics.caget("t:longout"))
"""
    assert program(source, "a", "-b") == "['a', '-b'] __main__ True 42\n"


@pytest.mark.parametrize("method", METHODS)
def test_caprocess_works_however_it_is_started(program: Program, method: str) -> None:
    source = """
import multiprocessing, sys, epics
def work(name, queue):
    queue.put((name, epics.caget(name), epics.__file__.endswith("caclient/pyepics/__init__.py")))
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    assert epics.caget("t:longin") == -42
    queue = multiprocessing.Queue()
    processes = [epics.CAProcess(target=work, args=(name, queue)) for name in ("t:longin", "t:longout")]
    for process in processes:
        process.start()
    print(sorted(queue.get(timeout=20) for _ in processes))
    for process in processes:
        process.join()
    print(epics.caget("t:longin", use_monitor=False))
"""
    assert program(source, method) == "[('t:longin', -42, True), ('t:longout', 42, True)]\n-42\n"


@pytest.mark.parametrize("method", METHODS)
def test_capool_works_however_it_is_started(program: Program, method: str) -> None:
    source = """
import multiprocessing, sys, epics
def read(name):
    return epics.caget(name)
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    epics.caget("t:longin")
    with epics.CAPool(2) as pool:
        print(pool.map(read, ["t:longin", "t:longout"]))
"""
    assert program(source, method) == "[-42, 42]\n"


@pytest.mark.parametrize("method", METHODS)
def test_plain_processes_have_the_drop_in_too(program: Program, method: str) -> None:
    source = """
import multiprocessing, sys
def work(queue):
    import epics
    queue.put((epics.__file__.endswith("caclient/pyepics/__init__.py"), epics.caget("t:longout")))
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get(timeout=20))
    process.join()
"""
    assert program(source, method) == "(True, 42)\n"


def test_a_pv_of_the_parent_works_in_a_forked_child(program: Program) -> None:
    source = """
import os, time, epics
pv = epics.PV("t:longout", callback=lambda **words: None)
assert pv.wait_for_connection(5) and pv.get() == 42
child = os.fork()
if child == 0:
    well = pv.wait_for_connection(5) and pv.get() == 42 and epics.caget("t:longin") == -42
    os._exit(0 if well else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), pv.get(use_monitor=False))
"""
    assert program(source) == "0 42\n"


def test_strict_mode_raises_where_pyepics_gives_none(program: Program) -> None:
    source = """
import epics, caclient
for call in (
    lambda: epics.caget("t:nobody", connection_timeout=0.2),
    lambda: epics.PV("t:nobody").wait_for_connection(0.2),
    lambda: epics.PV("t:nobody", connection_timeout=0.2).put(3),
    lambda: epics.ca.connect_channel(epics.ca.create_channel("t:nobody"), timeout=0.2),
    lambda: epics.PV("t:slow").put(1, wait=True, timeout=0.01),
):
    try:
        print(call())
    except TimeoutError as error:
        print(type(error).__name__, "t:" in str(error))
print(epics.caget("t:longout"))
"""
    assert program(source, CACLIENT_STRICT="1") == "CATimeoutError True\n" * 5 + "42\n"
