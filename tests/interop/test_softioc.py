"""The real IOC and the libca peer that the interop tests stand on."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy
import pytest

from tests.interop.ioc_process import ask_for
from tests.interop.libca_peer import LibcaPeer
from tests.interop.softioc import SoftIoc

pytestmark = pytest.mark.interop


def test_answers_searches_on_its_private_port(softioc: SoftIoc) -> None:
    assert softioc.port != 5064
    assert ask_for("t:ai", softioc.port, timeout=5.0) == softioc.tcp_port
    assert ask_for("t:no such record", softioc.port, timeout=0.05) == 0


def test_shell_commands_return_their_output(softioc: SoftIoc) -> None:
    assert "DBF_DOUBLE" in softioc.iocsh("dbgf t:ai")


def test_restart_moves_to_another_port(own_softioc: SoftIoc) -> None:
    old = own_softioc.port
    own_softioc.restart(port=old + 1)
    assert ask_for("t:ai", old + 1, timeout=5.0)
    assert ask_for("t:ai", old, timeout=0.05) == 0


def test_paused_is_silent_and_comes_back(own_softioc: SoftIoc) -> None:
    own_softioc.pause()
    assert ask_for("t:ai", own_softioc.port, timeout=0.05) == 0
    own_softioc.resume()
    assert ask_for("t:ai", own_softioc.port, timeout=5.0) == own_softioc.tcp_port


def test_start_failure_shows_what_the_ioc_said() -> None:
    ioc = SoftIoc(records=())
    with pytest.raises(RuntimeError, match="--records"):
        ioc.start()
    ioc.close()


def test_libca_reads_values_with_their_types(softioc: SoftIoc, libca: LibcaPeer) -> None:
    seen = libca.get_all(["t:wf:long", "t:mbbi", "t:stringin"])
    assert seen["t:wf:long"]["value"].dtype == numpy.int32
    assert seen["t:mbbi"]["char_value"] == "Done"
    assert seen["t:stringin"]["value"] == "hello in"


def test_libca_sees_access_rights_change(make_softioc: Callable[..., SoftIoc]) -> None:
    ioc = make_softioc()
    peer = LibcaPeer(ioc.client_environment())
    is_writable = "result = connected('t:lockable').write_access"
    assert peer.run(is_writable) is True
    ioc.put("lock", 1)
    assert peer.run(is_writable) is False


def test_libca_failure_shows_what_it_said(libca: LibcaPeer) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        libca.run("1 / 0")


def test_environment_is_private() -> None:
    assert os.environ["EPICS_CA_SERVER_PORT"] != "5064"
    assert os.environ["EPICS_CA_ADDR_LIST"] == "127.0.0.1"
