"""``caclient put``: write a PV and print its value before and after, as EPICS Base's ``caput`` does."""

from __future__ import annotations

from collections.abc import Sequence

from caclient.client.channel import Channel
from caclient.dbr.types import ChannelType

from . import tool, values
from .get import Printed, count_wanted, line_type
from .options import Form, Options, Parser, UsageError
from .output import complain, error_word, say
from .session import NoAnswer, PutFailed, Question, Session

READ_TIMED_OUT = "Read operation timed out: PV data was not read."
STATES_TIMED_OUT = "Read operation timed out: ENUM data was not read."
WRITE_TIMED_OUT = "Write callback operation timed out"


def main(program: str, arguments: Sequence[str]) -> int:
    """Run the verb; the exit status."""
    options = Parser(program, complain).put(arguments)
    if options.call is not None:
        return tool.answer_call("put", program, options.call)
    if len(options.words) < 2:
        missing = "value" if options.words else "pv name"
        raise UsageError(f"No {missing} specified. ('{program} -h' for help.)")
    return put(options.words[0], options.words[1:], options)


def put(name: str, words: Sequence[str], options: Options) -> int:
    """Write and print; 1 if nothing was written, or the completion was not seen in time."""
    options.count = 0  # accepted, and of no effect
    with Session() as session:
        channels = tool.create(session, [name], options.priority)
        if not session.connect(channels, options.wait):
            complain(tool.not_found([name]))
            return 1
        channel = channels[0]
        try:
            value = _value(session, channel, words, options)
        except values.BadState as error:
            complain(*error.warnings, str(error))
            return 1
        complain(*value.warnings)
        status = _write(session, channel, value, options)
        session.settle()
    return status


def _value(session: Session, channel: Channel, words: Sequence[str], options: Options) -> values.Value:
    """What is to be sent; for states after asking for their names."""
    elements = values.elements(words, options.as_array)
    if channel.native_type == ChannelType.ENUM:
        (answer,) = session.ask([Question(channel, ChannelType.GR_ENUM, 1)], options.wait)
        if isinstance(answer, NoAnswer) and answer.reason in ("timeout", "disconnected"):
            raise values.BadState(STATES_TIMED_OUT)
        metadata = None if isinstance(answer, NoAnswer) else answer.metadata
        names = (metadata and metadata.enum_strings) or ()
        as_numbers = options.style.states_as_numbers
        return values.states(elements, names, as_numbers=as_numbers, by_name=options.states_by_name)
    if options.style.characters_as_text:
        return values.characters(elements[0])
    return values.strings(elements)


def _write(session: Session, channel: Channel, value: values.Value, options: Options) -> int:
    terse = options.form is Form.TERSE
    if not terse:
        _show(session, channel, "Old : ", options)
    completed = True
    try:
        if options.completion:
            completed = session.put_and_wait(channel, value.data_type, value.data, options.wait)
        else:
            session.put(channel, value.data_type, value.data)
    except PutFailed as error:
        occasion = "occured writing data" if error.sent else "from put operation"
        complain(f"{error_word()} {occasion}: {error}")
        return 1
    if not completed:
        complain(WRITE_TIMED_OUT)
    _show(session, channel, "" if terse else "New : ", options)
    return 0 if completed else 1


def _show(session: Session, channel: Channel, label: str, options: Options) -> None:
    """Read the PV and print its line."""
    native = channel.native_type or ChannelType.STRING
    question = Question(channel, line_type(native, options.style), count_wanted(channel.count, options))
    (answer,) = session.ask([question], options.wait)
    printed = Printed(question, answer, options)
    complain(*printed.complaints())
    if printed.unread:
        complain(READ_TIMED_OUT)
    say(*(label + line for line in printed.lines()))
