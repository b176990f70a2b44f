"""A Struck multi-channel scaler."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from caclient.pyepics.device import Device
from caclient.pyepics.utils import IOENCODING

from .mca import MCA
from .scaler import Scaler

HEADER = (
    "# Struck MCA data: %s\n# Nchannels, Nmca = %i, %i\n# Time in microseconds\n#----------------------\n# %s\n# %s\n"
)


class Struck(Device):
    """A Struck multi-channel scaler, with its spectra and scaler."""

    attrs: Any = tuple(
        (
            "ChannelAdvance Prescale EraseStart EraseAll StartAll StopAll PresetReal ElapsedReal Dwell Acquiring "
            "NuseAll CurrentChannel CountOnStart SoftwareChannelAdvance Channel1Source ReadAll DoReadAll Model "
            "Firmware"
        ).split()
    )
    _nonpvs: Any = (
        "_prefix",
        "_pvs",
        "_delim",
        "_nchan",
        "clockrate",
        "scaler",
        "mcas",
        "_nonpvs",
        "_init",
        "_aliases",
    )

    def __init__(self, prefix: str, scaler: Any = None, nchan: int = 8, clockrate: float = 50.0) -> None:
        prefix = prefix if prefix.endswith(":") else f"{prefix}:"
        self.__dict__.update(_nchan=nchan, clockrate=clockrate, scaler=None)
        self.__dict__["mcas"] = [MCA(prefix, mca=index + 1, nrois=0) for index in range(nchan)]
        super().__init__(prefix, delim="", attrs=self.attrs)
        if scaler is not None:
            self.__dict__["scaler"] = Scaler(scaler, nchan=nchan) if isinstance(scaler, str) else scaler
        self.__dict__["_mutable"] = False

    def ExternalMode(
        self, countonstart: Any = 0, initialadvance: Any = None, realtime: float = 0, prescale: int = 1
    ) -> Any:
        """Advance by pulses from outside."""
        answer = self.put("ChannelAdvance", 1)
        if self.scaler is not None:
            self.scaler.OneShotMode()
        self.put("Prescale", prescale)
        self.put("PresetReal", realtime)
        if initialadvance is not None:
            self.put("SoftwareChannelAdvance", initialadvance)
        self.put("CountOnStart", countonstart)
        return answer

    def InternalMode(self, prescale: int | None = None) -> Any:
        """Advance by the clock inside."""
        answer = self.put("ChannelAdvance", 0)
        if self.scaler is not None:
            self.scaler.OneShotMode()
        if prescale is not None:
            self.put("Prescale", prescale)
        return answer

    def setPresetReal(self, val: float) -> Any:
        """Seconds of a run."""
        return self.put("PresetReal", val)

    def setDwell(self, val: float) -> Any:
        """Seconds of a channel."""
        return self.put("Dwell", val)

    def AutoCountMode(self) -> None:
        """Have the scaler count again and again."""
        if self.scaler is not None:
            self.scaler.AutoCountMode()

    def start(self) -> Any:
        """Erase, and begin."""
        if self.scaler is not None:
            self.scaler.OneShotMode()
        return self.put("EraseStart", 1)

    def stop(self) -> Any:
        """Stop all."""
        if self.get("Acquiring"):
            self.put("StopAll", 1)
        return self.put("StopAll", 1)

    def erase(self) -> Any:
        """Erase all."""
        return self.put("EraseAll", 1)

    def mcaNread(self, nmca: int = 1) -> Any:
        """How many channels of a spectrum have been read."""
        return self.mcas[nmca - 1].get("NORD")

    def readmca(self, nmca: int = 1, count: int | None = None) -> Any:
        """A spectrum, counted from 1."""
        return self.mcas[nmca - 1].get("VAL", count=count)

    def read_all_mcas(self) -> list[Any]:
        """All spectra."""
        return [self.readmca(nmca=index + 1) for index in range(self._nchan)]

    def saveMCAdata(
        self, fname: str = "Struck.dat", mcas: Any = None, ignore_prefix: str | None = None, npts: int | None = None
    ) -> tuple[int, int]:
        """Write the spectra that have a name to a file, as columns; how many, and of how many points."""
        names, columns = [], []
        for index in mcas if mcas is not None else range(1, self._nchan + 1):
            name = (self.scaler.get(f"NM{index}") if self.scaler is not None else "") or f"MCA{index}"
            if ignore_prefix is None or not name.startswith(ignore_prefix):
                names.append(name.replace(" ", "_"))
                columns.append(np.asarray(self.readmca(nmca=index)))
        points = min([len(column) for column in columns] if npts is None else [npts])
        head = HEADER % (self._prefix, points, len(columns), time.ctime(), " ".join(names))
        with open(fname, "w", encoding=IOENCODING) as file:
            file.write(head)
            file.writelines(
                " ".join(f"{value:9g}" for value in row) + "\n"
                for row in zip(*(column[:points] for column in columns), strict=True)
            )
        return len(columns), points
