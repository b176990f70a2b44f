"""Spectra out of areaDetector."""

from __future__ import annotations

from typing import Any

import numpy as np

from caclient.pyepics.ca import poll
from caclient.pyepics.device import Device
from caclient.pyepics.pv import get_pv

from .counts import between

MAX_CHAN = 4096
MAX_ROIS = 48
TOOMANY_ROIS = f"Too many ROIS, only {MAX_ROIS} ROIS allowed."


class ADMCAROI(Device):
    """A region of a spectrum."""

    _attrs: Any = ("Use", "Name", "MinX", "SizeX", "BgdWidth", "SetBgdWidth", "Total_RBV", "Net_RBV")
    _aliases: Any = {"left": "MinX", "width": "SizeX", "name": "Name"}  # noqa: RUF012
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "data_pv", "bgr_width", "_init", "_aliases", "_mutable", "_nonpvs")

    def __init__(
        self, prefix: str, roi: int = 1, bgr_width: int = 3, data_pv: Any = None, with_poll: bool = False
    ) -> None:
        self.__dict__.update(bgr_width=bgr_width, data_pv=None)
        super().__init__(f"{prefix}:{roi}", delim=":", attrs=self._attrs, aliases=self._aliases, with_poll=with_poll)
        self.__dict__["data_pv"] = get_pv(data_pv) if isinstance(data_pv, str) else data_pv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.MinX == other.MinX

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return id(self)

    def __lt__(self, other: Any) -> bool:
        return bool(self.MinX < other.MinX)

    def __le__(self, other: Any) -> bool:
        return bool(self.MinX <= other.MinX)

    def __gt__(self, other: Any) -> bool:
        return bool(self.MinX > other.MinX)

    def __ge__(self, other: Any) -> bool:
        return bool(self.MinX >= other.MinX)

    def __repr__(self) -> str:
        return f"<ADMCAROI {self._prefix}, name='{self.Name}', left={self.MinX}, right={self.get_right()}>"

    def get_right(self) -> Any:
        """The last channel."""
        return self.MinX + self.SizeX

    def set_right(self, val: Any) -> None:
        """Move the last channel."""
        self.put("SizeX", val - self.MinX)

    def get_center(self) -> int:
        """The channel in the middle."""
        return int(round(self.MinX + self.SizeX / 2.0))  # noqa: RUF046  numpy rounds to floats

    def set_center(self, val: Any) -> None:
        """Move the whole region."""
        self.put("MinX", round(val - self.SizeX / 2.0))

    right = property(get_right, set_right)
    center = property(get_center, set_center)

    def clear(self) -> None:
        """No region any more."""
        self.put("Name", "")
        self.put("MinX", 0)
        self.put("SizeX", 0)

    def get_counts(self, data: Any = None, net: bool = False) -> float:
        """Counts of this region in a spectrum, or in the present one."""
        if data is None and self.data_pv is not None:
            data = self.data_pv.get()
        if data is None:
            return 0.0
        low = int(self.MinX)
        return between(data, low, low + int(self.SizeX), self.bgr_width, net)


class ADMCA(Device):
    """A spectrum of areaDetector, with its regions."""

    _attrs: Any = ("AcquireTime", "Acquire", "NumImages")
    _nonpvs: Any = "_prefix _pvs _delim _roi_prefix _npts _nrois rois _nonpvs _calib _init _aliases _mutable".split()
    _calib: Any = (0.0, 0.01, 0.0)

    def __init__(
        self, prefix: str, data_pv: Any = None, nrois: int | None = None, roi_prefix: str | None = None
    ) -> None:
        self.__dict__.update(_roi_prefix=roi_prefix, _nrois=MAX_ROIS if nrois is None else nrois, rois=[])
        super().__init__(prefix, delim="", attrs=self._attrs)
        if data_pv is not None:
            self._pvs["VAL"] = get_pv(data_pv) if isinstance(data_pv, str) else data_pv
        if roi_prefix is not None:
            self.get_rois()

    def start(self) -> Any:
        """Begin."""
        return self.put("Acquire", 1)

    def stop(self) -> Any:
        """Stop."""
        return self.put("Acquire", 0)

    def get_calib(self) -> Any:
        """Offset, slope and quadratic term of the energy."""
        return self._calib

    def get_energy(self) -> Any:
        """The energy of each channel."""
        channels = np.arange(self._pvs["VAL"].nelm if "VAL" in self._pvs else MAX_CHAN)
        offset, slope, quadratic = self._calib
        return offset + channels * (slope + channels * quadratic)

    def _all_rois(self, nrois: int | None) -> list[ADMCAROI]:
        if self._roi_prefix is None:
            return []
        count = self._nrois if nrois is None else nrois
        data = self._pvs.get("VAL")
        made = [ADMCAROI(self._roi_prefix, roi=index + 1, data_pv=data) for index in range(count)]
        poll()
        return made

    def get_rois(self, nrois: int | None = None) -> list[ADMCAROI]:
        """The regions that are set."""
        found = [roi for roi in self._all_rois(nrois) if (roi.Name or "").strip() and roi.SizeX]
        self.__dict__["rois"] = found
        return found

    def sort_rois(self) -> None:
        """Have the regions in the order of their channels."""
        self.set_rois(sorted((roi.Name, roi.MinX, roi.get_right()) for roi in self.get_rois()))

    def del_roi(self, roiname: str) -> None:
        """Remove a region by name."""
        for roi in self.get_rois():
            if roi.Name.strip().lower() == roiname.strip().lower():
                roi.clear()
        self.sort_rois()

    def add_roi(self, roiname: str, lo: int, wid: int | None = None, hi: int | None = None, sort: bool = True) -> None:
        """Set a region, by its width or its last channel."""
        if wid is None and hi is None:
            raise ValueError("a region needs a width, or where it ends")
        end = lo + wid if wid is not None else hi
        regions = [(roi.Name, roi.MinX, roi.get_right()) for roi in self.get_rois() if roi.Name != roiname]
        if len(regions) >= self._nrois:
            raise ValueError(TOOMANY_ROIS)
        regions.append((roiname, lo, end))
        self.set_rois(sorted(regions, key=lambda region: region[1]) if sort else regions)

    def set_rois(self, roidata: Any) -> None:
        """Set all regions: (name, low, high)."""
        regions = list(roidata)
        if len(regions) > self._nrois:
            raise ValueError(TOOMANY_ROIS)
        for index, roi in enumerate(self._all_rois(None)):
            if index < len(regions):
                name, low, high = regions[index]
                roi.put("Name", str(name))
                roi.put("MinX", int(low))
                roi.put("SizeX", int(high - low))
            elif roi.Name:
                roi.clear()
        self.get_rois()

    def clear_rois(self, nrois: int | None = None) -> None:
        """Remove all regions."""
        for roi in self.get_rois(nrois):
            roi.clear()
        self.__dict__["rois"] = []
