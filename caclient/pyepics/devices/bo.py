"""A binary output record."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device


class bo(Device):  # noqa: N801  the record's own name
    """A binary output record."""

    attrs: Any = tuple("DOL OMSL RVAL HIGH ZNAM ONAM VAL EGU HOPR LOPR PREC NAME DESC DTYP".split())

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix.removesuffix("."), delim=".", attrs=self.attrs, **kwargs)
