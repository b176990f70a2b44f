"""Multi-channel analysers."""

from __future__ import annotations

import time
from configparser import ConfigParser
from typing import Any

import numpy as np

from caclient.pyepics.ca import poll
from caclient.pyepics.device import Device
from caclient.pyepics.pv import get_pv
from caclient.pyepics.utils import IOENCODING

from .counts import between
from .filesaver import FileSaver

MAX_ROIS = 32
_POLL = 0.01


class DXP(Device):
    """A channel of a digital X-ray processor."""

    attrs: Any = ()

    def __init__(self, prefix: str, mca: int = 1) -> None:
        super().__init__(f"{prefix}dxp{mca}", delim=":", attrs=self.attrs)


class ROI(Device):
    """A region of a spectrum."""

    _nonpvs: Any = "_prefix _pvs _delim _init _aliases _mutable _nonpvs data_pv bgr_width address attrs".split()
    _aliases: Any = {"left": "LO", "right": "HI", "name": "NM"}  # noqa: RUF012

    def __init__(self, prefix: str, roi: int = 0, bgr_width: int = 3, data_pv: Any = None) -> None:
        self.__dict__.update(address=f"{prefix}.R{roi}", bgr_width=bgr_width, data_pv=None)
        super().__init__(self.address, delim="", attrs=("NM", "LO", "HI"), aliases=self._aliases, with_poll=False)
        self.__dict__["data_pv"] = get_pv(data_pv) if isinstance(data_pv, str) else data_pv
        if self.data_pv is None:
            self.__dict__["data_pv"] = get_pv(f"{prefix}.VAL")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.LO == other.LO

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return id(self)

    def __lt__(self, other: Any) -> bool:
        return bool(self.LO < other.LO)

    def __le__(self, other: Any) -> bool:
        return bool(self.LO <= other.LO)

    def __gt__(self, other: Any) -> bool:
        return bool(self.LO > other.LO)

    def __ge__(self, other: Any) -> bool:
        return bool(self.LO >= other.LO)

    def __repr__(self) -> str:
        return f"<ROI {self.address}, name='{self.NM}', left={self.LO}, right={self.HI}>"

    @property
    def total(self) -> float:
        """Counts."""
        return self.get_counts()

    @property
    def sum(self) -> float:
        """Counts."""
        return self.get_counts()

    @property
    def net(self) -> float:
        """Counts less the background."""
        return self.get_counts(net=True)

    @property
    def center(self) -> int:
        """The channel in the middle."""
        return int(round(self.HI + self.LO) / 2.0)

    @property
    def width(self) -> int:
        """How many channels."""
        return int(round(self.HI - self.LO))  # noqa: RUF046  numpy rounds to floats

    def clear(self) -> None:
        """No region any more."""
        self.put("NM", "")
        self.put("LO", -1)
        self.put("HI", -1)

    def get_counts(self, data: Any = None, net: bool = False) -> float:
        """Counts of this region in a spectrum, or in the present one."""
        if data is None:
            data = self.data_pv.get()
        low, high = int(self.LO), int(self.HI)
        return 0.0 if low < 0 or high < low else between(data, low, high, self.bgr_width, net)


