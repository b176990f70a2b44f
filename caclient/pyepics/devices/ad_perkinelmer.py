"""A Perkin-Elmer flat panel of areaDetector."""

from __future__ import annotations

import time
from typing import Any

from caclient.pyepics.device import Device

from .filesaver import FileSaver

_POLL = 0.05


class AD_PerkinElmer(FileSaver, Device):  # noqa: N801  pyepics' name
    """A Perkin-Elmer flat panel, with the plugin that saves its images."""

    camattrs: Any = tuple(
        (
            "PEAcquireOffset PENumOffsetFrames ImageMode TriggerMode Acquire AcquireTime Model_RBV NumImages "
            "ShutterControl ShutterMode"
        ).split()
    )
    pathattrs: Any = tuple(
        (
            "FilePath FileTemplate FileWriteMode FileName FileNumber FullFileName_RBV Capture Capture_RBV "
            "NumCapture WriteFile_RBV AutoSave EnableCallbacks ArraySize0_RBV FileTemplate_RBV FileName_RBV "
            "AutoIncrement"
        ).split()
    )
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "filesaver", "camattrs", "pathattrs", "_nonpvs", "_init", "_aliases")
    _file_prefix = "File_"

    def __init__(self, prefix: str, filesaver: str = "netCDF1:") -> None:
        super().__init__(f"{prefix}cam1:", delim="", mutable=False, attrs=self.camattrs)
        self.__dict__["filesaver"] = f"{prefix}{filesaver}"
        for attr in self.pathattrs:
            self.add_pv(f"{prefix}{filesaver}{attr}", attr=f"File_{attr}")

    def AcquireOffset(self, timeout: float = 10, open_shutter: bool = True) -> None:
        """Take the dark image."""
        mode = self.get("ShutterMode")
        self.put("ShutterMode", 0)
        self.put("ShutterControl", 0)
        self.put("PEAcquireOffset", 1)
        self._wait("PEAcquireOffset", timeout)
        if open_shutter:
            self.put("ShutterControl", 1)
        self.put("ShutterMode", mode)

    def _wait(self, attr: str, timeout: float) -> None:
        over = time.monotonic() + timeout
        while self.get(attr) and time.monotonic() < over:
            time.sleep(_POLL)

    def SetExposureTime(self, t: float, open_shutter: bool = True) -> None:
        """Seconds of exposure; the dark image is taken anew."""
        self.put("AcquireTime", t)
        self.AcquireOffset(timeout=10, open_shutter=open_shutter)

    def SetMultiFrames(self, n: int, trigger: str = "external") -> None:
        """So many frames for a start."""
        self.put("ImageMode", 1)
        self.put("NumImages", n)
        self.put("TriggerMode", 1 if trigger.lower().startswith("ext") else 0)

    def StartStreaming(self) -> None:
        """Save every frame from now on."""
        self.put("ImageMode", 2)
        self.filePut("AutoSave", 1)
        self.filePut("FileWriteMode", 2)
        self.FileCaptureOn()
        self.put("Acquire", 1)

    def FinishStreaming(self, timeout: float = 5.0) -> None:
        """Stop when the file is complete."""
        over = time.monotonic() + timeout
        while self.fileGet("Capture_RBV") and time.monotonic() < over:
            time.sleep(_POLL)
        self.FileCaptureOff()
        self.put("Acquire", 0)
