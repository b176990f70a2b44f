"""``caclient info``: where PVs are served and what they are, as EPICS Base's ``cainfo`` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caclient.client.channel import Channel
from caclient.dbr.types import ChannelType

from . import tool
from .blocks import info_block, unknown_block
from .names import collect
from .objects import object_line
from .options import Options, Parser
from .output import complain, say
from .session import Session


def main(program: str, arguments: Sequence[str]) -> int:
    """Run the verb; the exit status."""
    options = Parser(program, complain).info(arguments)
    if options.interest and options.call is None:
        return report(collect(options.words, options.from_files), options)
    return tool.run("info", program, options, info)


def info(names: Sequence[str], options: Options) -> int:
    """Print a block for each PV; 1 if any is not there."""
    with Session() as session:
        channels = tool.create(session, names, options.priority)
        missing = not session.connect(channels, options.wait)
        if missing:
            complain(tool.not_found(names))
        if not any(channel.connected for channel in channels):
            return 1
        for channel in channels:
            say(*([object_line(_facts(session, channel))] if options.json else _block(session, channel)))
    return 1 if missing else 0


def report(names: Sequence[str], options: Options) -> int:
    """Print what the client itself knows: circuits, channels, searches."""
    with Session() as session:
        channels = tool.create(session, names, options.priority)
        missing = bool(channels) and not session.connect(channels, options.wait)
        if missing:
            complain(tool.not_found(names))
        else:
            say(session.report())
    return 1 if missing else 0


def _block(session: Session, channel: Channel) -> list[str]:
    if not channel.connected:
        return unknown_block(channel.name, "never connected")
    native = channel.native_type or ChannelType.STRING
    access = (channel.can_read, channel.can_write)
    return info_block(channel.name, "connected", session.host_name(channel), access, native, channel.count)


def _facts(session: Session, channel: Channel) -> dict[str, Any]:
    native = channel.native_type
    return {
        "pvname": channel.name,
        "connected": channel.connected,
        "host": session.host_name(channel) if channel.connected else None,
        "read_access": channel.can_read,
        "write_access": channel.can_write,
        "type": None if native is None else native.name.lower(),
        "count": channel.count,
    }
