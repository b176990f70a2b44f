"""The forms of several lines: what ``get -d`` and ``info`` print for a PV."""

from __future__ import annotations

from caclient.dbr.metadata import Metadata
from caclient.dbr.types import LAYOUTS, ChannelType

from .escapes import from_raw, visible
from .formats import Answer, Style, as_characters, float_text, value_texts
from .lines import severity_text, status_text
from .stamps import stamp_text

_LABEL_WIDTH = 18
_INDENT = "    "
_CONTINUED = " " * (len(_INDENT) + _LABEL_WIDTH)
_ALARM_LIMITS = (
    ("Lo disp limit", "lower_disp_limit"),
    ("Hi disp limit", "upper_disp_limit"),
    ("Lo alarm limit", "lower_alarm_limit"),
    ("Lo warn limit", "lower_warning_limit"),
    ("Hi warn limit", "upper_warning_limit"),
    ("Hi alarm limit", "upper_alarm_limit"),
)
_CONTROL_LIMITS = (("Lo ctrl limit", "lower_ctrl_limit"), ("Hi ctrl limit", "upper_ctrl_limit"))


def dbr_name(data_type: ChannelType) -> str:
    """A request type as the tools call it: SHORT, not INT."""
    return "DBR_" + _name(data_type)


def dbf_name(native: ChannelType) -> str:
    """A native type as the tools call it."""
    return "DBF_" + _name(native)


def _name(data_type: ChannelType) -> str:
    return data_type.name.replace("INT", "SHORT")


def request_type(text: str) -> ChannelType | None:
    """The type of such a name, with or without ``DBR_``; None if it is none, or none that can be read."""
    return _BY_NAME.get(text, _BY_NAME.get("DBR_" + text))


_BY_NAME = {
    dbr_name(layout.data_type): layout.data_type
    for layout in LAYOUTS
    if layout.data_type not in (ChannelType.PUT_ACKT, ChannelType.PUT_ACKS)
}


def answer_block(name: str, native: ChannelType, answer: Answer, style: Style, counted: bool) -> list[str]:
    """The lines of ``get -d`` for an answer."""
    lines = [
        visible(name),
        _line("Native data type", dbf_name(native)),
        _line("Request type", dbr_name(answer.data_type)),
    ]
    if answer.data_type == ChannelType.CLASS_NAME:
        return [*lines, _line("Class Name", value_texts(answer, style)[0])]
    text = as_characters(answer, style, counted)
    if text is None:
        text = style.separator.join(value_texts(answer, style))
    lines += [_line("Element count", str(answer.count)), _line("Value", text)]
    return lines if answer.metadata is None else [*lines, *_metadata_lines(answer.data_type, answer.metadata)]


def note_block(name: str, note: str) -> list[str]:
    """The lines of ``get -d`` where there is no answer."""
    return [visible(name), _INDENT + note]


def info_block(
    name: str, state: str, host: str, access: tuple[bool, bool], native: ChannelType, count: int
) -> list[str]:
    """The lines of ``info``."""
    can_read, can_write = access
    return [
        visible(name),
        _line("State", state),
        _line("Host", host),
        _line("Access", f"{'' if can_read else 'no '}read, {'' if can_write else 'no '}write"),
        _line("Native data type", dbf_name(native)),
        _line("Request type", dbr_name(native)),
        _line("Element count", str(count)),
    ]


def unknown_block(name: str, state: str) -> list[str]:
    """The lines of ``info`` for a PV of which nothing is known."""
    return [visible(name), _line("State", state)]


def _line(label: str, text: str) -> str:
    return f"{_INDENT}{label + ':':<{_LABEL_WIDTH}}{text}"


def _metadata_lines(data_type: ChannelType, metadata: Metadata) -> list[str]:
    lines = []
    if metadata.stamp is not None:
        lines.append(_line("Timestamp", stamp_text(metadata.stamp)))
    lines += [_line("Status", status_text(metadata.status)), _line("Severity", severity_text(metadata.severity))]
    if metadata.ackt is not None:
        lines.append(_line("Ack transient?", "YES" if metadata.ackt else "NO"))
        lines.append(_line("Ack severity", severity_text(metadata.acks)))
    if metadata.units is not None:
        lines.append(_line("Units", visible(from_raw(metadata.units))))
    if metadata.precision is not None:
        lines.append(_line("Precision", str(metadata.precision)))
    return lines + _limit_lines(data_type, metadata) + _state_lines(metadata)


def _limit_lines(data_type: ChannelType, metadata: Metadata) -> list[str]:
    native = LAYOUTS[data_type].native
    limits = [(label, getattr(metadata, name)) for label, name in _ALARM_LIMITS + _CONTROL_LIMITS]
    return [_line(label, _limit_text(native, value)) for label, value in limits if value is not None]


def _limit_text(native: ChannelType, value: float) -> str:
    if native in (ChannelType.FLOAT, ChannelType.DOUBLE):
        return float_text(value)
    if native == ChannelType.CHAR and value > 127:
        value -= 256
    return f"{value:8d}"


def _state_lines(metadata: Metadata) -> list[str]:
    names = metadata.enum_strings
    if names is None:
        return []
    numbered = [f"{_CONTINUED}[{number:2d}] {visible(from_raw(name))}" for number, name in enumerate(names)]
    return [_line("Enums", f"({len(names):2d})"), *numbered]
