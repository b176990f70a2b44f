"""An analog input record."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device


class ai(Device):  # noqa: N801  the record's own name
    """An analog input record."""

    attrs: Any = tuple(
        (
            "VAL EGU HOPR LOPR PREC NAME DESC DTYP INP LINR RVAL ROFF EGUF EGUL AOFF ASLO ESLO EOFF SMOO HIHI "
            "LOLO HIGH LOW HHSV LLSV HSV LSV HYST"
        ).split()
    )

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix.removesuffix("."), delim=".", attrs=self.attrs, **kwargs)