class MCA(Device):
    """A multi-channel analyser, with its regions."""

    _attrs: Any = ("CALO CALS CALQ TTH EGU PRTM PLTM ACQG ERTM ELTM IRTM CHAS NUSE ERAS STRT STOP ERST").split()
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "_npts", "_init", "_aliases", "_mutable", "_nonpvs", "rois", "_nrois")

    def __init__(self, prefix: str, mca: int | None = None, nrois: int | None = None, data_pv: Any = None) -> None:
        if isinstance(mca, int):
            prefix = f"{prefix}mca{mca}"
        prefix = prefix.removesuffix(".")
        self.__dict__.update(rois=[], _nrois=nrois, _npts=None)
        super().__init__(prefix, delim=".", attrs=self._attrs, with_poll=False)
        self._pvs["VAL"] = get_pv(f"{prefix}.VAL" if data_pv is None else data_pv, auto_monitor=False)

    def get_rois(self, nrois: int | None = None) -> list[ROI]:
        """The regions that are set."""
        count = nrois or self._nrois or MAX_ROIS
        prefix = self._prefix.removesuffix(".")
        data = self._pvs.get("VAL")
        rois = [ROI(prefix, roi=index, data_pv=data) for index in range(count)]
        poll()
        self.__dict__["rois"] = [roi for roi in rois if roi.NM not in (None, "") and (roi.HI or 0) > 0]
        return list(self.rois)

    def del_roi(self, roiname: str) -> None:
        """Remove a region by name."""
        self.get_rois()
        left = [(roi.NM, roi.LO, roi.HI) for roi in self.rois if roi.NM.strip().lower() != roiname.strip().lower()]
        self.set_rois(left)

    def add_roi(self, roiname: str, lo: int = -1, hi: int = -1, calib: Any = None) -> None:
        """Set a region, or change the one of that name."""
        if lo < 0 or hi < 0:
            return
        self.get_rois()
        kept = [(roi.NM, roi.LO, roi.HI) for roi in self.rois if roi.NM.strip().lower() != roiname.strip().lower()]
        self.set_rois([*kept, (roiname, lo, hi)], calib=calib)

    def set_rois(self, rois: Any, calib: Any = None) -> None:
        """Set all regions: (name, low, high), or objects with these; *calib*: low and high are energies there."""
        regions = sorted((_region(roi) for roi in rois), key=lambda region: region[1])
        self.clear_rois(self._nrois)
        prefix = self._prefix.removesuffix(".")
        made = []
        for index, (name, low, high) in enumerate(regions):
            if calib is not None:
                offset, slope, _ = self.get_calib()
                low = round((calib[0] + calib[1] * low - offset) / slope)
                high = round((calib[0] + calib[1] * high - offset) / slope)
            roi = ROI(prefix, roi=index, data_pv=self._pvs.get("VAL"))
            roi.put("NM", str(name).strip())
            roi.put("LO", int(low))
            roi.put("HI", int(high))
            made.append(roi)
        self.__dict__["rois"] = made

    def clear_rois(self, nrois: int | None = None) -> None:
        """Remove all regions."""
        for roi in self.get_rois(nrois):
            roi.clear()
        self.__dict__["rois"] = []

    def get_calib(self) -> list[Any]:
        """Offset, slope and quadratic term of the energy."""
        return [self.get(attr) for attr in ("CALO", "CALS", "CALQ")]

    def get_energy(self) -> Any:
        """The energy of each channel."""
        channels = np.arange(self._pvs["VAL"].nelm or 2048)
        offset, slope, quadratic = self.get_calib()
        return offset + channels * (slope + channels * quadratic)


def _region(roi: Any) -> tuple[Any, Any, Any]:
    return (roi.NM, roi.LO, roi.HI) if isinstance(roi, ROI) else tuple(roi)


