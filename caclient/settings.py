"""What a setting may be, checked where it is given: a wrong one raises at once, and says what to give instead.

Each check takes the setting's name and what was given, and returns it as the program keeps it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Final

from caclient.errors import BadValueError, WrongTypeError

NAME_BYTES: Final = 511
"""Bytes of a user's or host's name: a server closes a circuit on which it is told a longer one."""
LONGEST: Final = 1e9
"""Seconds that a setting may say at the most; more would overflow the kernel's timers."""

_SIZE: Final = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([kKMGT]?)(i?)B?\s*\Z", re.ASCII)
_POWERS: Final = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def shown(value: object) -> str:
    """What was given, as an error shows it: one short line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"


def _wrong(name: str, value: object, advice: str) -> BadValueError:
    return WrongTypeError(f"{name}={shown(value)}: {advice}")


def flag(name: str, value: Any) -> bool:
    """True or false, and nothing that might be meant so."""
    if type(value) is not bool:
        raise _wrong(name, value, "give True or False")
    return value


def seconds(name: str, value: Any) -> float:
    """A positive number of seconds."""
    advice = f"give a positive number of seconds, as in {name}=5.0"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong(name, value, advice)
    number = float(value)
    if not 0 < number <= LONGEST:
        raise BadValueError(f"{name}={shown(value)}: {advice}, at most {LONGEST:g}")
    return number


def port(name: str, value: Any) -> int:
    """A port number; 0 where any free one, or none, will do."""
    return _whole(name, value, 65535, f"give a port number from 1 to 65535, as in {name}=5064, or 0")


def hops(name: str, value: Any) -> int:
    """How many routers a multicast datagram may pass."""
    return _whole(name, value, 255, "give a whole number from 0 to 255")


def _whole(name: str, value: Any, most: int, advice: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise _wrong(name, value, advice)
    if not 0 <= int(value) <= most:
        raise BadValueError(f"{name}={shown(value)}: {advice}")
    return int(value)


def size(name: str, value: Any) -> int:
    """A positive number of bytes, or text such as ``"256 MB"`` (of 1,000,000 bytes) or ``"256 MiB"`` (of 1,048,576)."""
    advice = f'give a positive number of bytes, or text, as in {name}="256 MB"'
    if isinstance(value, str):
        count = _bytes_of(value)
        if not count:
            raise BadValueError(f"{name}={shown(value)}: {advice}")
        return count
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise _wrong(name, value, advice)
    if not 0 < int(value) < 1 << 63:
        raise BadValueError(f"{name}={shown(value)}: {advice}")
    return int(value)


def _bytes_of(text: str) -> int:
    """The bytes that a text says; 0 if it says none."""
    match = _SIZE.match(text)
    if match is None:
        return 0
    base = 1024 if match[3] else 1000
    return math.floor(float(match[1]) * int(base ** _POWERS[match[2]]))


def size_or_none(name: str, value: Any) -> int | None:
    """A number of bytes; None is no limit."""
    return None if value is None else size(name, value)


def told_name(name: str, value: Any) -> str | None:
    """The name of a user or host, as servers are told it; None is this process's."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(name, value, "give a name as text")
    if not value or "\0" in value or len(_encoded(value)) > NAME_BYTES:
        raise BadValueError(f"{name}={shown(value)}: give a name of 1 to {NAME_BYTES} bytes without NUL")
    return value


def cut_name(text: str) -> str:
    """A name that servers can be told: its first 511 bytes."""
    data = _encoded(text)
    return text if len(data) <= NAME_BYTES else data[:NAME_BYTES].decode("utf-8", "ignore")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "auto_addr_list": flag,
    "auto_beacon_addr_list": flag,
    "read_only": flag,
    "conn_timeout": seconds,
    "echo_timeout": seconds,
    "beacon_period": seconds,
    "max_search_period": seconds,
    "repeater_port": port,
    "server_port": port,
    "cas_server_port": port,
    "beacon_port": port,
    "mcast_ttl": hops,
    "max_array_bytes": size_or_none,
    "user": told_name,
    "host": told_name,
}
"""Every setting of a ``Config`` but the address lists."""
