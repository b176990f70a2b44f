"""An analog output record."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device


class ao(Device):  # noqa: N801  the record's own name
    """An analog output record."""

    attrs: Any = tuple(
        (
            "OUT LINR RVAL ROFF EGUF EGUL AOFF ASLO ESLO EOFF VAL EGU HOPR LOPR PREC NAME DESC DTYP HIHI LOLO "
            "HIGH LOW HHSV LLSV HSV LSV HYST OMSL DOL OIF DRVH DRVL OROC OVAL"
        ).split()
    )

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix.removesuffix("."), delim=".", attrs=self.attrs, **kwargs)
