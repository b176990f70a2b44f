"""Properties: a channel's metadata - units, precision, limits, names of states - and how they stay true.

They are asked for when somebody wants them first, and from then on at each connection. Once somebody has looked at
them there is a subscription for DBE_PROPERTY too, by which servers tell that they have changed. Gateways and old
servers may never do so, or send blanks, which are believed only if a read confirms them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caclient.client.request import FreshRequest
from caclient.client.subscription import DBE_PROPERTY
from caclient.dbr import ControlInfo, ctrl_type
from caclient.engine.sending import LATER
from caclient.errors import CAError, DecodeError
from caclient.protocol.commands import EventAddResponse, ReadNotifyRequest

if TYPE_CHECKING:
    from caclient.client.channel import Channel

_BLANK = ControlInfo()


class Properties:
    """The metadata of one channel, once somebody wanted them: ``channel.control`` is kept up to date."""

    __slots__ = ("_asked", "_channel", "_subscribed", "following")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._subscribed = False
        self._asked = False
        """Whether an answer is on its way."""
        self.following = False
        """Whether changes are wanted too."""

    def start(self) -> None:
        """Have them sent, ahead of the first update, and if wanted again when they change. *Engine thread.*"""
        if self._channel.control is None:
            self.ask()
        if self.following and not self._subscribed:
            self._subscribed = self._send(self._subscribe)

    def ask(self) -> None:
        """Have them sent once. *Engine thread.*"""
        if not self._asked:
            self._asked = self._send(self._read)

    def lost(self) -> None:
        """The circuit has gone, and the subscription with it. *Engine thread.*"""
        self._subscribed = self._asked = False

    def _send(self, send: Callable[[Any, Any, int], None]) -> bool:
        """Whether it could be asked for; else the channel comes back, and starts this again."""
        channel = self._channel
        core, circuit, native = channel.core, channel.circuit, channel.native_type
        if core is None or circuit is None or native is None or not channel.connected:
            return False
        try:
            send(circuit, core, ctrl_type(native))
        except CAError:
            return False
        return True

    def _read(self, circuit: Any, core: Any, data_type: int) -> None:
        circuit.ask(ReadNotifyRequest(data_type, 1, core.sid, 0), FreshRequest(self._answered))

    def _subscribe(self, circuit: Any, core: Any, data_type: int) -> None:
        with circuit.sending(LATER) as saying:
            saying.subscribe(core, data_type, 1, DBE_PROPERTY, self)
        self._channel.pool.flush_soon(circuit)

    # -- the thread that reads the circuit -----------------------------------------------------------------------------

    def receive(self, item: Any) -> None:
        """They have changed, or the server says why it will not tell. *The thread that reads the circuit.*"""
        if type(item) is not EventAddResponse or not item.status.success:
            return
        control = self._decode(item)
        if _says_less(control, self._channel.control or _BLANK):
            self._channel.runtime.on_engine(self.ask)
        else:
            self._channel.control = control

    def _answered(self, reply: Any) -> None:
        self._asked = False
        self._channel.control = self._decode(reply)

    def _decode(self, reply: Any) -> ControlInfo:
        """What the server says, or what is known if that is nonsense."""
        try:
            return self._channel.reading(reply, "property").control or _BLANK
        except DecodeError:
            return self._channel.control or _BLANK


def _says_less(control: ControlInfo, before: ControlInfo) -> bool:
    """Whether units or names of states that were known have vanished."""
    return bool(before.units and not control.units) or len(control.enum_strs) < len(before.enum_strs)
