"""What a test leaves behind: threads, sockets and pipes, child processes.

A snapshot is taken before the test and compared after it. Threads are joined until a deadline first, because a thread
that has been told to end still needs a moment; everything else must be gone by then.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0
_OF_INTEREST = ("socket:", "pipe:", "anon_inode:[event")


@dataclass(frozen=True)
class Snapshot:
    """Threads, open descriptors (by what they are open on) and children of this process at one moment."""

    threads: frozenset[threading.Thread]
    descriptors: Counter[str]
    children: frozenset[int]

    @classmethod
    def now(cls) -> Snapshot:
        return cls(frozenset(threading.enumerate()), _descriptors(), _children())

    def left_behind(self, grace: float = GRACE) -> list[str]:
        """One line for each thing that is here now and was not then; waits up to `grace` seconds for threads to end."""
        threads = self._surviving_threads(time.monotonic() + grace)
        found = self._difference()
        if found:
            gc.collect()  # what only a reference cycle holds open is not left behind
            found = self._difference()
        return [f"thread {thread.name}" for thread in threads] + found

    def _surviving_threads(self, deadline: float) -> list[threading.Thread]:
        new = [thread for thread in threading.enumerate() if thread not in self.threads]
        for thread in new:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread for thread in new if thread.is_alive()]

    def _difference(self) -> list[str]:
        descriptors = [f"descriptor on {target}" for target in (_descriptors() - self.descriptors).elements()]
        return descriptors + [f"child process {pid}: {_command(pid)}" for pid in _children() - self.children]


def _descriptors() -> Counter[str]:
    """What the open descriptors are open on; empty on systems that do not tell."""
    targets: Counter[str] = Counter()
    for entry in _entries("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        if target.startswith(_OF_INTEREST):
            targets[target] += 1
    return targets


def _children() -> frozenset[int]:
    pids: set[int] = set()
    for task in _entries("/proc/self/task"):
        try:
            text = Path(f"/proc/self/task/{task}/children").read_text()
        except OSError:  # the thread has ended since the listing
            continue
        pids.update(map(int, text.split()))
    return frozenset(pids)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200]
    except OSError:
        return "(gone)"


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
