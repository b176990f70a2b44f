"""Whether the server at the other end of a circuit still lives: silence, echo, unresponsive, and back again.

A circuit that is silent for `conn_timeout` seconds is asked with an ECHO. No answer within `probe` seconds makes it
unresponsive; nothing is closed, for only TCP itself ends a circuit. An answer that comes after all may have lain in a
buffer, so it is not believed: one more ECHO is sent, and the answer to that one makes the circuit responsive again.

The server's regular beacons stand for bytes, so that a quiet circuit needs no echo. Once a beacon has come at a wrong
time they do not, until bytes have come. While an echo is out, neither bytes nor beacons count: a server whose request
task hangs may go on sending updates, and only the answer to the echo shows that it would answer a request.

Read the socket before asking `due()`: after a stall of our own, the answer may already be waiting there.
"""

from __future__ import annotations

from enum import Enum, auto

PROBE = 5.0  # seconds that a server has for answering an echo


class Action(Enum):
    """What the owner of the circuit does now."""

    NONE = auto()
    ECHO = auto()  # send an EchoRequest
    UNRESPONSIVE = auto()  # tell the channels, and send one more EchoRequest (as libca does)
    RESPONSIVE = auto()  # tell the channels


class Liveness:
    """The receive watchdog of one circuit.

    `heard()` is called for every chunk of bytes and only stores a float; deadlines are worked out when asked for.
    """

    __slots__ = (
        "_answered_late",
        "_doubted_at",
        "_probed_at",
        "_vouched_at",
        "conn_timeout",
        "heard_at",
        "probe",
        "unresponsive",
    )

    def __init__(self, conn_timeout: float, probe: float = PROBE, now: float = 0.0) -> None:
        self.conn_timeout = conn_timeout
        self.probe = probe
        self.heard_at = now
        self.unresponsive = False
        self._vouched_at = now
        self._doubted_at = now  # beacons count from the first bytes on
        self._probed_at: float | None = None  # when the echo went out that is not answered yet
        self._answered_late = False  # the echo that is out is the second one, after a late answer

    def heard(self, now: float) -> None:
        """Bytes came (or the connection did)."""
        self.heard_at = now

    def beacon(self, now: float) -> None:
        """A regular beacon of this server came: as good as bytes, unless a wrong one came since the last bytes."""
        if self._doubted_at < self.heard_at:
            self._vouched_at = now

    def doubt(self, now: float) -> None:
        """A beacon came at a wrong time: beacons do not count until bytes come."""
        self._doubted_at = now

    @property
    def probing(self) -> bool:
        """Whether an echo is out."""
        return self._probed_at is not None

    def next_due(self) -> float:
        """When `due()` is to be called; calling it earlier is harmless, and it may move to later at any time."""
        if self._probed_at is not None:
            return self._probed_at + self.probe
        return max(self.heard_at, self._vouched_at) + self.conn_timeout

    def probe_now(self, now: float) -> Action:
        """There is reason for doubt: ask at once, unless an echo is out already."""
        if self._probed_at is not None:
            return Action.NONE
        self._probed_at = now
        return Action.ECHO

    def due(self, now: float) -> Action:
        """What the passing of time asks for."""
        if now < self.next_due():
            return Action.NONE
        if self._probed_at is None:
            self._probed_at = now
            return Action.ECHO
        self._probed_at = now  # from now on only a deadline to look again: the echo stays out
        self._answered_late = False
        return self._become_unresponsive()

    def echo_answered(self, now: float) -> Action:
        """An EchoResponse came."""
        if self._probed_at is None:
            return Action.NONE
        if self.unresponsive and not self._answered_late:
            self._answered_late = True
            self._probed_at = now
            return Action.ECHO
        self._probed_at = None
        self._answered_late = False
        self.heard_at = now
        return self._become_responsive()

    def send_blocked(self, now: float) -> Action:
        """Nothing could be written for `conn_timeout` seconds: unresponsive at once."""
        self._probed_at = now
        self._answered_late = False
        return self._become_unresponsive()

    def sent_much(self, now: float) -> None:
        """More than a socket buffer was written since the last bytes came: an echo that is out gets more time."""
        if self._probed_at is not None and not self.unresponsive:
            self._probed_at = now

    def _become_unresponsive(self) -> Action:
        if self.unresponsive:
            return Action.NONE
        self.unresponsive = True
        return Action.UNRESPONSIVE

    def _become_responsive(self) -> Action:
        if not self.unresponsive:
            return Action.NONE
        self.unresponsive = False
        return Action.RESPONSIVE
