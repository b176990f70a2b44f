"""Every exception of the package: one tree, and each is also the builtin that a user would catch.

Texts are lower case without a full stop, and say what, where, in which state, and how far it got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class CAError(Exception):
    """Root of everything that this package raises on purpose."""


class CATimeoutError(CAError, TimeoutError):
    """No answer within the time allowed; the text says what was tried and how far it got."""


class DisconnectedError(CAError, ConnectionError):
    """The circuit or the channel is gone, or was never there."""


class AccessDeniedError(CAError, PermissionError):
    """The server does not let this user on this host read or write the channel."""


class ChannelAccessError(CAError, RuntimeError):
    """The server answered with an ECA status other than normal, which is `status` (None where there is none)."""

    def __init__(self, message: str, status: object = None) -> None:
        super().__init__(message)
        self.status = status


class ProtocolError(CAError):
    """A rule of Channel Access was broken."""


class LocalProtocolError(ProtocolError, ValueError):
    """We were about to break a rule: nothing has been sent."""


class RemoteProtocolError(ProtocolError, ConnectionError):
    """The peer broke a rule: nothing more that it says on this circuit can be trusted.

    `heard` is what it had said before in the same bytes, already policed: that still holds.
    """

    heard: Sequence[object] = ()


class DecodeError(RemoteProtocolError, ValueError):
    """A payload does not hold what its type and count say."""


class BadValueError(CAError, ValueError):
    """A value (or a name) that cannot be encoded or put as it is."""


class ContextClosedError(CAError, RuntimeError):
    """The context has been closed: it accepts no more work."""


class ReentrantError(CAError, RuntimeError):
    """The handler of a signal has interrupted caclient halfway, and would wait for what only that can bring."""
