"""Files that a detector's plugin writes, for the classes that have one."""

from __future__ import annotations

from typing import Any


class FileSaver:
    """Talks to the file plugin whose PVs begin with ``_file_prefix`` among those of a device."""

    filesaver: Any
    _file_prefix = ""

    def filePut(self, attr: str, value: Any, **kw: Any) -> Any:
        """Write to the file plugin."""
        return self.put(f"{self._file_prefix or self.filesaver}{attr}", value, **kw)  # type: ignore[attr-defined]

    def fileGet(self, attr: str, **kw: Any) -> Any:
        """Read from the file plugin."""
        return self.get(f"{self._file_prefix or self.filesaver}{attr}", **kw)  # type: ignore[attr-defined]

    def setFilePath(self, pathname: str) -> Any:
        """The folder for files."""
        return self.filePut("FilePath", pathname)

    def setFileTemplate(self, fmt: str) -> Any:
        """How names of files are made."""
        return self.filePut("FileTemplate", fmt)

    def setFileWriteMode(self, mode: Any) -> Any:
        """Single, capture or stream."""
        return self.filePut("FileWriteMode", mode)

    def setFileName(self, fname: str) -> Any:
        """The name of the next file."""
        return self.filePut("FileName", fname)

    def nextFileNumber(self) -> None:
        """Count the number of the next file up."""
        self.setFileNumber(1 + self.fileGet("FileNumber"))

    def setFileNumber(self, fnum: int | None = None) -> Any:
        """The number of the next file; none: let the plugin count."""
        if fnum is None:
            return self.filePut("AutoIncrement", 1)
        self.filePut("AutoIncrement", 0)
        return self.filePut("FileNumber", fnum)

    def getLastFileName(self) -> Any:
        """The file that was written last."""
        return self.fileGet("FullFileName_RBV", as_string=True)

    def FileCaptureOn(self) -> Any:
        """Begin to capture."""
        return self.filePut("Capture", 1)

    def FileCaptureOff(self) -> Any:
        """Capture no more."""
        return self.filePut("Capture", 0)

    def setFileNumCapture(self, n: int) -> Any:
        """How many frames go into a file."""
        return self.filePut("NumCapture", n)

    def FileWriteComplete(self) -> bool:
        """Whether the last file has been written."""
        return bool(self.fileGet("WriteFile_RBV") == 0)

    def getFileTemplate(self) -> Any:
        """How names of files are made."""
        return self.fileGet("FileTemplate_RBV", as_string=True)

    def getFileName(self) -> Any:
        """The name of the next file."""
        return self.fileGet("FileName_RBV", as_string=True)

    def getFileNumber(self) -> Any:
        """The number of the next file."""
        return self.fileGet("FileNumber_RBV")

    def getFilePath(self) -> Any:
        """The folder for files."""
        return self.fileGet("FilePath_RBV", as_string=True)

    def getFileNameByIndex(self, index: int) -> str:
        """The name of the file of a number."""
        return str(self.getFileTemplate() % (self.getFilePath(), self.getFileName(), index))
