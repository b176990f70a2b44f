"""The check that no test leaves anything behind, itself checked."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

from tests.leftovers import Snapshot


def test_nothing_new_is_nothing_left() -> None:
    assert Snapshot.now().left_behind() == []


def test_a_thread_that_does_not_end_is_named() -> None:
    before, stop = Snapshot.now(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="stubborn")
    thread.start()
    assert before.left_behind(grace=0.01) == ["thread stubborn"]
    stop.set()
    thread.join()


def test_a_thread_about_to_end_is_waited_for() -> None:
    before, stop = Snapshot.now(), threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    threading.Timer(0.05, stop.set).start()
    assert before.left_behind() == []


def test_an_open_socket_is_found() -> None:
    before = Snapshot.now()
    with socket.socket():
        assert before.left_behind()[0].startswith("descriptor on socket:")


def test_a_child_process_is_found() -> None:
    before = Snapshot.now()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert any(line.startswith(f"child process {child.pid}: ") for line in before.left_behind())
    assert before.left_behind() == []
