"""The repeater daemon as users start it."""

from __future__ import annotations

import contextlib
import errno
import os
import runpy
import signal
import socket
import subprocess
import sys

import pytest

from caclient import repeater as daemon
from caclient.engine.loop import Loop
from caclient.engine.poller import READ
from caclient.engine.repeater import Repeater, is_served
from caclient.repeater import main
from tests.ports import free_port


@pytest.fixture
def port(monkeypatch):
    chosen = free_port()
    monkeypatch.setenv("EPICS_CA_REPEATER_PORT", str(chosen))
    return chosen


@pytest.fixture
def running(port):
    """A repeater that serves its port."""
    with Repeater(port, blocking=False) as repeater:
        loop = Loop(on_error=lambda error: None)
        loop.poller.add(repeater.fileno(), READ, lambda bits: repeater.receive() and None)
        loop.start()
        yield
        loop.stop()


@pytest.fixture
def signals_restored():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals_restored")
class TestMain:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_serves_until_a_signal(self, port, monkeypatch, capsys, number):
        monkeypatch.setattr(Repeater, "receive", lambda self: os.kill(os.getpid(), number))
        assert main([]) == 0
        assert capsys.readouterr() == (f"Repeater is listening on 0.0.0.0:{port}\n", "")

    @pytest.mark.usefixtures("running")
    def test_says_so_if_another_runs(self, capsys):
        assert main([]) == 0
        assert capsys.readouterr() == ("Another repeater is already running; exiting.\n", "")

    def test_a_stranger_on_the_port_is_no_repeater(self, port, capsys):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("0.0.0.0", port))
            assert main([]) == 1
        assert capsys.readouterr() == (
            "",
            f"caclient-repeater: UDP port {port} is taken by a program that is no repeater\n",
        )

    def test_a_stranger_who_answers_is_no_repeater(self, port, monkeypatch):
        """Whatever he says, unless it is a confirmation."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", port))
            loop = Loop(on_error=lambda error: None)
            loop.poller.add(stranger.fileno(), READ, lambda bits: stranger.sendto(*stranger.recvfrom(100)) and None)
            loop.start()
            try:
                assert not is_served(port)
            finally:
                loop.stop()

    @pytest.mark.usefixtures("running")
    def test_is_what_the_module_runs(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["caclient-repeater"])
        with pytest.raises(SystemExit) as exited:
            runpy.run_path(daemon.__file__, run_name="__main__")
        assert exited.value.code == 0
        assert "Another repeater" in capsys.readouterr().out

    def test_tells_of_what_it_cannot_use(self, port, monkeypatch, capsys):
        def refuse(self, port):
            raise PermissionError(errno.EACCES, "not for you")

        monkeypatch.setattr(Repeater, "__init__", refuse)
        assert main([]) == 1
        assert capsys.readouterr() == ("", f"caclient-repeater: UDP port {port}: not for you\n")

    def test_tells_of_what_is_wrong_in_the_environment(self, port, monkeypatch, capsys):
        monkeypatch.setattr(Repeater, "receive", lambda self: os.kill(os.getpid(), signal.SIGTERM))
        monkeypatch.setenv("EPICS_CA_CONN_TMO", "soon")
        assert main([]) == 0
        assert "EPICS_CA_CONN_TMO" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program(port, number):
    command = [sys.executable, "-m", "caclient.repeater"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout.readline() == f"Repeater is listening on 0.0.0.0:{port}\n"
            second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            first.send_signal(number)
            output, errors = first.communicate(timeout=20)
        finally:
            first.kill()
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout == "Another repeater is already running; exiting.\n"
    assert (first.returncode, output, errors) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_the_program_survives_its_descriptor_limit(port):
    """It ended when it could not make a socket to find out who is alive."""
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16));"
        "from caclient.repeater import main; sys.exit(main([]))"
    )
    with (
        subprocess.Popen([sys.executable, "-c", limited], stdout=subprocess.PIPE, text=True) as program,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(program.kill)
        program.stdout.readline()
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(60)]
        for client in clients:
            client.bind(("127.0.0.1", 0))
            client.settimeout(5.0)
            client.sendto(b"", ("127.0.0.1", port))
        assert clients[0].recv(64)[:2] == b"\0\x11"
        for client in clients[1:]:
            client.close()
        for number in range(20):  # who has gone is found out, and there is room again
            latest = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            latest.bind(("127.0.0.1", 0))
            latest.settimeout(0.5)
            latest.sendto(b"", ("127.0.0.1", port))
            try:
                assert latest.recv(64)[:2] == b"\0\x11"
                break
            except TimeoutError:
                assert number < 19
        assert program.poll() is None
