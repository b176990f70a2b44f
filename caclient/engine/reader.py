"""The way up of a circuit: who reads, what is read, and to whom it is delivered.

One thread at a time reads, has the core decode, and hands every item to its owner: it holds the *seat* meanwhile.
Usually that is the selector thread. A caller who waits for a reply *leads* if nobody does: he sends, and reads himself,
and no other thread has to be scheduled before the reply is seen, which halves the time of a get. Those who find a
leader follow: their answers are handed on from one to the next (``relay``). Commands that move a channel's life are
handed on to the selector thread by their owner, so a leader decodes and delivers values, nothing else.

While somebody leads the selector thread does not look at the socket. Leaders who follow one another closely do not have
it look in between either: its interest is a *lease* that it takes back by itself when none has come for a moment.
Neither a leader who waits nor the lease holds the seat. So the selector thread goes on in the place of a leader who
does not come back, because the handler of a signal takes its time on his thread, or a debugger has stopped it.

A leader first looks for bytes again and again, if the last answers came so quickly that going to sleep and being woken
would take longer; only then he sleeps.

Ctrl-C is held while bytes are between the socket and their owners (``hold``). What the handlers of other signals raise
is not: ``_reading`` stays up then, and who finds it up knows that the stream is torn, and the circuit is closed and
made anew rather than trusted. What was read and not delivered is told so by whoever closes: items are taken one by one,
by one or the other.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, Protocol

from caclient.engine.appetite import Appetite
from caclient.engine.batches import Batches
from caclient.engine.hold import held
from caclient.engine.intake import Intake
from caclient.engine.loop import Loop
from caclient.engine.outbox import Outbox
from caclient.engine.poller import READ, WRITE
from caclient.engine.relay import Relay
from caclient.engine.sending import Asker, Sending
from caclient.engine.signals import Waiter, wait
from caclient.engine.sockets import errno_name
from caclient.errors import RemoteProtocolError
from caclient.protocol.command import Command
from caclient.protocol.runs import MixedRun

_SLICE: Final = 1024 * 1024
"""Bytes of a large payload taken at a time."""
_LEAD: Final = 0.1
"""Seconds that a caller waits for bytes himself: the selector thread goes on for him, and can tell him of failures."""
_GUARD: Final = 0.12
"""Seconds between two looks at whether a leader is still the same one, who then does not come back."""
_LEASE: Final = 0.004
"""Seconds without a leader after which the selector thread looks at the socket again."""
_CLOSELY: Final = 0.001
"""Seconds between two leaders who follow one another closely."""
_SPIN: Final = 0.0001
"""Seconds that a leader looks for bytes before he sleeps."""
_QUICK: Final = 0.0003
"""Seconds that the last answer took at most, if looking for the next one is to be worth it."""
_DISTURBED: Final = 0.00005
"""Seconds that one look takes at least if another thread has had the interpreter meanwhile: he may keep it."""
_TORN: Final = "a read was interrupted halfway"

Lead = tuple[int, Waiter]
"""A thread, and what it waits for while it leads."""


class WaitingAsker(Asker, Waiter, Protocol):
    """Who asks, and waits for the answer."""

    follows: ClassVar[bool]
    """Whether its answer may be handed on (``relay``) after what came behind it has been delivered."""


class Reader:
    """The seat of one circuit.

    *on_over* is called when nothing more can be read, with why and whether to reset; *on_unowned* with what has no
    owner. Both are called on the engine thread.
    """

    def __init__(
        self,
        loop: Loop,
        way: Sending,
        outbox: Outbox,
        on_heard: Callable[[float], None],
        on_over: Callable[[str, bool], None],
        on_unowned: Callable[[Command], None],
        batches: Batches | None = None,
        intake: Intake | None = None,
    ) -> None:
        self.bytes_in = 0
        self.relay = Relay(self._hand_out, self._relay_over)
        self.seat = threading.RLock()  # it knows its thread
        self.round_trip = 0.0
        """Seconds that the last answer to a leader took."""
        self.can_lead = False
        self._loop = loop
        self._way = way
        self._outbox = outbox
        self._on_heard = on_heard
        self._on_over = on_over
        self._on_unowned = on_unowned
        self._batches = batches
        self._intake = intake
        self._sock: socket.socket | None = None
        self._descriptor = -1
        self._appetite = Appetite()
        self._reading = self._torn = self._ended = False
        self._undelivered: deque[Any] = deque()
        self._delivering: Any = None
        self._leading: dict[int, Lead] = {}
        self._leads = 0
        self._left_at = 0.0
        self._led = self._guarding = self._leasing = self._sleeping = self._behind = False
        self._guarded: tuple[Lead | None, int] = (None, 0)
        self._leased = -1
        self._patiences: list[Any] = []

    def start(self, sock: socket.socket, now: float) -> None:
        """TCP is up. *Engine thread.*"""
        self._sock = sock
        self._descriptor = sock.fileno()
        self._way.heard_at = now
        if hasattr(select, "poll"):
            self.can_lead = self._loop.poller.shared
        self.watch()

    def stop(self) -> list[Any]:
        """Nothing is read any more: those whose answers were read and never delivered. *Engine thread.*"""
        items = [self._delivering] if self._torn and self._delivering is not None else []
        try:
            while True:
                items.append(self._undelivered.popleft())
        except IndexError:
            return [item.owner for item in items if hasattr(item.owner, "fail")]

    def watch(self) -> None:
        """Have the selector thread look for what is wanted: to read unless a leader does, to write if bytes wait."""
        said = -1
        # Whoever says it last looks once more, so that it is true. A lock would have the selector thread wait for one
        # whose thread a signal's handler has taken, and that for the selector thread.
        while said != (wanted := (0 if self._led else READ) | (WRITE if self._outbox.blocked else 0)):
            try:
                self._loop.poller.modify(self._descriptor, wanted)
            except (OSError, ValueError, KeyError):
                pass  # closed meanwhile, which everyone who waits has been told
            said = wanted

    def close(self, sock: socket.socket) -> None:
        """Close the socket, which is shut, as soon as nobody reads. *Engine thread.*"""
        self._descriptor = -1  # the number may soon be another circuit's
        self._sock = sock
        self._ended = True
        self._close_if_free()

    def _close_if_free(self) -> None:
        if self.seat.acquire(blocking=False):
            assert self._sock is not None
            self._sock.close()
            self.seat.release()

    # -- waiting: any thread but the engine's --------------------------------------------------------------------------

    def exchange(self, command: Command, asker: WaitingAsker, deadline: float) -> None:
        """Send a request and wait until it is answered or the monotonic *deadline* has passed.

        Reads the circuit meanwhile if nobody else does. *Any thread but the engine's.*
        """
        self._check_waiting()
        lead = None
        try:
            lead = self._take_lead(asker)
            if lead is not None:
                held(self._ask_and_look, command, asker)
                if not asker.done:
                    self._read_for(lead, deadline)
                self.round_trip = max(0.0, self._way.heard_at - asker.sent_at)
                self._leave(lead)
            else:
                if asker.follows:
                    self.relay.follow(asker)
                self._way.ask(command, asker)
                wait(asker, deadline)
                self.relay.leave(asker)
        except BaseException as error:  # Ctrl-C, anywhere in there
            try:
                self._break_off(asker, error)
            except BaseException:  # once more: it may have struck in there
                self._break_off(asker, error)
                raise
            raise
        if not asker.done:
            wait(asker, deadline)

    def lead(self, waiter: Waiter, deadline: float) -> None:
        """Wait for something asked before, like ``exchange``. *Any thread but the engine's.*"""
        self._check_waiting()
        try:
            lead = self._take_lead(waiter)
            if lead is not None:
                self._read_for(lead, deadline)
                self._leave(lead)
        except BaseException as error:
            try:
                self._break_off(waiter, error)
            except BaseException:
                self._break_off(waiter, error)
                raise
            raise
        if not waiter.done:
            wait(waiter, deadline)

    def _check_waiting(self) -> None:
        ident = threading.get_ident()
        if (
            ident == self._loop.ident
            or self._way.nested
            or self.seat._is_owned()  # type: ignore[attr-defined]
            or (self.relay.threads and not self.relay.make_way())
        ):
            raise self._way.stuck()

    def _break_off(self, waiter: Any, error: BaseException) -> None:
        """Leave what was under way; doing it twice is no error."""
        if not isinstance(error, Exception):
            self._loop.call_soon(self.relay.rescue)
        if self.seat._is_owned():  # type: ignore[attr-defined]  # the handler of another signal has raised in there
            if self._reading:
                self._tear()
            self._leave_seat()
        lead = self._leading.get(0)
        if lead is not None and lead[1] is waiter:
            self._leave(lead)
        self._loop.call_soon(self._hand_back)
        self._loop.call_soon(self.watch)  # even if it was handed back: it may have struck in there as well
        self.relay.leave(waiter)

    # -- leading -------------------------------------------------------------------------------------------------------

    def _take_lead(self, waiter: Waiter) -> Lead | None:
        """Become the leader, if there is none or it is this very thread, and keep the selector thread out of it."""
        if not self.can_lead or not self._way.up:
            return None
        lead = (threading.get_ident(), waiter)
        leader = self._leading.setdefault(0, lead)
        if leader is not lead:
            if leader[0] != lead[0]:
                return None
            self._leading[0] = lead  # what the handler of a signal has interrupted cannot go on before he has ended
        self._leads += 1
        if not self._led:
            self._led = True
            self.watch()
        return lead

    def _ask_and_look(self, command: Command, asker: WaitingAsker) -> None:
        """Send the request, and look for the answer without sleeping if it is likely to come at once. *Leader.*"""
        self._way.ask(command, asker)
        if not self._guarding:
            self._start_guard()
        if self.round_trip > _QUICK or self.relay.threads:
            return
        patience = self._take_patience()
        self._look(patience.poll, asker)
        self._patiences.append(patience)

    def _look(self, look: Callable[[int], Any], asker: WaitingAsker) -> None:
        now = time.monotonic()
        over = now + _SPIN
        while not asker.done and now < over:
            if look(0) and not self.readable():
                return
            before, now = now, time.monotonic()
            if now - before > _DISTURBED:
                return

    def _read_for(self, lead: Lead, deadline: float) -> None:
        waiter = lead[1]
        if not self._guarding:
            self._start_guard()
        over = min(deadline, time.monotonic() + _LEAD)
        while not self._behind and not waiter.done and self._way.up:  # in this order
            left = over - time.monotonic()
            if left <= 0 or not self._sleep(left):
                return
            if self._leading.get(0) is not lead or not held(self.readable):
                return

    def _sleep(self, seconds: float) -> bool:
        """Wait for bytes."""
        patience = self._take_patience()
        self._sleeping = True
        ready = patience.poll(seconds * 1000.0)
        self._sleeping = False
        self._patiences.append(patience)
        return bool(ready)

    def _take_patience(self) -> Any:
        """What waits for bytes: one for each who does, as a leader may have been taken over from."""
        try:
            return self._patiences.pop()
        except IndexError:
            system: Any = select  # Windows has no poll, and no leaders either
            patience = system.poll()
            if self._descriptor >= 0:
                patience.register(self._descriptor, system.POLLIN)
            return patience

    def _leave(self, lead: Lead) -> None:
        """Lead no more. The selector thread looks at once, or when nobody has come again for a moment."""
        if self._leading.get(0) is lead:
            self._leading.pop(0, None)
        closely = self._way.heard_at - self._left_at < _CLOSELY
        self._left_at = self._way.heard_at
        if self.relay.runner is not None:
            return  # somebody will be the next leader at once, or the last hands back
        if not closely or not self._way.up:
            self._hand_back()
        elif not self._leasing:
            self._leasing = True
            self._loop.call_at(time.monotonic() + _LEASE, self._end_lease)

    def _relay_over(self) -> None:
        self._way.flush()
        self._hand_back()

    def _hand_back(self) -> None:
        """Let the selector thread read again, unless there is a leader, who will do so on leaving. *Any thread.*"""
        if self._led and not self._leading:
            self._led = False
            self.watch()

    def _end_lease(self) -> None:
        """Nobody leads: if nobody has since the last look, look at the socket. *Engine thread.*"""
        self._leasing = False
        if not self._led:
            return
        if self._leads == self._leased:
            self._hand_back()
        else:
            self._leased = self._leads
            self._leasing = True
            self._loop.call_at(time.monotonic() + _LEASE, self._end_lease)

    def _start_guard(self) -> None:
        self._guarding = True
        self._loop.call_at(time.monotonic() + _GUARD, self._guard)

    def _guard(self) -> None:
        """Take over from a leader who does not come back. *Engine thread.*"""
        lead = self._leading.get(0)
        seen, self._guarded = self._guarded, (lead, self._leads)
        if lead is not None and seen[0] is lead:
            self._leading.pop(0, None)
        if lead is not None or seen[1] != self._leads:
            self._loop.call_at(time.monotonic() + _GUARD, self._guard)
        else:
            self._guarding = False
        if self._guarded == seen:
            self._hand_back()

    # -- the seat ------------------------------------------------------------------------------------------------------

    def unled(self) -> None:
        """Read what the selector thread has seen, unless somebody has begun to lead meanwhile. *Engine thread.*

        He sleeps until there are bytes, and would sleep on if his answer were read behind his back.
        """
        self._behind = True
        if self._leading:
            self._led = True
            self.watch()
            if not self._guarding:
                self._start_guard()
            self._hand_back()  # if he has left by now
        else:
            self.readable()
        self._behind = False

    def readable(self) -> bool:
        """Read once, unless somebody does; false if nothing was read or the connection is over. *Any thread.*"""
        if not self.seat.acquire(blocking=False):
            return False
        try:
            return self._read()
        except BaseException:
            self._tear()
            raise
        finally:
            self._leave_seat()

    def _leave_seat(self) -> None:
        self.seat.release()
        if self._ended:
            self._close_if_free()

    def _tear(self) -> bool:
        self._torn = True
        return self._over(_TORN, reset=True)

    def _read(self) -> bool:
        """Read once and deliver; false if the connection is over. *Caller holds the seat.*"""
        if self._reading:  # whoever read last was interrupted, or has found the end
            return self._tear()
        sock = self._sock
        if sock is None or self._ended:
            return False
        self._reading = True
        core = self._way.core
        space = core.receive_buffer()
        asked = time.monotonic()
        try:
            if space is None:
                data = sock.recv(self._appetite.bytes)
                count = len(data)
            else:
                count = sock.recv_into(space[:_SLICE])
        except (BlockingIOError, InterruptedError):
            self._reading = False
            return True
        except OSError as error:
            if error.errno is None:  # the handler of a signal has raised it, and its user is to see it
                raise
            return self._over(f"read failed: {errno_name(error.errno)}")
        if not count:
            return self._over("closed by the server")
        self.bytes_in += count
        self._way.heard_at = now = time.monotonic()
        self._on_heard(now)
        portions = (count,) if space is not None else self._appetite.portions(data, now - asked)
        understand: Callable[[Any], list[Any]] = core.receive if space is None else core.received
        for portion in portions:
            try:
                with self._way.lock:
                    items = understand(portion)
            except RemoteProtocolError as error:
                self._deliver(error.heard)
                return self._over(f"protocol error: {error}", reset=True)
            self._deliver(self.relay.take(items))
        self.relay.start()
        self._reading = False
        if self._intake is not None:
            self._intake.received(count)
        if self._way.waits:
            self._way.flush()
        return True

    def _deliver(self, items: Iterable[Any]) -> None:
        """Hand items to their owners, each once, whoever closes the circuit meanwhile. *Caller holds the seat.*"""
        batches = self._batches
        if batches is None:
            self._deliver_each(items)
            return
        batches.collect()
        try:
            self._deliver_each(items)
        finally:
            batches.dispatch()

    def _deliver_each(self, items: Iterable[Any]) -> None:
        undelivered = self._undelivered
        undelivered.extend(items)
        while undelivered:
            try:
                self._delivering = item = undelivered.popleft()
            except IndexError:
                break
            owner = item.owner
            if owner is None:
                if type(item) is MixedRun:
                    self._deliver_mixed(item)
                else:
                    self._loop.run(self._on_unowned, item)
                continue
            try:
                owner.receive(item)
            except Exception as error:  # noqa: BLE001  a value that cannot be decoded concerns its owner only
                self._refused(owner, error)
        self._delivering = None

    def _deliver_mixed(self, run: MixedRun) -> None:
        """Hand a run to all its owners at once, if they are of one kind that takes it so; else one by one."""
        kinds = set(map(type, run.owners))
        kind: Any = kinds.pop()
        if kinds or "receive_mixed" not in vars(kind):  # not what it inherits: its own ``receive`` may do otherwise
            self._undelivered.extendleft(reversed(run.commands()))
            return
        try:
            kind.receive_mixed(run)
        except Exception as error:  # noqa: BLE001  as above
            self._loop.report(error)

    def _hand_out(self, items: Iterable[Any]) -> None:
        """Hand their answers to followers. *Any thread.*"""
        for item in items:
            owner = item.owner
            if owner is None:
                continue  # it has been told
            try:
                owner.receive(item)
            except Exception as error:  # noqa: BLE001  as above
                self._refused(owner, error)

    def _refused(self, owner: Any, error: Exception) -> None:
        if hasattr(owner, "fail"):
            owner.fail(error)
        else:
            self._loop.report(error)

    def _over(self, reason: str, reset: bool = False) -> bool:
        """Have the circuit closed; ``_reading`` stays up, so that nobody reads on. *Caller holds the seat.*"""
        self._loop.call_soon(self._on_over, reason, reset)
        return False


__all__ = ["Reader", "WaitingAsker"]
