"""A Channel Access server that misbehaves on purpose, for tests of clients."""

from tests.faults.server import FaultServer, Tcp

__all__ = ["FaultServer", "Tcp"]
