"""The one-line forms: ``name value``, the value alone, and name, time stamp, value, alarm."""

from __future__ import annotations

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus
from caclient.dbr.metadata import Metadata

from .escapes import visible
from .formats import Answer, Style, as_characters, value_texts
from .stamps import NEVER, stamp_text

NAME_WIDTH = 30
NO_READ_ACCESS = "*** no read access"
NOT_CONNECTED = "*** not connected"
NOT_FOUND = "*** Not connected (PV not found)"
DISCONNECTED = "*** disconnected"
NO_DATA = "*** no data available (timeout)"


def name_text(name: str, count: int, style: Style) -> str:
    """The name, padded where the line is likely to be read by people: one element, and blanks between the fields."""
    shown = visible(name)
    return f"{shown:<{NAME_WIDTH}}" if count <= 1 and style.separator == " " else shown


def values_text(answer: Answer, style: Style, counted: bool) -> str:
    """All values, with their number before them if there is more than one or it was asked for (*counted*)."""
    text = as_characters(answer, style, counted)
    if text is not None:
        return text
    fields = value_texts(answer, style)
    if counted or answer.count > 1:
        fields = [str(answer.count), *fields]
    return style.separator.join(fields)


def plain_line(name: str, answer: Answer, style: Style, counted: bool) -> str:
    """``name value``."""
    return name_text(name, answer.count, style) + style.separator + values_text(answer, style, counted)


def full_line(name: str, stamp: str, answer: Answer, style: Style, counted: bool) -> str:
    """Name, a time stamp, value, status and severity.

    Without alarm the last two are empty; without elements the value is left out, with its separator.
    """
    metadata = answer.metadata or Metadata()
    alarm = ("", "")
    if metadata.status or metadata.severity:
        alarm = (status_text(metadata.status), severity_text(metadata.severity))
    values = [values_text(answer, style, counted)] if answer.count or counted else []
    return style.separator.join([name_text(name, answer.count, style), stamp, *values, *alarm])


def server_stamp(answer: Answer) -> str:
    """The server's time stamp as text."""
    stamp = answer.metadata and answer.metadata.stamp
    return stamp_text(stamp or NEVER)


def note_line(name: str, count: int, note: str, style: Style, stamp: str = "") -> str:
    """A line that says why there is no value, with a time if there is one."""
    fields = [name_text(name, count, style), *([stamp] if stamp else []), note]
    return style.separator.join(fields)


def status_text(status: int | None) -> str:
    """The name of an alarm's cause."""
    return _STATUSES.get(status or 0, "??")


def severity_text(severity: int | None) -> str:
    """The name of an alarm's severity."""
    return _SEVERITIES.get(severity or 0, "??")


_STATUSES = {int(status): status.name for status in AlarmStatus}
_SEVERITIES = {int(severity): severity.name for severity in AlarmSeverity}
