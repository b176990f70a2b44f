"""Writing to a PV: sent at once, or begun and told when it is done."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from typing_extensions import Never

from caclient.client import put
from caclient.client.arguments import by_name, surplus, unknown
from caclient.client.completion import Begun, Put
from caclient.client.progress import Progress
from caclient.client.properties import fetch, want
from caclient.client.standing import State as ChannelState
from caclient.client.tenancy import HeldPV
from caclient.client.timeout import DEFAULT, Timeout
from caclient.dbr import ChannelType
from caclient.dbr.put import Form, may_be_no_state, put_form
from caclient.errors import CAError, shorten
from caclient.settings import flag


class WrittenPV(HeldPV):
    """A PV that is written to."""

    __slots__ = ("_begun",)

    _begun: Begun | None
    """The puts that have begun."""

    @by_name
    def put(self, value: Any, *more: Never, wait: bool = False, timeout: Timeout = DEFAULT, **others: Never) -> None:
        """Write a value. Sent at once; with *wait*, returns when the record has finished processing. *Any thread.*

        A number, text, a list or array, a ``Reading``, a state's name. Text goes to a number or a state as text, which
        the IOC converts; to an array of CHAR it goes as characters.

        :param timeout: seconds for the connection and, if given, for the completion too, which otherwise is waited for
            as long as it takes.
        :raises AccessDeniedError: no write access; ``ReadOnlyError``: not with this context. Nothing was sent.
        :raises BadValueError: the value cannot be put there; nothing was sent.
        :raises CATimeoutError: not connected, or not completed, in time.
        :raises DisconnectedError: the connection was lost before the completion.
        :raises ChannelAccessError: the record refused it (only with *wait*; otherwise a refusal is logged).
        """
        if more:
            raise surplus("PV.put", 1, more, "wait")
        if others:
            raise unknown("PV.put", WrittenPV.put, others)
        if type(wait) is not bool:
            flag("wait", wait)  # type: ignore[unreachable]  # for those who check no types
        try:
            self._put(value, wait, timeout)
        except CAError as error:
            shorten(error)
            raise

    def _put(self, value: Any, wait: bool, timeout: Timeout) -> None:
        channel = self._writable_channel()
        limit = self._limit(timeout)
        deadline = time.monotonic() + limit
        begun = self._begun
        if begun is not None and begun.waits and not begun.await_all(deadline):
            raise channel.unready(limit)
        if channel.state is not ChannelState.READY:
            channel.require(deadline)
        data_type, count, data = self._form(value, deadline)
        if not wait:
            put.send(channel, data_type, count, data, deadline)
            return
        completion = math.inf if timeout is DEFAULT else deadline
        with Progress(lambda: f"{self.pvname}: put, the record is processing"):
            put.send_and_wait(channel, data_type, count, data, deadline, completion)

    def begin_put(self, value: Any) -> Put:
        """Begin to write a value, and go on at once; the result is a standard future of its completion. *Any thread.*

        Without a connection it waits for one, as long as the PV's timeout, in order with all other puts of this PV.

        :raises BadValueError: the value cannot be put there; nothing was sent.
        """
        channel = self._writable_channel()
        if channel.runtime.closed:
            raise channel.ended("")
        begun = self._own_begun()
        if isinstance(value, np.ndarray):
            value = value.copy()  # it may be sent later
        form = self._form(value, 0.0) if channel.connected else None
        begun_put = Put(self, (lambda: self._form(value, 0.0)) if form is None else (lambda: form), begun.lane)
        if channel.connected and not begun.waits:
            begun_put._send(channel)
        else:
            begun.add(begun_put, time.monotonic() + self._limit(DEFAULT))
        return begun_put

    def _own_begun(self) -> Begun:
        """The puts of this PV that have begun."""
        channel = self._channel
        channel.runtime.wake()
        while self._begun is None:
            made = Begun(channel)
            with channel.runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self._begun is None:
                    self._begun = made
            if self._begun is made:
                while not channel.join(made, channel.dependents):
                    pass
        return self._begun

    def _form(self, value: Any, deadline: float) -> Form:
        """In which type and count a value is sent; for other states than 0 and 1 the names are fetched until then."""
        channel = self._channel
        if channel.form is None:
            raise channel.unready(time.monotonic() - channel.since)
        native, count = channel.form
        control = channel.control
        if control is None and native == ChannelType.ENUM and may_be_no_state(value):
            if deadline and channel.can_read:
                control = fetch(channel, deadline)
            else:
                want(channel)
        return put_form(channel.name, native, count, () if control is None else control.enum_strs, value)
