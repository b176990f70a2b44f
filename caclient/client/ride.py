"""Rides: what is true of a channel on one circuit only.

A channel takes a new ride each time, and leaves it by one assignment. The ride is who lives on the circuit and who owns
the core's channel: what comes for one that is over, however late, falls on it, and harms nothing.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from caclient.client.waiting import give, wait
from caclient.engine.circuit import Circuit
from caclient.engine.pool import Pool
from caclient.engine.runtime import Runtime
from caclient.engine.signals import new_signal
from caclient.errors import DisconnectedError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.commands import (
    ClearChannelRequest,
    ClearChannelResponse,
    CreateChanResponse,
    CreateChFailResponse,
    ServerDisconnResponse,
)
from caclient.protocol.crowds import Made

_ANSWERS: Final = (CreateChanResponse, CreateChFailResponse)
_ENDINGS: Final = (ServerDisconnResponse, CreateChFailResponse, ClearChannelResponse)
"""What ends a channel for good on its circuit, with all that was asked through it."""


class Traveller(Protocol):
    """Who rides: a channel. It is told only of its present ride, on the engine thread."""

    name: str
    pool: Pool
    runtime: Runtime

    @property
    def ride(self) -> Ride | None:
        """The present one."""

    def receive(self, command: Any) -> None:
        """A command came."""

    def asked_for(self) -> None:
        """The server has been asked for it."""

    def made(self, ride: Ride, sid: int, native: int, count: int, rights: int) -> None:
        """The server has made it."""

    def creation_overdue(self) -> None:
        """The server answers, but not to the request for it."""

    def circuit_open(self) -> None:
        """TCP is up."""

    def circuit_closed(self, reason: str) -> None:
        """The circuit is gone."""

    def circuit_unresponsive(self) -> None:
        """It does not answer."""

    def circuit_responsive(self) -> None:
        """It answers again."""


class Ride:
    """What is true of a channel on one circuit only. Whoever takes it once has a consistent set, in any thread."""

    __slots__ = ("_partings", "can_read", "can_write", "channel", "cid", "circuit", "core", "count", "data_type", "sid")

    def __init__(self, channel: Traveller, circuit: Circuit) -> None:
        self.channel = channel
        self.circuit = circuit
        self.core: ClientChannel | None = None
        self.cid = 0
        """The channel's number on this circuit, not that of its search."""
        self.sid = -1
        self.data_type = 0
        """With ``count``: how to ask for all there is."""
        self.count = 0
        self.can_read = False
        self.can_write = False
        self._partings: tuple[Any, ...] = ()

    @property
    def over(self) -> bool:
        """Whether the channel has left the circuit. *Any thread.*"""
        return self.channel.ride is not self

    @property
    def name(self) -> str:
        """The channel's."""
        return self.channel.name

    @property
    def waiting(self) -> bool:
        """Whether the server is still to be asked for the channel."""
        return self.core is None and self.channel.ride is self

    def await_end(self, deadline: float) -> bool:
        """Let the engine thread finish with a circuit that is just ending; whether the channel has left it."""
        runtime, signal = self.channel.runtime, new_signal()
        runtime.require_other_thread()
        while not self.over:
            before = self._partings
            grown = (*before, signal)
            with runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self._partings is before:
                    self._partings = grown
                    break
        if not self.over:
            runtime.loop.call_soon(give, signal)
            wait(runtime, signal, deadline)
        return self.over

    def part(self, clear: bool) -> None:
        """The channel has left; *clear*: the server is to forget it. *Engine thread.*"""
        channel, circuit = self.channel, self.circuit
        circuit.riders.pop(self, None)
        circuit.creations.forget(self)
        if clear and self.sid >= 0:
            self._clear(self.sid)
        channel.pool.maybe_idle(circuit)
        self.core = None
        with channel.runtime.lock:
            partings, self._partings = self._partings, ()
        for signal in partings:
            give(signal)

    def _clear(self, sid: int) -> None:
        self.circuit.dismiss(ClearChannelRequest(sid, self.cid))
        self.channel.pool.flush_soon(self.circuit)

    # -- what the circuit tells ----------------------------------------------------------------------------------------

    def receive(self, command: Any) -> None:
        """A command for the channel came. *The thread that reads the circuit.*"""
        self.channel.runtime.loop.run(self._receive, command)

    def _receive(self, command: Any) -> None:
        kind = type(command)
        if kind in _ANSWERS:
            self.circuit.creations.answered(self)
        if not self.over:
            self.channel.receive(command)
        elif kind is CreateChanResponse:  # nobody waits for it any more: it must not stay there
            self._clear(command.sid)
            self.channel.pool.maybe_idle(self.circuit)
        if kind in _ENDINGS and command.orphans:
            error = DisconnectedError(f"{self.circuit.name} removed the channel")
            for owner in command.orphans:
                owner.fail(error)

    def asked_for(self, core: ClientChannel) -> None:
        """The server has been asked for the channel."""
        self.core = core
        self.cid = core.cid
        if not self.over:
            self.channel.asked_for()

    def made(self, made: Made) -> None:
        """The server has made the channel: what is else said by two commands."""
        if not self.over:
            self.channel.made(self, made.sid, made.data_type, made.data_count, made.access_rights)
        else:  # nobody waits for it any more: it must not stay there
            self._clear(made.sid)
            self.channel.pool.maybe_idle(self.circuit)

    def creation_overdue(self) -> None:
        """The server answers, but not to the request for this channel."""
        if not self.over:
            self.channel.creation_overdue()

    def circuit_open(self) -> None:
        """TCP is up: ask for the channel."""
        if not self.over:
            self.channel.circuit_open()

    def circuit_closed(self, reason: str) -> None:
        """The circuit is gone: search again."""
        if not self.over:
            self.channel.circuit_closed(reason)

    def circuit_unresponsive(self) -> None:
        """Disconnected as far as users can tell, but the circuit is watched while others are asked."""
        if not self.over:
            self.channel.circuit_unresponsive()

    def circuit_responsive(self) -> None:
        """The server answers again."""
        if not self.over:
            self.channel.circuit_responsive()
