"""What the drop-in raises, and the texts of Channel Access' status numbers."""

from __future__ import annotations

import sys
import traceback
from typing import Any


class ChannelAccessException(Exception):
    """A channel id that is none, or a channel that did not connect in time.

    Made while another exception is being handled, it shows that one on stderr, as in pyepics.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        kind, error, traceback = sys.exc_info()
        if kind is not None and error is not None:
            sys.excepthook(kind, error, traceback)


class ChannelAccessGetFailure(Exception):
    """The server could not read the channel, or its answer is of a type that nobody knows."""

    def __init__(self, message: Any, chid: Any, status: Any) -> None:
        super().__init__(message)
        self.chid = chid
        self.status = status


class CASeverityException(Exception):
    """A call of Channel Access came back with a status that is no success."""

    def __init__(self, fcn: Any, msg: Any) -> None:
        super().__init__()
        self.fcn = fcn
        self.msg = msg

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fcn, self.msg)

    def __str__(self) -> str:
        return f" {self.fcn} returned '{self.msg}'"


MESSAGES: dict[int, str] = {
    1: "Normal successful completion",
    10: "Maximum simultaneous IOC connections exceeded",
    18: "Unknown internet host",
    26: "Unknown internet service",
    34: "Unable to allocate a new socket",
    40: "Unable to connect to internet host or service",
    48: "Unable to allocate additional dynamic memory",
    56: "Unknown IO channel",
    64: "Record field specified inappropriate for channel specified",
    72: "The requested data transfer is greater than available memory or EPICS_CA_MAX_ARRAY_BYTES",
    80: "User specified timeout on IO operation expired",
    88: "Sorry, that feature is planned but not supported at this time",
    96: "The supplied string is unusually large",
    106: "The request was ignored because the specified channel is disconnected",
    114: "The data type specifed is invalid",
    123: "Remote Channel not found",
    131: "Unable to locate all user specified channels",
    142: "Channel Access Internal Failure",
    144: "The requested local DB operation failed",
    152: "Channel read request failed",
    160: "Channel write request failed",
    168: "Channel subscription request failed",
    176: "Invalid element count requested",
    186: "Invalid string",
    192: "Virtual circuit disconnect",
    200: "Identical process variable names on multiple servers",
    210: "Request inappropriate within subscription (monitor) update callback",
    242: "Bad event subscription (monitor) identifier",
    312: "Server (IOC) has fallen behind or is not responding- still waiting",
    320: "No internet interface with broadcast available",
    330: "Invalid event selection mask",
    339: "IO operations have completed",
    347: "IO operations are in progress",
    354: "Invalid synchronous group identifier",
    362: "Put callback timed out",
    368: "Read access denied",
    376: "Write access denied",
    386: "Requested feature is no longer supported",
    392: "Empty PV search address list",
    400: "No reasonable data conversion between client and server types",
    410: "Invalid channel identifier",
    418: "Invalid function pointer",
    424: "Thread is already attached to a client context",
    432: "Not supported by attached service",
    440: "User destroyed channel",
    450: "Invalid channel priority",
    458: "Preemptive callback not enabled - additional threads may not join context",
    464: "Client's protocol revision does not support transfers exceeding 16k bytes",
    472: "Virtual circuit connection sequence aborted",
    480: "Virtual circuit unresponsive",
}
"""Texts that scripts compare with, by status number."""

UNKNOWN_STATUS = "new CA message number known only by server - see caerr.h"


def message(status: Any) -> str:
    """The text of a status."""
    return MESSAGES.get(int(status) or 1, UNKNOWN_STATUS)


def complain(callback: Any, error: BaseException) -> None:
    """Show on stderr what a callback has raised."""
    stream = sys.stderr
    if stream is not None:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        stream.write(f"Exception ignored on calling ctypes callback function: {callback!r}\n{''.join(lines)}")
