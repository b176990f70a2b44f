"""Questions to a server and the wait for their answers.

A request is one object with one id. It leaves the circuit's books on every way out: a reply, an error, a timeout, a
disconnect, Ctrl-C, a closed context.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from caclient.dbr import Reading
from caclient.engine.circuit import Circuit
from caclient.engine.signals import new_signal
from caclient.errors import AccessDeniedError, CAError, CATimeoutError, ChannelAccessError
from caclient.protocol.command import Command
from caclient.protocol.runs import ReplyRun
from caclient.protocol.status import CAStatusCode


class Question:
    """What has an id on a circuit until it is answered. It is told once: by ``receive``, or by ``fail``."""

    __slots__ = ("_untold", "done", "ioid", "sent_at", "signal")

    follows: ClassVar[bool] = False
    """Its answer may be handed on from caller to caller, while others are delivered: nobody else looks at it."""

    def __init__(self) -> None:
        self._untold = True
        self.done = False
        self.ioid = -1
        self.sent_at = 0.0
        self.signal: Any = None

    def claim(self) -> bool:
        """Whether this is the first who tells it: an answer may race with the end of the circuit. *Any thread.*"""
        try:
            del self._untold  # one step in C, which only one can take
        except AttributeError:
            return False
        return True

    def receive(self, item: Any) -> None:
        """The answer came. *The thread that reads the circuit.*"""
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        """There will be no answer, if none has come. *Any thread.*"""
        raise NotImplementedError


class Request(Question):
    """A read or a write whose answer somebody waits for: ``done`` turns true once, with ``reply`` or ``error`` set."""

    __slots__ = ("error", "name", "reply")

    follows: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self._untold = True
        self.done = False
        self.ioid = -1
        self.sent_at = 0.0
        self.signal = new_signal()
        self.name = name
        self.reply: Any = None
        self.error: Exception | None = None

    def receive(self, item: Any) -> None:
        """The answer came. *The thread that reads the circuit.*"""
        if self.claim():
            self.reply = item
            self._finish()
        item.owner = None  # else it and the request hold each other, and a large payload until the next gc

    def fail(self, error: Exception) -> None:
        """There will be no answer, if none has come. *Any thread.*"""
        if self.claim():
            self.error = error
            self._finish()

    def _finish(self) -> None:
        self.done = True
        self.signal.release()

    def exchange(self, circuit: Circuit, command: Command, deadline: float) -> Any:
        """Send, and wait until the monotonic *deadline* for the answer or what went wrong. *Any but the engine's.*"""
        try:
            circuit.exchange(command, self, deadline)
        finally:
            if not self.done and self.ioid >= 0:
                circuit.forget(self.ioid)
        return self.result(circuit)

    def wait(self, circuit: Circuit, deadline: float) -> None:
        """Wait for what has been sent before; that it is not answered by then is no error, and it may be waited for
        again. *Any thread but the engine's.*"""
        if not self.done:
            circuit.lead(self, deadline)

    def result(self, circuit: Circuit) -> Any:
        """The answer.

        :raises CATimeoutError: if none has come.
        """
        if self.error is not None:
            raise self.error
        if not self.done:
            raise CATimeoutError(f"'{self.name}': no answer from {circuit.name}", pvname=self.name, phase="request")
        status = self.reply.status
        if not status.success:
            raise failure(self.name, status)
        return self.reply


class SharedRequest(Request):
    """A read whose answer a monitor takes as well, in its place among the updates."""

    __slots__ = ("_take", "reading")

    follows: ClassVar[bool] = (
        False  # or the monitor might take it after updates that came behind it, and go back in time
    )

    def __init__(self, name: str, take: Callable[[Any], Reading | None]) -> None:
        super().__init__(name)
        self._take = take
        self.reading: Reading | None = None

    def receive(self, item: Any) -> None:
        """The answer came. *The thread that reads the circuit.*"""
        self.reading = self._take(item)
        super().receive(item)


class FreshRequest(Question):
    """A read that nobody waits for: if no answer comes, an update or a reconnect will do."""

    __slots__ = ("_take",)

    def __init__(self, take: Callable[[Any], Any]) -> None:
        super().__init__()
        self._take = take

    def receive(self, item: Any) -> None:
        """The answer came. *The thread that reads the circuit.*"""
        if self.claim() and item.status.success:
            self._take(item)

    def fail(self, error: Exception) -> None:
        """There will be no answer."""
        self.claim()


class Rendezvous(Question):
    """A read whose answer is of no interest: it has ``call`` made where updates come in, or where the end is known."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call = call

    def receive(self, item: Any) -> None:
        """The answer came. *The thread that reads the circuit.*"""
        if self.claim():
            self._call()

    def fail(self, error: Exception) -> None:
        """There will be no answer, and no updates either. *Any thread.*"""
        if self.claim():
            self._call()


class BulkRequest:
    """Reads sent as one buffer. Answers are kept as they come, runs whole, and sorted by the caller."""

    __slots__ = ("_untold", "answers", "count", "done", "error", "first", "left", "sent_at", "signal")

    def __init__(self, count: int) -> None:
        self.answers: list[Any] = []
        self.count = self.left = count
        self.first = 0
        self._untold = True
        self.done = count == 0
        self.error: Exception | None = None
        self.sent_at = time.monotonic()
        self.signal = new_signal()

    def receive(self, item: Any) -> None:
        """An answer, or a run of them. *The thread that reads the circuit.*"""
        self.answers.append(item)
        self.left -= len(item.ioids) if type(item) is ReplyRun else 1
        if self.left <= 0:
            self._finish()
        item.owner = None  # no cycle, as in Request

    def fail(self, error: Exception) -> None:
        """What has not come will not. *Any thread.*"""
        if not self.done:
            self.error = error
            self._finish()

    def _finish(self) -> None:
        try:
            del self._untold  # once, as in Question
        except AttributeError:
            return
        self.done = True
        self.signal.release()

    def wait(self, circuit: Circuit, deadline: float) -> None:
        """Wait for all answers, or as many as come by the monotonic *deadline*. *Any thread but the engine's.*"""
        circuit.lead(self, deadline)

    def forget(self, circuit: Circuit) -> None:
        """Give up what has not come. *Any thread.*"""
        if not self.done:
            circuit.forget_all(self)


def failure(name: str, status: CAStatusCode) -> CAError:
    """The exception for a status that is not normal."""
    text = f"'{name}': {status.name}: {status.description}"
    if status.name in ("ECA_NORDACCESS", "ECA_NOWTACCESS"):
        return AccessDeniedError(text, pvname=name, phase="request")
    return ChannelAccessError(text, status, pvname=name, phase="request")
