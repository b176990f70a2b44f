"""A file plugin of areaDetector."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device

from .readback import ensure_value


class AD_FilePlugin(Device):  # noqa: N801  pyepics' name
    """A file plugin of areaDetector."""

    attrs: Any = tuple(
        (
            "AutoIncrement AutoIncrement_RBV AutoSave AutoSave_RBV Capture Capture_RBV EnableCallbacks "
            "EnableCallbacks_RBV FileName FileName_RBV FileNumber FileNumber_RBV FilePath FilePath_RBV "
            "FilePathExists_RBV FileTemplate FileTemplate_RBV FileWriteMode FileWriteMode_RBV FullFileName_RBV "
            "NDArrayPort NDArrayPort_RBV NumCapture NumCapture_RBV NumCaptured_RBV ReadFile ReadFile_RBV "
            "WriteFile WriteFile_RBV WriteMessage WriteStatus"
        ).split()
    )

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, delim="", mutable=False, attrs=self.attrs)

    def ensure_value(self, attr: str, value: Any, wait: bool = False) -> None:
        """Write unless the read-back shows it already."""
        ensure_value(self, attr, value, wait)

    def CaptureOn(self) -> Any:
        """Begin to capture."""
        return self.put("Capture", 1)

    def CaptureOff(self) -> Any:
        """Capture no more."""
        return self.put("Capture", 0)

    def setFileName(self, fname: str) -> Any:
        """The name of the next file."""
        return self.put("FileName", fname)

    def nextFileNumber(self) -> None:
        """Count the number of the next file up."""
        self.setFileNumber(1 + self.get("FileNumber"))

    def setFileNumber(self, fnum: int | None = None) -> Any:
        """The number of the next file; none: let the plugin count."""
        if fnum is None:
            return self.put("AutoIncrement", 1)
        self.put("AutoIncrement", 0)
        return self.put("FileNumber", fnum)

    def setPath(self, pathname: str) -> Any:
        """The folder for files."""
        return self.put("FilePath", pathname)

    def setTemplate(self, fmt: str) -> Any:
        """How names of files are made."""
        return self.put("FileTemplate", fmt)

    def setWriteMode(self, mode: Any) -> Any:
        """Single, capture or stream."""
        return self.put("FileWriteMode", mode)

    def setNumCapture(self, n: int) -> Any:
        """How many frames go into a file."""
        return self.put("NumCapture", n)

    def WriteComplete(self) -> bool:
        """Whether the last file has been written."""
        return bool(self.get("WriteFile_RBV") == 0)

    def getTemplate(self) -> Any:
        """How names of files are made."""
        return self.get("FileTemplate_RBV", as_string=True)

    def getName(self) -> Any:
        """The name of the next file."""
        return self.get("FileName_RBV", as_string=True)

    def getNumber(self) -> Any:
        """The number of the next file."""
        return self.get("FileNumber_RBV")

    def getPath(self) -> Any:
        """The folder for files."""
        return self.get("FilePath_RBV", as_string=True)

    def getFileNameByIndex(self, index: int) -> str:
        """The name of the file of a number."""
        return str(self.getTemplate() % (self.getPath(), self.getName(), index))

    def getLastFileName(self) -> Any:
        """The file that was written last."""
        return self.get("FullFileName_RBV", as_string=True)
