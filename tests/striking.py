"""Ctrl-C at a chosen bytecode: what a user presses at any time, a test presses at each in turn.

Python looks for signals after a call, where a loop goes round and where a function begins, nowhere else; those are the
places of a sweep. A signal is raised just before the n-th of them that is executed in the watched files, and Python
does the rest, as it would in earnest. For code that claims to survive even more, ``everywhere`` raises
KeyboardInterrupt at the n-th bytecode of any kind.
"""

from __future__ import annotations

import _thread
import dis
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, partial
from types import CodeType, FrameType
from typing import Any

from typing_extensions import Self

_LOOKS = ("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "RESUME")
"""Beginnings of the names of opcodes at which Python looks for signals, in all versions."""

PLACES = 50 if sys.version_info < (3, 12) else 0
"""What a sweep of a call must find more places than; newer Pythons tell a tracer of few, and not always of the same."""


class Strike:
    """A context in which the n-th place is struck; ``struck`` tells whether it came to that, and ``where``."""

    def __init__(
        self,
        number: int,
        watched: str = "/caclient/",
        signum: signal.Signals = signal.SIGINT,
        everywhere: bool = False,
    ) -> None:
        self.left = number
        self.struck = False
        self.where = ""
        self._watched = watched
        self._everywhere = everywhere
        # Looked up with square brackets, which is no call: or else the signal would be seen in here.
        self._bell: defaultdict[str, None] = defaultdict(partial(_thread.interrupt_main, signum))

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *_exception: object) -> None:
        sys.settrace(self._before)

    def _enter_frame(self, frame: FrameType, _event: str, _argument: object) -> Any:
        if self.struck or self._watched not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        places = None if self._everywhere else _places(frame.f_code)
        bell = self._bell

        def trace(frame: FrameType, event: str, _argument: object) -> Any:
            if event == "opcode" and not self.struck and (places is None or frame.f_lasti in places):
                self.left -= 1
                if not self.left:
                    self._note(frame)
                    if places is None:
                        raise KeyboardInterrupt
                    bell["rings"]
            return trace

        return trace

    def _note(self, frame: FrameType) -> None:
        sys.settrace(None)
        self.struck = True
        self.where = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno} {frame.f_code.co_name}"


@cache
def _places(code: CodeType) -> frozenset[int]:
    return frozenset(
        each.offset
        for each in dis.get_instructions(code)
        if each.opname.startswith(_LOOKS) and "INTRINSIC" not in each.opname and "NO_INTERRUPT" not in each.opname
    )


def each_strike(**options: Any) -> Iterator[Strike]:
    """Strikes at the first place, the second, and so on, until one is not reached."""
    number = 0
    while True:
        number += 1
        strike = Strike(number, **options)
        yield strike
        if not strike.struck:
            return
