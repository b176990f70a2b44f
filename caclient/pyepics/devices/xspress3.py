"""Quantum Detectors' Xspress3."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.ca import poll
from caclient.pyepics.device import Device

from .ad_mca import ADMCA
from .filesaver import FileSaver
from .mca import MCA, read_rois, roi_lines

MAX_ROIS = 32


class ADFileMixin(FileSaver):
    """Files of an areaDetector."""

    def filePut(self, attr: str, value: Any, **kws: Any) -> Any:
        """Write to the file plugin."""
        return super().filePut(attr, value, **kws)

    def fileGet(self, attr: str, **kws: Any) -> Any:
        """Read from the file plugin."""
        return super().fileGet(attr, **kws)


class Xspress3BaseMixin:
    """What the two generations have in common."""

    mcas: Any
    put: Any

    def useExternalTrigger(self) -> None:
        """By pulses from outside."""
        self.setTriggerMode(3)

    def useInternalTrigger(self) -> None:
        """By the clock inside."""
        self.setTriggerMode(1)

    def setTriggerMode(self, mode: Any) -> None:
        """Which trigger."""
        self.put("TriggerMode", mode)

    def start(self, capture: bool = True) -> None:
        """Begin, and save if that is wanted."""
        if capture:
            self.FileCaptureOn()  # type: ignore[attr-defined]
        self.put("Acquire", 1)

    def stop(self) -> None:
        """Stop."""
        self.FileCaptureOff()  # type: ignore[attr-defined]
        self.put("Acquire", 0)

    def get_rois(self) -> list[Any]:
        """The regions of each spectrum."""
        return [mca.get_rois() for mca in self.mcas]


class Xspress3(Device, ADFileMixin, Xspress3BaseMixin):
    """An Xspress3 of the present generation."""

    det_attrs: Any = tuple(
        (
            "NumImages NumImages_RBV Acquire Acquire_RBV ArrayCounter_RBV ERASE UPDATE AcquireTime TriggerMode "
            "StatusMessage_RBV DetectorState_RBV"
        ).split()
    )
    pathattrs: Any = ("FilePath", "FileTemplate", "FileName", "FileNumber", "Capture", "NumCapture")
    _nonpvs: Any = "_prefix _pvs _delim filesaver fileroot pathattrs _nonpvs nmca mcas _init _aliases _mutable".split()

    def __init__(
        self, prefix: str, nmca: int = 4, filesaver: str = "HDF1:", fileroot: str = "/home/xspress3/cars5/Data"
    ) -> None:
        self.__dict__.update(nmca=nmca, filesaver=filesaver, fileroot=fileroot)
        attrs = [f"det1:{attr}" for attr in self.det_attrs]
        attrs.extend(f"{filesaver}{attr}" for attr in self.pathattrs)
        super().__init__(prefix, attrs=attrs, delim="", with_poll=False)
        self.__dict__["mcas"] = [
            ADMCA(prefix, data_pv=f"{prefix}MCA{index}:ArrayData", roi_prefix=f"{prefix}MCA{index}ROI")
            for index in range(1, nmca + 1)
        ]
        for attr in self.det_attrs:
            self._pvs[attr] = self._pvs[f"det1:{attr}"]
        poll()

    def roi_calib_info(self) -> list[str]:
        """Lines that describe regions and calibration."""
        lines = ["[rois]"]
        for index, roi in enumerate(self.mcas[0].get_rois()):
            lines.append(f"ROI{index:02d} = {roi.Name} | {roi.MinX} {roi.get_right()}")
        calibrations = [mca.get_calib() for mca in self.mcas]
        return [*lines, *roi_lines([], calibrations)[1:]]

    def restore_rois(self, roifile: str) -> None:
        """Set the regions that such lines describe."""
        (_, regions), *_ = read_rois(roifile, 1)
        for mca in self.mcas:
            mca.set_rois(regions)

    def TimeSeriesCaptureOn(self, npts: int | None = None) -> None:
        """Record counts over time."""
        for index in range(1, self.nmca + 1):
            if npts is not None:
                self.put(f"MCA{index}ROI:TSNumPoints", npts)
            self.put(f"MCA{index}ROI:TSControl", 0)

    def TimeSeriesCaptureOff(self) -> None:
        """Record no more."""
        for index in range(1, self.nmca + 1):
            self.put(f"MCA{index}ROI:TSControl", 2)


class Xspress310(Device, ADFileMixin, Xspress3BaseMixin):
    """An Xspress3 of the first generation."""

    attrs: Any = tuple(
        (
            "NumImages NumImages_RBV Acquire Acquire_RBV ArrayCounter_RBV ERASE UPDATE AcquireTime TriggerMode "
            "StatusMessage_RBV DetectorState_RBV"
        ).split()
    )
    pathattrs: Any = ("FilePath", "FileTemplate", "FileName", "FileNumber", "Capture", "NumCapture")
    _nonpvs: Any = "_prefix _pvs _delim filesaver fileroot pathattrs _nonpvs nmca mcas _init _aliases _mutable".split()

    def __init__(
        self, prefix: str, nmca: int = 4, filesaver: str = "HDF5:", fileroot: str = "/home/xspress3/cars5/Data"
    ) -> None:
        self.__dict__.update(nmca=nmca, filesaver=filesaver, fileroot=fileroot)
        attrs = [*self.attrs, *(f"{filesaver}{attr}" for attr in self.pathattrs)]
        super().__init__(prefix, attrs=attrs, delim="", with_poll=False)
        self.__dict__["mcas"] = [MCA(prefix, mca=index) for index in range(1, nmca + 1)]
        poll()

    def select_rois_to_save(self, roilist: Any) -> None:
        """Save the counts of these regions."""
        names = [str(name).lower() for name in roilist]
        for number, mca in enumerate(self.mcas, 1):
            found = [index for index, roi in enumerate(mca.get_rois()) if roi.NM.lower() in names]
            for slot, index in enumerate(found, 1):
                self.put(f"C{number}_ROI{slot}:ROI", index)

    def roi_calib_info(self) -> list[str]:
        """Lines that describe regions and calibration."""
        return roi_lines(self.get_rois(), [mca.get_calib() for mca in self.mcas])

    def restore_rois(self, roifile: str) -> None:
        """Set the regions that such lines describe."""
        for index, regions in read_rois(roifile, len(self.mcas)):
            self.mcas[index].set_rois(regions)
