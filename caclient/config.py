"""The EPICS_CA_* and EPICS_CAS_* variables as one frozen Config, by the rules that libca and an IOC parse them with.

What cannot be parsed falls back as it does there, and is told in `Config.problems` instead of on a terminal. Host names
stay names here: looking them up is I/O.
"""

from __future__ import annotations

import getpass
import html
import math
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, TypeAlias, TypeVar

from caclient.errors import BadValueError, WrongTypeError
from caclient.settings import CHECKS, LONGEST, cut_name, shown

Address: TypeAlias = "tuple[str, int]"
AddressList: TypeAlias = "tuple[Address, ...]"

DEFAULT_SERVER_PORT = 5064
DEFAULT_REPEATER_PORT = 5065
MIN_ARRAY_BYTES = 16384
ARRAY_HEADER_ALLOWANCE = 24
MIN_SEARCH_PERIOD = 60.0

_T = TypeVar("_T")
_DIGITS = re.compile(r"\s*([+-]?\d+)", re.ASCII)
_DOTTED = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}\.\d{1,9}\Z", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}\Z", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*)\Z")


@dataclass(frozen=True, slots=True, repr=False)
class Config:
    """Where to search, how long to wait, how much to accept. The address lists may be given as text, as in EPICS.

    Every setting is checked: a wrong one raises ``BadValueError``, and says what to give instead. `problems` says what
    of the environment could not be used, one line each; `origins` where each setting comes from (a variable's name),
    for `describe`. Seconds, bytes and port numbers throughout.
    """

    addr_list: AddressList = ()
    """Search destinations in addition to the automatic ones."""
    auto_addr_list: bool = True
    """Search by the broadcast address of every interface too."""
    name_servers: AddressList = ()
    """TCP name servers."""
    conn_timeout: float = 30.0
    """Silence on a circuit after which an echo is asked for."""
    echo_timeout: float = 5.0
    """How long a server may take to answer an echo before its circuit counts as unresponsive."""
    beacon_period: float = 15.0
    """Plateau of the interval between a server's beacons."""
    repeater_port: int = DEFAULT_REPEATER_PORT
    server_port: int = DEFAULT_SERVER_PORT
    """UDP port for searches, and the default of the address lists."""
    max_array_bytes: int | None = None
    """Largest payload accepted; None is no limit."""
    max_search_period: float = 300.0
    """Longest interval between two searches for a name that nobody has."""
    mcast_ttl: int = 1
    user: str | None = None
    """Name told to servers; None is the login name."""
    host: str | None = None
    """Host name told to servers; None is this machine's."""
    read_only: bool = False
    """Puts raise ``ReadOnlyError`` and send nothing."""
    intf_addr_list: AddressList = ()
    """Server: interfaces to listen on and multicast groups to join; empty is all interfaces."""
    beacon_addr_list: AddressList = ()
    """Server: beacon destinations in addition to the automatic ones."""
    auto_beacon_addr_list: bool = True
    """Server: beacons by the broadcast address of every bound interface too."""
    beacon_port: int = DEFAULT_REPEATER_PORT
    cas_server_port: int = DEFAULT_SERVER_PORT
    """Server: UDP search port and preferred TCP port; 0 is any free one."""
    ignore_addr_list: AddressList = ()
    """Server: hosts whose searches are not answered (ports are not compared)."""
    problems: tuple[str, ...] = field(default=(), compare=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, check in CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        for name in _LIST_PORTS:
            object.__setattr__(self, name, _as_addresses(name, getattr(self, name), self._list_port(name)))

    def _list_port(self, name: str) -> int:
        return int(getattr(self, _LIST_PORTS[name]))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """As the environment (by default this process's) says. Never raises: see `problems`."""
        return _Environment(os.environ if environ is None else environ).config()

    @classmethod
    def isolated(cls, conn_timeout: float = 30.0, **settings: Any) -> Config:
        """Loopback only, any free port, no broadcasts: for tests, untouched by the environment and other programs."""
        loopback = (("127.0.0.1", 0),)
        given = {
            "auto_addr_list": False,
            "auto_beacon_addr_list": False,
            "intf_addr_list": loopback,
            "server_port": 0,
            "cas_server_port": 0,
            "repeater_port": 0,
            "beacon_port": 0,
            "conn_timeout": conn_timeout,
            **settings,
        }
        return cls(**given)

    def replace(self, **settings: Any) -> Config:
        """The same with these settings changed; BadValueError if there is none of such a name, or it cannot be that."""
        for name in settings.keys() - CHECKS.keys() - _LIST_PORTS.keys() - {"problems"}:
            known = ", ".join(sorted((*CHECKS, *_LIST_PORTS)))
            raise WrongTypeError(f"there is no setting {name!r}: there are {known}")
        origins = {name: origin for name, origin in self.origins.items() if name not in settings}
        return replace(self, **settings, origins=origins)

    def identity(self) -> tuple[str, str]:
        """The user and host that servers are told: the login and this machine's names unless they are set."""
        return self.user or cut_name(_login_name()), self.host or cut_name(socket.gethostname())

    def describe(self) -> list[str]:
        """One line for each setting with its value and where it comes from, then the problems."""
        settings = [entry for entry in fields(self) if entry.compare]
        lines = [f"{each.name} = {_shown(getattr(self, each.name))} ({self._origin(each)})" for each in settings]
        return lines + [f"problem: {problem}" for problem in self.problems]

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say: setting -> value (addresses as ``"host:port"``), and ``problems``."""
        settings = {each.name: getattr(self, each.name) for each in fields(self) if each.compare}
        return {**{name: _plain(value) for name, value in settings.items()}, "problems": list(self.problems)}

    def __repr__(self) -> str:
        given = [each for each in fields(self) if each.compare and getattr(self, each.name) != each.default]
        parts = [f"{each.name}={_plain(getattr(self, each.name))!r}" for each in given]
        return f"Config({', '.join(parts)})"

    def _repr_html_(self) -> str:
        told = [each for each in fields(self) if each.compare]
        rows = [(each.name, _shown(getattr(self, each.name)), self._origin(each)) for each in told]
        cells = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(part)}</td>' for part in row) + "</tr>"
            for row in [*rows, *(("problem", problem, "") for problem in self.problems)]
        )
        return f"<table><tr><th>setting</th><th>value</th><th>from</th></tr>{cells}</table>"

    def _origin(self, setting: Field[Any]) -> str:
        default = "default" if getattr(self, setting.name) == setting.default else "argument"
        return self.origins.get(setting.name, default)


_LIST_PORTS = {
    "addr_list": "server_port",
    "name_servers": "server_port",
    "intf_addr_list": "cas_server_port",
    "beacon_addr_list": "beacon_port",
    "ignore_addr_list": "server_port",
}
"""Each address list, and the setting that is the port of entries without one."""


def parse_address_list(text: str, default_port: int) -> tuple[AddressList, tuple[str, ...]]:
    """The (host, port) pairs of a blank-separated list without repeats, and a line for each entry that is wrong.

    An entry is a.b.c.d, a 32-bit decimal number or a host name, each with or without `:port`. No commas.
    """
    found: dict[Address, None] = {}
    problems: list[str] = []
    for entry in text.split():
        address = _parse_entry(entry, default_port)
        if address is None:
            problems.append(f"{shown(entry)} is no address: skipped")
        elif address in found:
            problems.append(f"{shown(entry)} is there twice: skipped")
        else:
            found[address] = None
    return tuple(found), tuple(problems)


def _as_addresses(name: str, given: Any, port: int) -> AddressList:
    """An address list argument: text as in EPICS, or pairs and texts in any iterable; what is there twice counts once.

    :raises BadValueError: naming the entry that is no address.
    """
    if isinstance(given, str):
        given = given.split()
    elif not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):
        raise WrongTypeError(f"{name}={shown(given)}: {_ADVICE}")
    return tuple(dict.fromkeys(address for entry in given for address in _entries(name, entry, port)))


_ADVICE = "give text with blanks between the addresses, as in '10.0.3.255 gateway:5070', or a list of them"


def _entries(name: str, entry: Any, port: int) -> Iterable[Address]:
    """One entry of a list: a text, which may hold several, or a pair."""
    if isinstance(entry, str):
        parsed = [(text, _parse_entry(text, port)) for text in entry.split()]
        bad = next((text for text, address in parsed if address is None), None)
        if bad is None:
            return (address for _, address in parsed if address is not None)
        raise BadValueError(f"{name}: {shown(bad)} is no address: {_hint(bad)}")
    if isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str) and type(entry[1]) is int:
        host = _parse_host(entry[0])
        if host is not None and 0 <= entry[1] <= 65535:
            return ((host, entry[1]),)
    raise BadValueError(f"{name}: {shown(entry)} is no address: give 'host', 'host:port' or ('host', port)")


def _hint(text: str) -> str:
    """What to do about an entry that is no address."""
    if "," in text or ";" in text:
        return "separate addresses by blanks"
    if "://" in text:
        return "give host:port without a scheme"
    return "give a host's name or its IPv4 address, with :port (1 to 65535) behind it if that is not the usual one"


def _parse_entry(entry: str, default_port: int) -> Address | None:
    host, colon, port_text = entry.partition(":")
    host_ok = _parse_host(host)
    if host_ok is None or (colon and not _NUMBER.match(port_text)):
        return None
    port = int(port_text) if colon else default_port
    return (host_ok, port) if port <= 65535 else None


def _parse_host(text: str) -> str | None:
    """A dotted address, a 32-bit number as one, or a host name as it is."""
    if _DOTTED.match(text):
        octets = [int(octet) for octet in text.split(".")]
        return ".".join(map(str, octets)) if max(octets) <= 255 else None
    if text.isascii() and text.isdecimal():
        return _dotted(int(text)) if len(text) < 20 and int(text) < 1 << 32 else None
    return text if _HOST.match(text) else None


def _dotted(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _login_name() -> str:
    try:
        return getpass.getuser() or "unknown"
    except (OSError, KeyError, ImportError):
        return "unknown"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{host}:{port}" for host, port in value) or "(empty)"
    return str(value)


def _plain(value: Any) -> Any:
    """A setting as what JSON can say."""
    if isinstance(value, tuple):
        return [f"{host}:{port}" for host, port in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class _Environment:
    """One reading of the environment: collects the settings, where they came from, and what was wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._settings: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._used: set[str] = set()
        self._problems: list[str] = []

    def config(self) -> Config:
        """Every variable, in the order in which some are the default of others."""
        self._client()
        self._array_bytes()
        self._search_period()
        self._server()
        self._people()
        return Config(**self._settings, origins=self._origins, problems=tuple(self._problems))

    def _client(self) -> None:
        server_port = self._take("server_port", "EPICS_CA_SERVER_PORT", _port, DEFAULT_SERVER_PORT)
        self._take("repeater_port", "EPICS_CA_REPEATER_PORT", _port, DEFAULT_REPEATER_PORT)
        self._take("conn_timeout", "EPICS_CA_CONN_TMO", _positive, 30.0)
        self._take("mcast_ttl", "EPICS_CA_MCAST_TTL", _ttl, 1)
        # "No" and "0" leave it on, as in libca
        self._take("auto_addr_list", "EPICS_CA_AUTO_ADDR_LIST", _not_no, True, empty_is_fine=True)
        self._addresses("addr_list", "EPICS_CA_ADDR_LIST", server_port)
        self._addresses("name_servers", "EPICS_CA_NAME_SERVERS", server_port)

    def _server(self) -> None:
        server_port, repeater_port = self._settings["server_port"], self._settings["repeater_port"]
        cas_port = self._fallback(
            "cas_server_port", "EPICS_CAS_SERVER_PORT", "EPICS_CA_SERVER_PORT", _port, server_port
        )
        beacon_port = self._fallback(
            "beacon_port", "EPICS_CAS_BEACON_PORT", "EPICS_CA_REPEATER_PORT", _port, repeater_port
        )
        self._fallback("beacon_period", "EPICS_CAS_BEACON_PERIOD", "EPICS_CA_BEACON_PERIOD", _positive, 15.0)
        self._take("auto_beacon_addr_list", "EPICS_CAS_AUTO_BEACON_ADDR_LIST", _yes, True, empty_is_fine=True)
        self._addresses("intf_addr_list", "EPICS_CAS_INTF_ADDR_LIST", cas_port)
        self._addresses("beacon_addr_list", "EPICS_CAS_BEACON_ADDR_LIST", beacon_port)
        self._addresses("ignore_addr_list", "EPICS_CAS_IGNORE_ADDR_LIST", server_port)

    def _array_bytes(self) -> None:
        """A limit only where EPICS_CA_AUTO_ARRAY_BYTES is set to anything but yes."""
        auto = self._parsed("EPICS_CA_AUTO_ARRAY_BYTES", _yes, True, empty_is_fine=True)
        if not auto:
            limit = self._parsed("EPICS_CA_MAX_ARRAY_BYTES", _integer, MIN_ARRAY_BYTES)
            self._settings["max_array_bytes"] = max(limit, MIN_ARRAY_BYTES) + ARRAY_HEADER_ALLOWANCE
            given = "EPICS_CA_MAX_ARRAY_BYTES" in self._used
            self._origins["max_array_bytes"] = f"EPICS_CA_{'MAX' if given else 'AUTO'}_ARRAY_BYTES"

    def _search_period(self) -> None:
        period = self._take("max_search_period", "EPICS_CA_MAX_SEARCH_PERIOD", _positive, 300.0)
        if period < MIN_SEARCH_PERIOD:
            self._settings["max_search_period"] = MIN_SEARCH_PERIOD
            self._problems.append(f"EPICS_CA_MAX_SEARCH_PERIOD: {period} is below {MIN_SEARCH_PERIOD}: raised to that")

    def _people(self) -> None:
        """Who we are to servers, and whether puts are forbidden."""
        self._take("read_only", "CACLIENT_READ_ONLY", _on, False, empty_is_fine=True)
        variable = next((name for name in ("LOGNAME", "USER", "LNAME", "USERNAME") if self._environ.get(name)), "")
        name = self._environ.get(variable, "")
        if cut_name(name) != name:
            self._settings["user"], self._origins["user"] = cut_name(name), variable
            self._problems.append(f"{variable}: a name of {len(name)} characters: cut to what servers accept")

    def _take(
        self, name: str, variable: str, parse: Callable[[str], _T], default: _T, empty_is_fine: bool = False
    ) -> _T:
        """One variable as one setting; the default where it is unset or wrong."""
        value = self._parsed(variable, parse, default, empty_is_fine)
        if variable in self._used:
            self._origins[name] = variable
        self._settings[name] = value
        return value

    def _fallback(self, name: str, variable: str, other: str, parse: Callable[[str], _T], default: _T) -> _T:
        """One variable, or another where that is unset or empty."""
        first = variable if self._environ.get(variable) else other
        return self._take(name, first, parse, default)

    def _parsed(self, variable: str, parse: Callable[[str], _T], default: _T, empty_is_fine: bool = False) -> _T:
        text = self._environ.get(variable)
        if text is None or (not text and empty_is_fine):
            return default
        try:
            value = parse(text)
        except ValueError as error:
            problem = f"{variable}: {shown(text)} {error}: {default} is used"
            if problem not in self._problems:
                self._problems.append(problem)
            return default
        self._used.add(variable)
        return value

    def _addresses(self, name: str, variable: str, default_port: int) -> None:
        if variable in self._environ:
            self._origins[name] = variable
        found, problems = parse_address_list(self._environ.get(variable, ""), default_port)
        self._settings[name] = found
        self._problems += [f"{variable}: {problem}" for problem in problems]


def _integer(text: str) -> int:
    """A leading decimal number, as scanf reads it; what follows is ignored."""
    match = _DIGITS.match(text)
    if match is None:
        raise ValueError("is no integer")
    if len(match[1]) > 19:
        raise ValueError("is too large an integer")
    return int(match[1])


def _port(text: str) -> int:
    port = _integer(text)
    if not 5000 < port <= 65535:
        raise ValueError("is no port from 5001 to 65535")
    return port


def _ttl(text: str) -> int:
    ttl = _integer(text)
    if not 0 <= ttl <= 255:
        raise ValueError("is no time to live from 0 to 255")
    return ttl


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("is no number") from None
    if not 0 < value < float("inf"):
        raise ValueError("is no positive number")
    return min(value, LONGEST)


def _on(text: str) -> bool:
    """Whether a switch of our own is on."""
    if text.strip().lower() in ("1", "yes", "true", "on"):
        return True
    if text.strip().lower() in ("0", "no", "false", "off"):
        return False
    raise ValueError("is neither 1 nor 0")


def _yes(text: str) -> bool:
    return text.lower() == "yes"


def _not_no(text: str) -> bool:
    return not ("no" in text[:31] or "NO" in text[:31])
