"""A channel: one for each (name, priority) of a home, shared by all who use the name.

It outlives circuits: searching -> connecting -> creating -> ready, and back to searching when the circuit or the server
lets it go. What is true on one circuit only is its ``Ride``: a new one each time, which leaves with the circuit, and
on which a late command falls without harm. Those who live on the channel are its dependents: they are told when it can
be used and when not, and make their subscriptions anew. Only the engine thread moves a channel; other threads read its
state, take its ride once, and wait for it to become ready.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final, Protocol

from caclient.client.ride import Ride
from caclient.client.standing import SETTLED, UNDER_WAY, Failing, Standing, State
from caclient.client.waiting import wait
from caclient.dbr import LAYOUTS, ChannelType, time_type
from caclient.engine.circuit import State as CircuitState
from caclient.engine.signals import new_signal
from caclient.engine.sockets import Address
from caclient.protocol.commands import (
    AccessRightsResponse,
    CreateChanResponse,
    CreateChFailResponse,
    ErrorResponse,
    ServerDisconnResponse,
)
from caclient.protocol.creations import LASTING, pause

log = logging.getLogger("caclient.channel")

_REFUSED: Final = 5.0
"""Seconds before a name is searched again that a server has answered for but would not create."""
_SLOW: Final = 1.0
"""Seconds that a server has to make a channel before another one that answers for the name is tried."""
_HUNG: Final = 2.0
"""Seconds that an unresponsive circuit still has when its own server is heard to answer searches."""


class Dependent(Protocol):
    """Who lives on a channel: monitors, metadata, connection callbacks. All calls but the last: *engine thread*."""

    def serve(self, channel: Channel) -> None:
        """The channel can be used: on a new ride, again after its server was silent, or with other rights."""

    def lost(self) -> None:
        """It cannot be used, for a while. If the ride is over, so is what was made on it."""

    def end(self) -> None:
        """It is closed, and never will be used again."""

    def orphan(self) -> None:
        """In a forked child: the ride was the parent's, and so are its callbacks. *The only thread.*"""


