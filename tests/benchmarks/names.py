"""The PVs that the benchmark's servers have."""

from __future__ import annotations

PUT = "bench:put"
WAVEFORM = "bench:wave"
WAVEFORM_COUNT = 1_000_000
TICK_COUNT = 501
CAMERA = "flood:camera"
PACE = 0.01  # seconds between two updates of a paced PV


def scalars(count: int) -> list[str]:
    """Passive records of the IOC; the value of number i is i."""
    return [f"bench:s{i}" for i in range(count)]


def ticks(count: int) -> list[str]:
    """Records of the IOC that change ten times a second while its clock is on."""
    return [f"bench:tick{i}" for i in range(count)]


def paced(count: int) -> list[str]:
    """Scalars of the flood server that change a hundred times a second."""
    return [f"flood:paced{i}" for i in range(count)]


def floods(count: int) -> list[str]:
    """Scalars of the flood server, updated as fast as the circuit takes them."""
    return [f"flood:s{i}" for i in range(count)]
