"""``caclient monitor``: print each event of PVs, as EPICS Base's ``camonitor`` does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from caclient.client.channel import Channel
from caclient.dbr.types import ChannelType, time_type

from . import lines, tool
from .escapes import visible
from .get import count_wanted, line_type
from .objects import reading_line
from .options import Options, Parser
from .output import complain, say
from .session import DISCONNECTED, Event, Events, Readings, Session, deadline_of
from .stamps import NEVER, StampPrinter, stamp_text


def main(program: str, arguments: Sequence[str]) -> int:
    """Run the verb; the exit status."""
    options = Parser(program, complain).monitor(arguments)
    return tool.run("monitor", program, options, monitor)


def monitor(names: Sequence[str], options: Options) -> int:
    """Print events until interrupted."""
    options.live_count = True
    with Session() as session:
        channels = tool.create(session, names, options.priority)
        printer = Printer(channels, options)
        if options.json:
            return monitor_objects(session, channels, options)
        events = session.subscribe(channels, lambda channel: wanted(channel, options), options.mask)
        deadline = deadline_of(options.wait)
        while (event := events.next(deadline)) is not None:
            printer.show(event)
            _tell_gaps(events)
        for place, channel in enumerate(channels):
            if channel.native_type is None:
                say(printer.absent(place))
        while (event := events.next(math.inf)) is not None:
            printer.show(event)
            _tell_gaps(events)
    return 0


def monitor_objects(session: Session, channels: Sequence[Channel], options: Options) -> int:
    """Print events as JSON until interrupted; what is missing, or goes, is told on standard error."""
    events = session.subscribe(channels, lambda channel: (time_type(channel.native_type or 0), 0), options.mask)
    readings = Readings(session, channels, options.wait)
    deadline = deadline_of(options.wait)
    while True:
        event = events.next(deadline)
        if event is None:
            complain(*(f"{visible(one.name)}: not connected" for one in channels if one.native_type is None))
            deadline = math.inf
        elif (reading := readings.take(event)) is None:
            complain(f"{visible(channels[event.place].name)}: disconnected")
        else:
            say(reading_line(reading))
        _tell_gaps(events)


def _tell_gaps(events: Events) -> None:
    """Say so where events had to be left out, because what is printed is read too slowly."""
    if events.left_out:
        complain(f"caclient: {events.left_out} events left out: the output is not read fast enough")
        events.left_out = 0


def wanted(channel: Channel, options: Options) -> tuple[ChannelType, int]:
    """Type and count to subscribe to."""
    native = channel.native_type or ChannelType.STRING
    return line_type(native, options.style), count_wanted(channel.count, options)


class Printer:
    """Events as lines."""

    def __init__(self, channels: Sequence[Channel], options: Options) -> None:
        self._channels = channels
        self._style = options.style
        self._counted = options.count != 0
        self._counts = [0] * len(channels)
        self._stamps = StampPrinter(server=options.server_time, client=options.client_time, kind=options.time_kind)

    def show(self, event: Event) -> None:
        """Print an event."""
        if event.answer is None:
            complain(f"CA.Client.Exception: {DISCONNECTED}: {self._channels[event.place].circuit_name}")
        say(self.line(event))

    def line(self, event: Event) -> str:
        """An event as its line."""
        place, answer = event.place, event.answer
        name = self._channels[place].name
        if answer is None:
            moment = stamp_text(event.moment)
            return lines.note_line(name, self._counts[place], lines.DISCONNECTED, self._style, moment)
        self._counts[place] = answer.count
        stamp = (answer.metadata and answer.metadata.stamp) or NEVER
        column = self._stamps.text(place, stamp, event.moment)
        return lines.full_line(name, column, answer, self._style, self._counted)

    def absent(self, place: int) -> str:
        """The line of a PV that has never been there."""
        return lines.note_line(self._channels[place].name, 0, lines.NOT_FOUND, self._style)
