"""Every exception of the package: one tree, and each is also the builtin that a user would catch.

Texts are lower case without a full stop, and say what, where, in which state, and how far it got.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Phase = Literal["search", "connect", "create", "request", "processing"]


class CAError(Exception):
    """Root of everything that this package raises on purpose; it pickles with what it knows.

    One without a text of its own says what its ``why`` says, and finds the words when somebody looks.

    :param pvname: the PV it is about, None if it is about none.
    :param elapsed: seconds from the beginning of the call to its failure.
    :param phase: how far the call got: ``"search"``, ``"connect"``, ``"create"``, ``"request"`` or ``"processing"``.
    :param why: what was known then, as a ``Diagnosis`` that finds its words when it is looked at.
    """

    def __init__(
        self,
        text: str = "",
        *,
        pvname: str | None = None,
        elapsed: float | None = None,
        phase: Phase | None = None,
        why: Any = None,
    ) -> None:
        super().__init__(text)
        self.pvname = pvname
        self.elapsed = elapsed
        self.phase = phase
        self.why = why

    def __str__(self) -> str:
        text = super().__str__()
        return self.why.failure() if not text and self.why is not None else text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class CATimeoutError(CAError, TimeoutError):
    """No answer within the time allowed; the text says what was tried and how far it got."""


class DisconnectedError(CAError, ConnectionError):
    """The circuit or the channel is gone, or was never there."""


class AccessDeniedError(CAError, PermissionError):
    """The server does not let this user on this host read or write the channel."""


class ReadOnlyError(AccessDeniedError):
    """This context does not put: it was made with ``read_only``, or CACLIENT_READ_ONLY is set. Nothing was sent."""


class NoValueError(CAError, AttributeError):
    """A property has no value yet, and none can be had at once: ``hasattr`` and debuggers take it for missing.

    It cannot be a ``DisconnectedError`` too: CPython has no object that is both an OSError and an AttributeError.
    """


class ChannelAccessError(CAError, RuntimeError):
    """The server answered with an ECA status other than normal, which is `status` (None where there is none)."""

    def __init__(self, text: str = "", status: object = None, **known: Any) -> None:
        super().__init__(text, **known)
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


class WrongTypeError(BadValueError, TypeError):
    """Something is of a kind that cannot be used there; the text says what can."""


class ManyFailedError(CAError):
    """Some of many could not be had: `failed` says why for each, and `results` holds the others."""

    def __init__(self, text: str = "", results: Any = None, failed: Mapping[str, CAError] | None = None) -> None:
        super().__init__(text)
        self.results = results
        self.failed = dict(failed or {})


class ContextClosedError(CAError, RuntimeError):
    """The context has been closed: it accepts no more work."""


class LimitError(CAError, OSError):
    """The system gives no more descriptors or threads to this process."""


class ReentrantError(CAError, RuntimeError):
    """The handler of a signal has interrupted caclient halfway, and would wait for what only that can bring."""
