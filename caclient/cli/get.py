"""``caclient get``: read and print PVs, as EPICS Base's ``caget`` does."""

from __future__ import annotations

from collections.abc import Sequence

from caclient.client.channel import Channel
from caclient.dbr.types import ChannelType, time_type

from . import lines, tool
from .blocks import answer_block, note_block
from .formats import Answer, Style
from .objects import print_readings
from .options import Form, Options, Parser
from .output import complain, say
from .session import NoAnswer, Question, Session, filled, refusal_report, zeros
from .stamps import present, stamp_text

READ_TIMED_OUT = "Read operation timed out: some PV data was not read."


def main(program: str, arguments: Sequence[str]) -> int:
    """Run the verb; the exit status."""
    options = Parser(program, complain).get(arguments)
    return tool.run("get", program, options, get)


def get(names: Sequence[str], options: Options) -> int:
    """Read all PVs at once and print them in the order given; 1 if any was not there, or did not answer."""
    with Session() as session:
        channels = tool.create(session, names, options.priority)
        missing = not session.connect(channels, options.wait)
        if missing:
            complain(tool.not_found(names))
        if not any(channel.connected for channel in channels):
            return 1
        if options.json:
            found = print_readings(channels, session.readings(channels, options.wait))
            return 0 if found and not missing else 1
        questions = [Question(channel, *wanted(channel, options)) for channel in channels]
        answers = session.ask(questions, options.wait)
        printed = [Printed(*pair, options) for pair in zip(questions, answers, strict=True)]
        complain(*(line for one in printed for line in one.complaints()))
        if any(one.unread for one in printed):
            complain(READ_TIMED_OUT)
        for one in printed:
            say(*one.lines())
    return 1 if missing or any(one.failed for one in printed) else 0


def wanted(channel: Channel, options: Options) -> tuple[ChannelType, int]:
    """Type and count to ask a channel for."""
    native = channel.native_type or ChannelType.STRING
    data_type = options.data_type if options.form is Form.TYPED else None
    if data_type is None:
        data_type = line_type(native, options.style)
    return data_type, count_wanted(channel.count, options)


def line_type(native: ChannelType, style: Style) -> ChannelType:
    """The type of which lines are made: with a time stamp; states, and numbers if wanted, as the server's text."""
    if native == ChannelType.ENUM:
        return ChannelType.TIME_SHORT if style.states_as_numbers else ChannelType.TIME_STRING
    if style.floats_as_strings and native in (ChannelType.FLOAT, ChannelType.DOUBLE):
        return ChannelType.TIME_STRING
    return time_type(native)


def count_wanted(native_count: int, options: Options) -> int:
    """Elements to ask for: 0 is whatever there is."""
    if options.count == 0:
        return 0 if options.live_count else native_count
    return native_count if options.count < 0 else min(options.count, native_count)


class Printed:
    """One PV as it is printed: its answer, or why there is none, in the form that the options choose."""

    def __init__(self, question: Question, answer: Answer | NoAnswer, options: Options) -> None:
        self._channel = question.channel
        self._question = question
        self._options = options
        self._told = isinstance(answer, NoAnswer) and answer.reason == "refused" and not options.live_count
        if isinstance(answer, NoAnswer):
            self.unread = answer.reason != "disconnected"
            self.failed = answer.reason in ("timeout", "disconnected")
            self._refusal = answer.text
            self._note = _note(answer)
            self._answer = zeros(question.data_type, question.count)
        else:
            self.unread = self.failed = False
            self._note = self._refusal = ""
            self._answer = answer if options.live_count else filled(answer, question.count)
        if self._told:
            self._note = ""  # the tools print the zeros that they had laid out for the answer

    def complaints(self) -> list[str]:
        """What is to be said beside it."""
        return [refusal_report("read", self._question, self._refusal)] if self._told else []

    def lines(self) -> list[str]:
        """The lines to print."""
        form, style, counted = self._options.form, self._options.style, self._options.count != 0
        name, count = self._channel.name, self._question.count
        if form is Form.TYPED:
            if self._note:
                return note_block(name, self._note)
            native = self._channel.native_type or ChannelType.STRING
            return answer_block(name, native, self._answer, style, counted)
        if form is Form.TERSE:
            return [self._note or lines.values_text(self._answer, style, counted)]
        if form is Form.ALL:
            if self._note:
                return [lines.note_line(name, count, self._note, style, stamp_text(present()))]
            return [lines.full_line(name, lines.server_stamp(self._answer), self._answer, style, counted)]
        if self._note:
            return [lines.note_line(name, count, self._note, style)]
        return [lines.plain_line(name, self._answer, style, counted)]


def _note(answer: NoAnswer) -> str:
    if answer.reason == "refused":
        return f"*** CA error {answer.text}"
    return {"access": lines.NO_READ_ACCESS, "timeout": lines.NO_DATA}.get(answer.reason, lines.NOT_CONNECTED)