class Channel(Standing):
    """One PV of one server, wherever that is at the moment. Made by its home, never directly."""

    __slots__ = ()

    dependents: tuple[Dependent, ...]

    # -- dependents: any thread ----------------------------------------------------------------------------------------

    def join(self, dependent: Dependent, after: tuple[Dependent, ...], ahead: bool = False) -> bool:
        """Take a dependent in, *ahead* of the others or behind; false if there are others by now than *after*."""
        grown = (dependent, *after) if ahead else (*after, dependent)
        with self.runtime.lock:  # nothing is allocated in here: a finalizer could come between
            if self.dependents is not after:
                return False
            self.dependents = grown
        return True

    def leave(self, dependent: Dependent) -> None:
        """Tell a dependent nothing any more; one that has left is no error."""
        while dependent in (before := self.dependents):
            rest = tuple(other for other in before if other is not dependent)
            with self.runtime.lock:
                if self.dependents is before:
                    self.dependents = rest

    # -- waiting: any thread but the engine's --------------------------------------------------------------------------

    def wait_ready(self, deadline: float) -> bool:
        """Wait until the channel is ready or the monotonic *deadline* has passed; whether it is."""
        while self.state is not State.READY:
            self.runtime.wake()
            signal = new_signal()
            if self.await_ready(signal) and not self.runtime.closed:  # who closes it sees the signal, or is seen
                try:
                    wait(self.runtime, signal, deadline)
                finally:
                    self.forgo(signal)
            if self.state is State.CLOSED or self.runtime.closed:
                raise self.ended("it was closed")
            if time.monotonic() >= deadline:  # else it was ready, and was lost before this thread saw it
                return self.connected
        return True

    def await_ready(self, signal: Any) -> bool:
        """Have ``signal.release()`` called when the channel is ready or closed; false if it is already."""
        while True:
            before = self.waiters
            grown = (*before, signal)
            with self.runtime.lock:  # nothing is allocated in here, see ``join``
                if self.state in SETTLED:
                    return False
                if self.waiters is before:
                    self.waiters = grown
                    return True

    def forgo(self, signal: Any) -> None:
        """Take a signal back; one that was given is no error."""
        while signal in (before := self.waiters):
            rest = tuple(other for other in before if other is not signal)
            with self.runtime.lock:
                if self.waiters is before:
                    self.waiters = rest

    def require(self, deadline: float) -> Ride:
        """Wait until the channel is ready: its ride.

        :raises CATimeoutError: saying how far it got.
        """
        started = time.monotonic()
        while True:
            ride = self.ride
            if self.state is State.READY and ride is not None:
                return ride
            if not self.wait_ready(deadline):
                raise self.unready(time.monotonic() - started)

    # -- the life of the channel: engine thread ------------------------------------------------------------------------

    def search(self) -> None:
        """Have the name searched."""
        if self.state is State.SEARCHING:
            self.finder.seek(self)

    def found(self, address: Address, fresh: bool = True) -> None:
        """A server has answered for the name; *fresh*: the first since it was asked for."""
        if self.state is State.UNRESPONSIVE:
            self._found_elsewhere(address)
        elif self.state in UNDER_WAY and address != self.address:
            self._try_instead(address)
        if self.state is State.SEARCHING:
            if fresh:
                self._ride(address)
        elif address != self.address:
            self.finder.duplicate(self, address)

    def _try_instead(self, address: Address) -> None:
        """Another server has the name too: try it if the first, which may not even exist, has had its time."""
        ride = self.ride
        if ride is not None and time.monotonic() - self.since >= _SLOW:
            self._leave(f"{ride.circuit.name} answered the search, but did not create the channel", clear=True)
            self._ride(address)

    def _found_elsewhere(self, address: Address) -> None:
        ride = self.ride
        if ride is None:
            return
        if address == self.address:
            ride.circuit.doubt_for(_HUNG)
            return
        name = ride.circuit.name
        self._leave(f"{name} is unresponsive, {address[0]}:{address[1]} has the name too", clear=True)
        self._ride(address)  # not by what is found next: the one that hangs may be the first to answer every search

    def _ride(self, address: Address) -> None:
        delay = self.pool.patience_with(address)
        if delay > 0:
            refusal = self.pool.not_serving(address)
            self.note = f"{address[0]}:{address[1]} answers searches but does not serve: {refusal}"
            self._fails(address, refusal=refusal)
            self.finder.seek(self, delay)
            return
        circuit = self.pool.circuit(address, self.priority)
        self.ride = ride = Ride(self, circuit)
        self._move(State.CONNECTING)
        self.address = circuit.address
        circuit.riders[ride] = None
        if circuit.state is CircuitState.OPEN:
            self.circuit_open()
        else:
            circuit.doubt_for(_HUNG)

    def circuit_open(self) -> None:
        """TCP is up: ask for the channel, with all others that are to be asked for just now."""
        ride = self.ride
        if self.state is State.CONNECTING and ride is not None:
            self.pool.create_soon(ride.circuit, ride)

    def asked_for(self) -> None:
        """The server has been asked for the channel."""
        if self.state is State.CONNECTING:
            self._move(State.CREATING)

    def creation_overdue(self) -> None:
        """The server answers, but not to this request: perhaps it was lost on its way, or another server has it."""
        self._drop(f"{self.circuit_name} did not answer the request for the channel", self._setback())

    def _setback(self) -> float:
        """Seconds to wait before the name is searched: none at first, then longer, until a channel lasts."""
        if self.state is State.READY and time.monotonic() - self.since >= LASTING:
            self.setbacks = 0
        wait = pause(self.setbacks)
        self.setbacks += 1
        return wait

    def circuit_closed(self, reason: str) -> None:
        """The circuit is gone: search again."""
        if self.state is State.CONNECTING and self.address is not None:
            self._fails(self.address, refusal=reason)
        elif self.state is State.CREATING and self.address is not None:
            self._fails(self.address, not_created=f"then ended the connection ({reason})")
        self._leave(reason)
        self.search()

    def _fails(self, address: Address, refusal: str = "", not_created: str = "") -> None:
        """A server answers for the name, but does not serve it."""
        self.failing = Failing(address, refusal, not_created, time.monotonic(), self.finder.attempts(self)[0])

    def circuit_unresponsive(self) -> None:
        """Disconnected as far as users can tell, but the circuit is watched while others are asked."""
        if self.state in (State.READY, State.CREATING):
            was_ready = self.state is State.READY
            self.note = "the server does not answer"
            self._move(State.UNRESPONSIVE)
            self.finder.seek(self)
            if was_ready:
                self._lose()

    def circuit_responsive(self) -> None:
        """The server answers again, and still holds the subscriptions."""
        ride = self.ride
        if self.state is State.UNRESPONSIVE and ride is not None:
            self.finder.settle(self)
            if ride.sid < 0:
                self._move(State.CREATING)
            else:
                self._become_ready()
        elif self.state is State.CONNECTING:
            self.circuit_open()

    def receive(self, command: Any) -> None:
        """A command came for the present ride."""
        kind = type(command)
        if kind is AccessRightsResponse:
            self._access_rights(int(command.access_rights))
        elif kind is CreateChanResponse:
            self._created(command)
        elif kind is CreateChFailResponse:
            if self.address is not None:
                self._fails(self.address, not_created="would not create the channel")
            self._drop(f"{self.circuit_name} answered the search but would not create the channel", _REFUSED)
        elif kind is ServerDisconnResponse:
            self._drop(f"{self.circuit_name} removed the channel", self._setback())
        elif kind is ErrorResponse:
            refused = f"puts refused by {self.circuit_name}"
            self.runtime.log.push(_log_write_failure, (self.name, command.status), refused)

    def _access_rights(self, rights: int) -> None:
        ride = self.ride
        can_read, can_write = bool(rights & 1), bool(rights & 2)
        if ride is None or (ride.can_read, ride.can_write) == (can_read, can_write):
            return  # a server that repeats itself is not worth a word
        ride.can_read, ride.can_write = can_read, can_write
        if self.state is State.READY:
            self.readable = ride if can_read else None
            self._serve()

    def _created(self, command: CreateChanResponse) -> None:
        ride = self.ride
        if ride is not None and ride.core is not None:
            self._ready(ride, command.sid, command.type_field, command.data_count)

    def made(self, ride: Ride, sid: int, native: int, count: int, rights: int) -> None:
        """The server has made it on the present ride, with these rights."""
        ride.can_read, ride.can_write = bool(rights & 1), bool(rights & 2)
        self._ready(ride, sid, native, count)

    def _ready(self, ride: Ride, sid: int, data_type: int, data_count: int) -> None:
        self.finder.settle(self)
        ride.circuit.served = True
        ride.sid = sid
        native = LAYOUTS[data_type].data_type
        self._take_form(native, data_count)
        ride.data_type = int(time_type(native))
        assert ride.core is not None
        ride.count = ride.core.count_for(1 if data_count == 1 else 0)
        if self.state is State.CREATING:
            self._become_ready()

    def _take_form(self, native: ChannelType, count: int) -> None:
        """What the server has, which may be another by now; its metadata are asked for anew."""
        shape, self.floor = self.shape, None
        if self.form != (native, count):
            self.form = _forms.setdefault((native, count), (native, count))
            self.shape = None
        elif shape is not None and shape.control is not None:
            self.shape = shape.knowing(None)

    def _become_ready(self) -> None:
        """Ready, for the first time on this ride or again."""
        self.note = ""
        self.failing = self.lost_at = None
        self._move(State.READY)
        self._release_waiters()
        self._serve()

    def _serve(self) -> None:
        for dependent in self.dependents:
            dependent.serve(self)

    def _drop(self, reason: str, delay: float) -> None:
        """Leave a circuit that goes on, and search again after a while."""
        self._leave(reason)
        self.finder.seek(self, delay)

    def _leave(self, reason: str, clear: bool = False) -> None:
        """End the ride. *clear*: the server is to forget the channel."""
        ride, was_ready = self.ride, self.state is State.READY
        self.note = reason
        self.ride = None
        self._move(State.SEARCHING)
        if ride is not None:
            ride.part(clear)
        if was_ready:
            self._lose()
        if self.lost_at is None and self.form is not None:
            self.lost_at = self.since

    def _lose(self) -> None:
        for dependent in reversed(self.dependents):
            dependent.lost()

    def _move(self, state: State) -> None:
        ride = self.ride
        self.since = time.monotonic()
        self.readable = ride if state is State.READY and ride is not None and ride.can_read else None
        self.state = state
        way = (*self.trail[-3:], state)
        self.trail = _WAYS.setdefault(way, way)

    def close(self, why: str = "it was closed", clear: bool = True) -> None:
        """Nobody uses the name any more, or the home closes: whoever waits is told. *clear*: the server is, too."""
        if self.state is State.CLOSED:
            return
        ride, was_ready = self.ride, self.state is State.READY
        self.finder.settle(self)
        self.note = why
        self.ride = None
        self._move(State.CLOSED)
        self._release_waiters()
        if ride is not None:
            ride.part(clear)
        if was_ready:
            self._lose()
        for dependent in self.dependents:
            dependent.end()
        self.dependents = ()

    def orphan(self) -> None:
        """In a forked child: the circuit is the parent's, and so are all callbacks. *The only thread.*"""
        if self.state is State.CLOSED:
            return
        self.state = State.SEARCHING
        self.note = "the process was forked"
        self.ride = self.readable = None
        self.waiters = ()
        for dependent in self.dependents:
            dependent.orphan()

    def _release_waiters(self) -> None:
        lock = self.runtime.lock
        if not self.waiters and not lock.locked():
            return  # who comes from now on sees the new state; who might not have, holds the lock
        with lock:
            waiters, self.waiters = self.waiters, ()
        for signal in waiters:
            signal.release()


_WAYS: Final[dict[tuple[State, ...], tuple[State, ...]]] = {}
"""Every way that a channel has taken, once: there are not many."""
_forms: dict[tuple[ChannelType, int], tuple[ChannelType, int]] = {}
"""One object for all channels of a form."""


def _log_write_failure(what: tuple[str, Any]) -> None:
    name, status = what
    log.warning("'%s': a put was refused by the server: %s: %s", name, status.name, status.description)
