"""A Channel Access server that misbehaves on purpose, and a forger of datagrams, for tests of clients."""

from tests.faults.forger import Forger
from tests.faults.server import FaultServer, Tcp

__all__ = ["FaultServer", "Forger", "Tcp"]