class MultiXMAP(FileSaver, Device):
    """Several xMAP channels, with the plugin that saves their spectra."""

    attrs: Any = (
        "PresetReal Dwell Acquiring EraseStart StopAll PresetMode PixelsPerBuffer_RBV NextPixel PixelsPerRun "
        "Apply AutoApply CollectMode SyncCount BufferSize_RBV"
    ).split()
    pathattrs: Any = tuple(
        (
            "FilePath FileTemplate FileWriteMode FileName FileNumber FullFileName_RBV Capture NumCapture "
            "WriteFile_RBV AutoSave EnableCallbacks ArraySize0_RBV FileTemplate_RBV FileName_RBV AutoIncrement"
        ).split()
    )
    _nonpvs: Any = "_prefix _pvs _delim filesaver _nonpvs _init _aliases _mutable pathattrs nmca dxps mcas".split()

    def __init__(self, prefix: str, filesaver: str = "netCDF1:", nmca: int = 4) -> None:
        self.__dict__.update(filesaver=filesaver, nmca=nmca)
        super().__init__(prefix, delim="", attrs=self.attrs, with_poll=False)
        for attr in self.pathattrs:
            self.add_pv(f"{prefix}{filesaver}{attr}", attr=f"{filesaver}{attr}")
        self.__dict__["dxps"] = [DXP(prefix, mca=index + 1) for index in range(nmca)]
        self.__dict__["mcas"] = [MCA(prefix, mca=index + 1) for index in range(nmca)]
        poll()

    def get_calib(self) -> list[Any]:
        """The calibration of each spectrum."""
        return [mca.get_calib() for mca in self.mcas]

    def get_rois(self) -> list[Any]:
        """The regions of each spectrum."""
        return [mca.get_rois() for mca in self.mcas]

    def roi_calib_info(self) -> list[str]:
        """Lines that describe regions and calibration."""
        return roi_lines(self.get_rois(), self.get_calib())

    def restore_rois(self, roifile: str) -> None:
        """Set the regions that such lines describe."""
        for index, regions in read_rois(roifile, len(self.mcas)):
            self.mcas[index].set_rois(regions)

    def Write_CurrentConfig(self, filename: str | None = None) -> None:
        """Write the regions and the calibration to a file."""
        path = "xmap.ini" if filename is None else filename
        with open(path, "w", encoding=IOENCODING) as file:
            file.write("\n".join(self.roi_calib_info()) + "\n")

    def start(self) -> Any:
        """Erase, and begin."""
        return self.put("EraseStart", 1)

    def stop(self) -> Any:
        """Stop all."""
        return self.put("StopAll", 1)

    def next_pixel(self) -> Any:
        """On to the next pixel."""
        return self.put("NextPixel", 1)

    def finish_pixels(self, timeout: float = 2) -> bool:
        """Advance until the run is over; whether it is."""
        over = time.monotonic() + timeout
        while self.get("Acquiring") == 1 and time.monotonic() < over:
            self.next_pixel()
            time.sleep(_POLL)
        return bool(self.get("Acquiring") == 0)

    def readmca(self, n: int = 1) -> Any:
        """A spectrum, counted from 1."""
        return self.mcas[n - 1].get("VAL")

    def SCAMode(self) -> None:
        """Counts of regions only."""
        self.put("CollectMode", 2)
        self._settle()

    def SpectraMode(self) -> None:
        """Whole spectra."""
        self.stop()
        self.put("CollectMode", 0)
        self.put("PresetMode", 0)
        self._settle()

    def MCAMode(self, filename: str | None = None, filenumber: int | None = None, npulses: int = 11) -> None:
        """Whole spectra by pulses, into a file."""
        self.put("AutoApply", 1)
        self.stop()
        self.put("CollectMode", 1)
        self.put("PixelsPerRun", npulses)
        self.put("SyncCount", 1)
        self.filePut("AutoSave", 1)
        if filename is not None:
            self.setFileName(filename)
        if filenumber is not None:
            self.setFileNumber(filenumber)
        self._settle()

    def _settle(self) -> None:
        self.put("Apply", 1)
        poll()


def roi_lines(rois: list[Any], calibrations: list[Any]) -> list[str]:
    """Regions and calibration of several spectra, as a configuration file has them."""
    lines = ["[rois]"]
    names = {roi.NM: roi for regions in rois for roi in regions}
    for index, name in enumerate(names):
        ranges = [next((f"{r.LO} {r.HI}" for r in regions if name == r.NM), "-1 -1") for regions in rois]
        lines.append(f"ROI{index:02d} = {name} | {' | '.join(ranges)}")
    lines.append("[calibration]")
    for index, word in enumerate(("OFFSET", "SLOPE ", "QUAD  ")):
        lines.append(f"{word} = {' '.join(str(calib[index]) for calib in calibrations)}")
    return lines


def read_rois(roifile: str, count: int) -> list[tuple[int, list[tuple[str, int, int]]]]:
    """The regions in such a file, by spectrum."""
    parser = ConfigParser()
    parser.read(roifile, encoding=IOENCODING)
    found: list[tuple[int, list[tuple[str, int, int]]]] = [(index, []) for index in range(count)]
    for _, text in parser.items("rois"):
        name, *ranges = (word.strip() for word in text.split("|"))
        for (_, regions), words in zip(found, ranges, strict=False):
            low, high = (int(word) for word in words.split()[:2])
            if low >= 0:
                regions.append((name, low, high))
    return found
