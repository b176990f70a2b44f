"""Rules for every test: a private EPICS environment, nothing left behind; and the IOCs that tests talk to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.interop.libca_peer import LibcaPeer
from tests.interop.softioc import MANY_RECORDS, RECORDS, RandomWalkIoc, SoftIoc
from tests.leftovers import Snapshot
from tests.ports import free_port

if TYPE_CHECKING:
    from caclient import Context
    from caclient.ioc import IOC, Record

# Where byte code is not kept each of some hundred programs that tests start would compile the package once more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "house")


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a socket, a pipe or a child process behind; the default context may be used."""
    before = Snapshot.now()
    yield
    if "caclient.client.context" in sys.modules:
        sys.modules["caclient.client.context"].close_default_context()
    left = before.left_behind()
    if left:
        pytest.fail(f"{request.node.nodeid} left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture(scope="session")
def private_epics_environment() -> dict[str, str]:
    """EPICS_* of every test: loopback only, on ports where nobody else's server or repeater can be."""
    return {
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(free_port()),
        "EPICS_CA_REPEATER_PORT": str(free_port()),
    }


@pytest.fixture(autouse=True)
def epics_environment(private_epics_environment: dict[str, str]) -> Iterator[None]:
    """Replace whatever EPICS_* the machine has set; put it back afterwards."""
    before = _epics_variables()
    _set_epics_variables(private_epics_environment)
    yield
    _set_epics_variables(before)


@pytest.fixture(scope="session")
def softioc() -> Iterator[SoftIoc]:
    """The real IOC that all tests share: read it, write only records that no other test looks at."""
    with SoftIoc() as ioc:
        yield ioc


@pytest.fixture
def make_context() -> Iterator[Callable[..., Context]]:
    """Contexts that see one IOC and nothing else, its beacons included; closed with the test."""
    from caclient import Context

    with ExitStack() as stack:
        yield lambda ioc, **fields: stack.enter_context(
            Context(**({"addr_list": [ioc.address], "repeater_port": ioc.repeater_port} | fields))
        )


@pytest.fixture
def context(softioc: SoftIoc, make_context: Callable[..., Context]) -> Context:
    """A context that sees the shared real IOC."""
    return make_context(softioc)


@pytest.fixture
def make_softioc() -> Iterator[Callable[..., SoftIoc]]:
    """Start real IOCs of one's own (arguments of SoftIoc); they end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(SoftIoc(*args, **kwargs))


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[IOC, Context]]]:
    """Serve records in this process, with a context (arguments by name) that sees them only; both end with the test."""
    from caclient import Config, Context
    from caclient.ioc import IOC

    with ExitStack() as stack:

        def start(*records: Record, **fields: Any) -> tuple[IOC, Context]:
            ioc = stack.enter_context(IOC(records, Config.isolated()))
            return ioc, stack.enter_context(Context(ioc.client_config(**fields)))

        yield start


@pytest.fixture
def own_softioc(make_softioc: Callable[..., SoftIoc]) -> SoftIoc:
    """A real IOC that the test may kill, pause and restart; it also has a hundred counters ``t:many:0`` to ``99``."""
    return make_softioc(records=(RECORDS, MANY_RECORDS))


@pytest.fixture
def random_walk_ioc() -> Iterator[RandomWalkIoc]:
    """Our demo IOC in a process of its own."""
    with RandomWalkIoc() as ioc:
        yield ioc


@pytest.fixture(scope="session")
def libca(softioc: SoftIoc) -> LibcaPeer:
    """pyepics on libca, seeing the shared real IOC only."""
    return LibcaPeer(softioc.client_environment())


def _epics_variables() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith("EPICS_")}


def _set_epics_variables(wanted: dict[str, str]) -> None:
    for key in _epics_variables():
        del os.environ[key]
    os.environ.update(wanted)
