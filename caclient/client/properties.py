"""Properties: a channel's metadata - units, precision, limits, names of states - and how they stay true.

They are asked for when somebody wants them first, and from then on at each connection. Once somebody has looked at
them there is a subscription for DBE_PROPERTY too, by which servers tell that they have changed. Gateways and old
servers may never do so, or send blanks, which are believed only if a read confirms them.
"""

from __future__ import annotations

from typing import Any

from caclient.client.channel import Channel
from caclient.client.get import read
from caclient.client.request import FreshRequest
from caclient.client.ride import Ride
from caclient.client.shape import Shape
from caclient.dbr import ControlInfo, ctrl_type
from caclient.dbr.mask import Mask
from caclient.engine.sending import LATER
from caclient.errors import CAError, DecodeError
from caclient.protocol.commands import EventAddResponse, ReadNotifyRequest

_BLANK = ControlInfo()


def want(channel: Channel, follow: bool = False) -> None:
    """Have the metadata fetched at each connection, without waiting for them; *follow*: kept up to date too."""
    made: Properties | None = None
    while True:
        dependents = channel.dependents
        found = next((other for other in dependents if type(other) is Properties), None)
        if found is None:
            made = made or Properties(channel)
            found = made if channel.join(made, dependents, ahead=True) else None
        elif found.following or not follow:
            return
        if found is not None:
            found.following = found.following or follow
            channel.runtime.on_engine(found.serve, channel)
            return


def fetch(channel: Channel, deadline: float, follow: bool = True) -> ControlInfo:
    """The metadata, from memory if they are known; *follow*: then kept up to date. Any thread but the engine's."""
    control = channel.control
    if control is None:
        channel.require(deadline)
        shape = channel.shaped()
        assert shape is not None
        control = read(channel, deadline, ctrl_type(shape.native_type), 1).control or _BLANK
        channel.learn(shape, control)
    want(channel, follow)
    return control


class Properties:
    """Keeps the metadata in a channel's shape up to date, once somebody wanted them; a dependent of the channel."""

    __slots__ = ("_asked", "_channel", "_subscribed", "following")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._subscribed: Ride | None = None
        """The ride on which changes are told."""
        self._asked = False
        """Whether an answer is on its way."""
        self.following = False
        """Whether changes are wanted too."""

    # -- engine thread -------------------------------------------------------------------------------------------------

    def serve(self, channel: Channel) -> None:
        """Have them sent, ahead of the first update, and if wanted again when they change."""
        if channel.control is None:
            self.ask()
        ride, shape = channel.ride, channel.shaped()
        if not self.following or ride is None or ride.core is None or shape is None or not channel.connected:
            return
        if self._subscribed is ride:
            return
        try:
            with ride.circuit.sending(LATER) as saying:
                saying.subscribe(ride.core, ctrl_type(shape.native_type), 1, Mask.PROPERTY, self)
        except CAError:
            return  # the circuit has just gone; the channel comes back, and this is called again
        self._subscribed = ride
        channel.pool.flush_soon(ride.circuit)

    def ask(self) -> None:
        """Have them sent once."""
        channel = self._channel
        ride, shape = channel.ride, channel.shaped()
        if self._asked or ride is None or shape is None or not channel.connected:
            return
        request = FreshRequest(self._answered)
        try:
            ride.circuit.ask(ReadNotifyRequest(ctrl_type(shape.native_type), 1, ride.sid, 0), request)
        except CAError:
            return
        self._asked = True

    def lost(self) -> None:
        """The channel cannot be used for a while."""
        self._asked = False
        if self._subscribed is not None and self._subscribed.over:
            self._subscribed = None

    def end(self) -> None:
        """The channel was closed."""

    def orphan(self) -> None:
        """In a forked child. *The only thread.*"""
        self._subscribed, self._asked = None, False

    # -- the thread that reads the circuit -----------------------------------------------------------------------------

    def receive(self, item: Any) -> None:
        """They have changed, or the server says why it will not tell."""
        if type(item) is not EventAddResponse or not item.status.success:
            return
        channel = self._channel
        shape = channel.shaped()
        if shape is None:
            return
        control = _decoded(shape, item)
        if _says_less(control, shape.control or _BLANK):
            channel.runtime.on_engine(self.ask)
        else:
            channel.learn(shape, control)

    def _answered(self, reply: Any) -> None:
        self._asked = False
        shape = self._channel.shaped()
        if shape is not None:
            self._channel.learn(shape, _decoded(shape, reply))


def _decoded(shape: Shape, reply: Any) -> ControlInfo:
    """What the server says, or what is known if that is nonsense."""
    try:
        return shape.reading(reply, "property").control or _BLANK
    except DecodeError:
        return shape.control or _BLANK


def _says_less(control: ControlInfo, before: ControlInfo) -> bool:
    """Whether units or names of states that were known have vanished."""
    return bool(before.units and not control.units) or len(control.enum_strs) < len(before.enum_strs)
