"""A small Channel Access server on the same protocol core as the client, in the server role.

`with IOC([Record("demo:x", 1.5, units="mm")]) as ioc:` serves one PV; `ioc["demo:x"].post(2.0)` changes it.
"""

from .completion import Completion
from .database import Database
from .properties import Properties
from .record import Record
from .server import IOC

__all__ = ["IOC", "Completion", "Database", "Properties", "Record"]
