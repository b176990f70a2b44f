"""JSON, one object a line: for programs that read what this command prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from caclient.client.channel import Channel
from caclient.dbr.reading import Reading

from .escapes import visible
from .output import complain, say
from .session import NoAnswer


def object_line(facts: Mapping[str, Any]) -> str:
    """Facts as one line; whatever is no ASCII is escaped."""
    return json.dumps(facts, allow_nan=False)


def reading_line(reading: Reading) -> str:
    """A reading as one line."""
    return object_line(reading.to_dict())


def print_readings(channels: Sequence[Channel], readings: Sequence[Reading | NoAnswer]) -> bool:
    """A line for each reading; for those that are none a word on standard error. Whether all are there."""
    for channel, reading in zip(channels, readings, strict=True):
        if isinstance(reading, NoAnswer):
            complain(f"{visible(channel.name)}: {reading.words}")
        else:
            say(reading_line(reading))
    return not any(isinstance(reading, NoAnswer) for reading in readings)
