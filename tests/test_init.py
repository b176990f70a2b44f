"""The public door: its names, and that opening it costs nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys

import caclient


def test_every_public_name_is_there_once_and_in_order():
    assert len(set(caclient.__all__)) == len(caclient.__all__)
    for name in caclient.__all__:
        assert getattr(caclient, name) is not None


def test_nothing_public_is_forgotten():
    found = {
        name
        for name, value in vars(caclient).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert found == set(caclient.__all__)


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
assert caclient.client.default._default is None
print(caclient.__version__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout.strip(), done.stderr) == (caclient.__version__, "")
