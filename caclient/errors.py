"""Every exception of the package: one tree, and each is also the builtin that a user would catch.

Texts are lower case without a full stop, and say what, where, in which state, and how far it got.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal

Phase = Literal["search", "connect", "create", "request", "processing"]

_INSIDE: Final = __file__.removesuffix("errors.py")
"""Where the files of this package are."""


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

    def _render_traceback_(self) -> list[str]:
        """What IPython and notebooks show: the user's lines, in the shell's colours and %xmode, and the text."""
        found = sys.modules.get("IPython")
        shell = None if found is None else found.get_ipython()
        frames = _of_users(self)
        if shell is None:
            return traceback.format_exception(type(self), self, frames)
        return shell.InteractiveTB.structured_traceback(type(self), self, frames)  # type: ignore[no-any-return]


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


# -- tracebacks --------------------------------------------------------------------------------------------------------


def shorten(error: CAError) -> None:
    """Cut the frames between the public call that catches *error*, to raise it again, and the line that raised it.

    The text says it all. Nothing is cut of what may be a mistake in here, nor where a user's function was called.
    """
    frames = error.__traceback__
    if frames is not None and not isinstance(error, ProtocolError) and _last_of_users(frames.tb_next) is None:
        frames.tb_next = None


def _of_users(error: CAError) -> TracebackType | None:
    """The frames of an error down to the last that is a user's; all, if it may be a mistake in here."""
    frames = error.__traceback__
    last = None if isinstance(error, ProtocolError) else _last_of_users(frames)
    if last is None:
        return frames
    kept = []
    while frames is not None and frames is not last.tb_next:
        kept.append(frames)
        frames = frames.tb_next
    copy = None  # the error keeps all, for debuggers
    for each in reversed(kept):
        copy = TracebackType(copy, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return copy


def _last_of_users(frames: TracebackType | None) -> TracebackType | None:
    last = None
    while frames is not None:
        if not frames.tb_frame.f_code.co_filename.startswith(_INSIDE):
            last = frames
        frames = frames.tb_next
    return last
