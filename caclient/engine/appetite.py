"""How much is read from a circuit at a time, and in which portions it is decoded.

More while much comes, and much more while another thread *crowds* the interpreter. Whoever yields it to that one gets
it back when that has finished its call: a sort of 100 ms, say. A read yields, and so does numpy for more than about 500
rows. So more is read at a time then, and decoded in portions too small for numpy to yield: beside a thread that sorts
lists all the time two to three times as many updates a second came through.
"""

from __future__ import annotations

from typing import Final

CHUNK: Final = 65_536
"""Bytes: no more usually, for larger buffers are mapped anew by the C library, which takes as long as a read."""
FLOOD: Final = 262_144
"""Bytes while so much comes; also what one circuit may take before the next has its turn."""
GLUT: Final = 4 * 1024 * 1024
"""Bytes while so much comes and the interpreter is crowded: there is no next turn soon."""
PORTION: Final = 16_384
"""Bytes decoded at a time if it is: fewer than 500 of the smallest updates."""
CROWDED: Final = 0.02
"""Seconds that a read takes at least if another thread has had the interpreter meanwhile, and for long.

A thread that runs Python has it for 5 ms (``sys.getswitchinterval``), and that which makes the callbacks is such a one.
"""


class Appetite:
    """Of one circuit. *The thread that reads it.*"""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = CHUNK
        """How much is to be read the next time."""

    def portions(self, data: bytes, seconds: float) -> tuple[bytes, ...]:
        """What was read, as it is to be decoded; *seconds*: how long the read took."""
        count = len(data)
        crowded = seconds > CROWDED
        if count < CHUNK:
            self.bytes = CHUNK
        elif not crowded:
            self.bytes = FLOOD
        elif count == self.bytes:
            self.bytes = min(4 * count, GLUT)
        if not crowded or count <= PORTION:
            return (data,)
        return tuple(data[start : start + PORTION] for start in range(0, count, PORTION))
