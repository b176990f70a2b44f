"""The context: the public handle of a home. One is enough for a program.

``import caclient`` makes none: the default context starts with the first PV. All methods may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from typing_extensions import Self

from caclient.client import default
from caclient.client.home import DRAIN, Home, Lease, Settings
from caclient.client.pv import PV
from caclient.client.report import Report
from caclient.client.shared import SharedPVs
from caclient.client.timeout import DEFAULT, Timeout, seconds
from caclient.config import Config
from caclient.dbr.mask import MaskLike
from caclient.engine.sockets import Address
from caclient.errors import WrongTypeError
from caclient.settings import shown, size


class Context:
    """Everything that talks to IOCs, made from a ``Config`` (by default the EPICS_CA_* variables).

    The keyword arguments replace single fields of the config: ``addr_list`` and ``name_servers`` as text or a list of
    ``"host:port"``, ``auto_addr_list``, ``server_port``, ``conn_timeout``, ``max_search_period``, ``repeater_port``...
    An ``addr_list`` given here is searched alone unless ``auto_addr_list`` is given too.

    A context is a handle: when it and all PVs that were made with it are gone, what is behind it closes by itself.

    :param timeout: seconds that calls may take unless the PV or the call has its own.
    :param queue_bytes: bytes of updates that may wait for all callbacks together, as a number or as ``"256 MB"``.
    :param read_only: puts raise ``ReadOnlyError``; by default as the variable CACLIENT_READ_ONLY says.
    :raises BadValueError: if a setting cannot be; the text says what to give instead.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        addr_list: str | Iterable[Address | str] | None = None,
        auto_addr_list: bool | None = None,
        name_servers: str | Iterable[Address | str] | None = None,
        server_port: int | None = None,
        repeater_port: int | None = None,
        conn_timeout: float | None = None,
        echo_timeout: float | None = None,
        max_search_period: float | None = None,
        max_array_bytes: int | None = None,
        mcast_ttl: int | None = None,
        timeout: float = 5.0,
        queue_bytes: int | str = "256 MB",
        read_only: bool | None = None,
        user: str | None = None,
        host: str | None = None,
    ) -> None:
        if auto_addr_list is None and not (addr_list is None and name_servers is None):
            auto_addr_list = False
        given = {
            "addr_list": addr_list,
            "auto_addr_list": auto_addr_list,
            "name_servers": name_servers,
            "server_port": server_port,
            "repeater_port": repeater_port,
            "conn_timeout": conn_timeout,
            "echo_timeout": echo_timeout,
            "max_search_period": max_search_period,
            "max_array_bytes": max_array_bytes,
            "mcast_ttl": mcast_ttl,
            "read_only": read_only,
            "user": user,
            "host": host,
        }
        settings = {name: value for name, value in given.items() if value is not None}
        if config is not None and not isinstance(config, Config):
            raise WrongTypeError(f"config={shown(config)}: give a Config; addresses go to addr_list=")
        found = (config or Config.from_env()).replace(**settings)
        self._lease = default.open_home(Settings(found, seconds(timeout), size("queue_bytes", queue_bytes)))
        self._shared = SharedPVs(self._lease)

    @property
    def _home(self) -> Home:
        return self._lease.home

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self._home.config

    @property
    def timeout(self) -> float:
        """Seconds that calls may take unless they, or the PV, are given their own."""
        return self._home.settings.timeout

    @property
    def queue_bytes(self) -> int:
        """Bytes of updates that may wait for all callbacks and iterators together."""
        return self._home.settings.queue_bytes

    @property
    def read_only(self) -> bool:
        """Whether puts raise ``ReadOnlyError``."""
        return self._home.config.read_only

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._home.runtime.closed

    def pv(
        self,
        name: str,
        *,
        connection_callback: Callable[..., Any] | None = None,
        access_callback: Callable[..., Any] | None = None,
        callback: Callable[..., Any] | None = None,
        auto_monitor: bool | MaskLike | None = None,
        priority: int = 0,
        timeout: Timeout = DEFAULT,
    ) -> PV:
        """A PV of this context; the arguments are those of ``PV``."""
        return PV(
            name,
            connection_callback=connection_callback,
            access_callback=access_callback,
            callback=callback,
            auto_monitor=auto_monitor,
            priority=priority,
            timeout=timeout,
            context=self,
        )

    def shared_pv(self, name: str) -> PV:
        """The PV that the functions of this package use for a name; kept while it is asked for again and again."""
        return self._shared.get(name)

    def report(self) -> Report:
        """What the context is doing: circuits, channels, searches, lanes, drops. Prints readably."""
        return Report._of(self._home)

    def servers(self) -> tuple[str, ...]:
        """The servers that are known, as ``host:port``: connected to, or heard by their beacons. *Any thread.*

        A server sends a beacon every 15 seconds, more often when it has just started.
        """
        home = self._home
        connected = [circuit.address for circuit in home.pool.all() if circuit.opened_at]
        known = dict.fromkeys([*connected, *home.searches.beacons.addresses()])
        return tuple(f"{host}:{port}" for host, port in sorted(known))

    def close(self, timeout: float = DRAIN) -> None:
        """Send what was put, close every circuit and end the threads; twice is no error.

        Goes on sending while servers take it, for *timeout* seconds at most.
        """
        self._home.close(seconds(timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (default.settings_of(self._lease),)

    def __repr__(self) -> str:
        return repr(self._home).replace("Home", "Context", 1)


def _unpickled(settings: Settings | None) -> Context:
    """What a pickled context becomes: the default one, or a handle of a home of the same settings."""
    return default_context() if settings is None else _handle_of(default.lease_like(settings))


def _handle_of(lease: Lease) -> Context:
    context = Context.__new__(Context)
    context._lease = lease
    context._shared = SharedPVs(lease)
    return context


def pv_of(pv: Any, context: Context | None = None) -> PV:
    """A PV as it is, or the shared one of a name in *context*, by default the one that is used where none is given."""
    if isinstance(pv, PV):
        return pv
    if not isinstance(pv, str):
        hint = ": for many use caget_many() or caput_many()" if isinstance(pv, (list, tuple, set, dict)) else ""
        raise WrongTypeError(f"{shown(pv)} is no PV and no name{hint}")
    if context is not None and not isinstance(context, Context):
        raise WrongTypeError(f"context={shown(context)}: give a Context, or leave it out")
    return (default_context() if context is None else context).shared_pv(pv.strip())


def default_context() -> Context:
    """The context that is used where none is given; made from the environment by the first who asks."""
    handle = default.current()
    assert isinstance(handle, Context)
    return handle


def set_default_context(context: Context | None) -> None:
    """Use *context* where none is given; None: another is made, from the environment as it is then."""
    _check_context(context, "give a Context, or None")
    default.choose(context)


@contextmanager
def using(context: Context) -> Iterator[Context]:
    """Use *context* where none is given, in this thread or task, while the block runs."""
    _check_context(context, "give a Context")
    token = default.choose_here(context)
    try:
        yield context
    finally:
        default.leave(token)


def _check_context(context: Any, advice: str) -> None:
    if not isinstance(context, Context) and not (context is None and "None" in advice):
        raise WrongTypeError(f"context={shown(context)}: {advice}")


def close_default_context() -> None:
    """Close it, if there is one; the next use makes another, from the environment as it is then."""
    handle = default.known()
    if isinstance(handle, Context):
        handle.close()


default.make_handle = Context
