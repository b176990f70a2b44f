"""ECA status codes: what a server says about a request. An unknown number is passed on, never rejected.

On the wire a status is `number << 3 | severity`; it means success if its lowest bit is set.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class CASeverity(IntEnum):
    """The severity bits of a status."""

    WARNING = 0
    SUCCESS = 1
    ERROR = 2
    INFO = 3
    SEVERE = 4
    FATAL = 6


class CAStatusCode(NamedTuple):
    """One status: `code` is its number, `code_with_severity` what goes over the wire."""

    name: str
    code: int
    code_with_severity: int
    severity: int
    success: int
    defunct: bool
    description: str


_W, _S, _E, _I, _F = CASeverity.WARNING, CASeverity.SUCCESS, CASeverity.ERROR, CASeverity.INFO, CASeverity.FATAL

# (number, name, severity, defunct, description): "defunct" ones are not produced by current code, but old servers live
_TABLE: tuple[tuple[int, str, CASeverity, bool, str], ...] = (
    (0, "NORMAL", _S, False, "Normal successful completion"),
    (1, "MAXIOC", _E, True, "too many server connections"),
    (2, "UKNHOST", _E, True, "host name cannot be resolved"),
    (3, "UKNSERV", _E, True, "network service name unknown"),
    (4, "SOCK", _E, True, "no socket could be created"),
    (5, "CONN", _W, True, "TCP connect failed"),
    (6, "ALLOCMEM", _W, False, "out of memory or no room in a resource table"),
    (7, "UKNCHAN", _W, True, "no such channel"),
    (8, "UKNFIELD", _W, True, "record field unsuitable for the channel"),
    (9, "TOLARGE", _W, False, "transfer exceeds memory or the configured array size limit"),
    (10, "TIMEOUT", _W, False, "caller-supplied time limit ran out"),
    (11, "NOSUPPORT", _W, True, "feature planned but absent"),
    (12, "STRTOBIG", _W, True, "string too long"),
    (13, "DISCONNCHID", _E, True, "request dropped, channel not connected"),
    (14, "BADTYPE", _E, False, "data type code out of range or not allowed here"),
    (15, "CHIDNOTFND", _I, True, "channel not located"),
    (16, "CHIDRETRY", _I, True, "some channels not located yet"),
    (
        17,
        "INTERNAL",
        _F,
        False,
        "internal failure; rsrv also uses it for unknown commands, bad SID and misaligned frames",
    ),
    (18, "DBLCLFAIL", _W, True, "local database operation failed"),
    (19, "GETFAIL", _W, False, "read failed in the server"),
    (20, "PUTFAIL", _W, False, "write failed in the server"),
    (21, "ADDFAIL", _W, True, "subscription failed"),
    (22, "BADCOUNT", _W, False, "element count out of range"),
    (23, "BADSTR", _E, False, "string invalid (empty, or no terminator in 40 bytes)"),
    (24, "DISCONN", _W, False, "circuit or channel disconnected"),
    (25, "DBLCHNL", _W, False, "PV name answered by more than one server"),
    (26, "EVDISALLOW", _E, False, "call not permitted inside a monitor callback"),
    (27, "BUILDGET", _W, True, "value fetch during search failed"),
    (28, "NEEDSFP", _W, True, "floating point task option missing (vxWorks)"),
    (29, "OVEVFAIL", _W, True, "event queue overflow lost the first update"),
    (30, "BADMONID", _E, False, "subscription id unknown"),
    (31, "NEWADDR", _W, True, "channel moved to another address"),
    (32, "NEWCONN", _I, True, "connection new or resumed"),
    (33, "NOCACTX", _W, True, "thread has no client context"),
    (
        34,
        "DEFUNCT",
        _F,
        True,
        "obsolete feature; rsrv sends it to clients whose minor version is below 4 or not yet announced",
    ),
    (35, "EMPTYSTR", _W, True, "string empty"),
    (36, "NOREPEATER", _W, True, "repeater could not be started"),
    (37, "NOCHANMSG", _W, True, "search reply for an unknown channel id"),
    (38, "DLCKREST", _W, True, "dead connection being reset"),
    (39, "SERVBEHIND", _W, True, "server slow or silent"),
    (40, "NOCAST", _W, True, "no broadcast-capable interface"),
    (41, "BADMASK", _E, False, "event mask empty or has undefined high bits"),
    (42, "IODONE", _I, False, "all outstanding IO finished"),
    (43, "IOINPROGRESS", _I, False, "IO still outstanding"),
    (44, "BADSYNCGRP", _E, False, "sync group id invalid"),
    (45, "PUTCBINPROG", _E, False, "earlier put-callback on this channel did not finish in time"),
    (46, "NORDACCESS", _W, False, "no read permission"),
    (47, "NOWTACCESS", _W, False, "no write permission"),
    (48, "ANACHRONISM", _E, False, "feature withdrawn"),
    (49, "NOSEARCHADDR", _W, False, "search destination list is empty"),
    (50, "NOCONVERT", _W, False, "no sensible conversion between the two types"),
    (51, "BADCHID", _E, False, "channel id invalid"),
    (52, "BADFUNCPTR", _E, False, "callback pointer invalid"),
    (53, "ISATTACHED", _W, False, "thread already belongs to a context"),
    (54, "UNAVAILINSERV", _W, False, "service behind the channel lacks this feature"),
    (55, "CHANDESTROY", _W, False, "channel destroyed by its owner"),
    (56, "BADPRIORITY", _E, False, "priority outside 0..99"),
    (57, "NOTTHREADED", _E, False, "context was not created for preemptive callbacks"),
    (58, "16KARRAYCLIENT", _W, False, "peer older than 4.9 cannot carry more than 16 KiB"),
    (59, "CONNSEQTMO", _W, False, "circuit set-up sequence aborted"),
    (60, "UNRESPTMO", _W, False, "circuit unresponsive (echo not answered in time)"),
)


def _row(number: int, name: str, severity: CASeverity, defunct: bool, description: str) -> CAStatusCode:
    return CAStatusCode(f"ECA_{name}", number, number << 3 | severity, severity, severity & 1, defunct, description)


STATUS: dict[int, CAStatusCode] = {code.code_with_severity: code for code in (_row(*row) for row in _TABLE)}
"""Every known status by its number on the wire."""

ECA: dict[str, CAStatusCode] = {code.name.removeprefix("ECA_"): code for code in STATUS.values()}
"""Every known status by its name without the prefix: `ECA["NORMAL"]`."""

ECA_NORMAL = ECA["NORMAL"]
ECA_TOLARGE = ECA["TOLARGE"]
ECA_BADTYPE = ECA["BADTYPE"]
ECA_INTERNAL = ECA["INTERNAL"]
ECA_GETFAIL = ECA["GETFAIL"]
ECA_PUTFAIL = ECA["PUTFAIL"]
ECA_BADCOUNT = ECA["BADCOUNT"]
ECA_DISCONN = ECA["DISCONN"]
ECA_BADMONID = ECA["BADMONID"]
ECA_DEFUNCT = ECA["DEFUNCT"]
ECA_ALLOCMEM = ECA["ALLOCMEM"]
ECA_PUTCBINPROG = ECA["PUTCBINPROG"]
ECA_NORDACCESS = ECA["NORDACCESS"]
ECA_NOWTACCESS = ECA["NOWTACCESS"]
ECA_NOCONVERT = ECA["NOCONVERT"]
ECA_BADCHID = ECA["BADCHID"]
ECA_CHANDESTROY = ECA["CHANDESTROY"]
ECA_TIMEOUT = ECA["TIMEOUT"]
ECA_UNRESPTMO = ECA["UNRESPTMO"]


def status_of(number: int) -> CAStatusCode:
    """The status with this number on the wire; one named ECA_UNKNOWN_n if nobody defined it."""
    known = STATUS.get(number)
    if known is not None:
        return known
    bits = number & 7
    severity = CASeverity(bits) if bits in CASeverity._value2member_map_ else bits
    return CAStatusCode(
        f"ECA_UNKNOWN_{number}", number >> 3, number, severity, number & 1, False, "not defined by Channel Access"
    )
