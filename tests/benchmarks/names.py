"""The PVs that the benchmark's servers have."""

from __future__ import annotations

PUT = "bench:put"
WAVEFORM = "bench:wave"
WAVEFORM_COUNT = 1_000_000
TICK_COUNT = 501
CAMERA = "flood:camera"


def scalars(count: int) -> list[str]:
    """Passive records of the IOC; the value of number i is i."""
    return [f"bench:s{i}" for i in range(count)]


def ticks(count: int) -> list[str]:
    """Records of the IOC that change ten times a second while its clock is on."""
    return [f"bench:tick{i}" for i in range(count)]


def floods(count: int) -> list[str]:
    """Scalars of the flood server, updated as fast as the circuit takes them."""
    return [f"flood:s{i}" for i in range(count)]
