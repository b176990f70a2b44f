"""Request files, and the files that values are saved to."""

from __future__ import annotations

import datetime
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from caclient.pyepics import ca
from caclient.pyepics.pv import PV, get_pv
from caclient.pyepics.utils import IOENCODING

_ARRAY = "@array@"
_INCLUDE = re.compile(r"^\s*file\s+(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^\s,\"]+))\s*,?\s*(?P<macros>.*?)\s*$")
_MACRO = re.compile(r"(\w+)\s*=\s*([^,\s]*)")


def restore_pvs(filepath: str, debug: bool = False) -> bool:
    """Write what a file has to its PVs; false if one of them could not be written."""
    values: list[tuple[PV, str, Any]] = []
    for line in Path(filepath).read_text(encoding=IOENCODING).splitlines():
        words = line.strip().split(None, 1)
        if len(words) < 2 or words[0].startswith(("#", "<END")):
            continue
        name, text = words
        values.append((get_pv(name, connect=False), name, _value(text)))
    well = True
    for pv, name, value in values:
        pv.connect()
        if not pv.connected:
            ca.write(f"Cannot connect to {name}")
        elif not pv.write_access:
            ca.write(f"No write access to {name}")
        else:
            if debug:
                ca.write(f"Setting {name} to {value}")
            well &= _written(pv, name, value)
    return well


def _written(pv: PV, name: str, value: Any) -> bool:
    try:
        pv.put(value)
    except Exception as error:  # noqa: BLE001  whatever it is, the others are to be restored
        ca.write(f"Exception restoring {name} to {value}: {error}")
        return False
    return True


def _value(text: str) -> Any:
    """Text as it is; what is an array by its elements."""
    if not text.startswith(_ARRAY):
        return text
    inner = text[len(_ARRAY) :].strip().strip("{}").strip()
    return json.loads(inner)


def save_pvs(request_file: str, save_file: str, debug: bool = False) -> None:
    """Save the PVs that a request file names."""
    saver = AutoSaver(request_file)
    saver.save(save_file, verbose=debug)


class AutoSaver:
    """The PVs of a request file, to be saved as often as one likes."""

    def __init__(self, request_file: str | None = None) -> None:
        self.request_file = request_file
        self.pvs: list[PV] = []
        if request_file is not None:
            self.read_request_file(request_file)

    def read_request_file(self, request_file: str | None = None) -> None:
        """Take the names of a file, and of those that it includes."""
        if request_file is not None:
            self.request_file = request_file
        if self.request_file is None:
            raise TypeError("expected str, bytes or os.PathLike object, not NoneType")
        self.pvs = [get_pv(name) for name in requested(Path(self.request_file), {})]

    def save(self, save_file: str | None = None, verbose: bool = False) -> None:
        """Write all values to a file."""
        now = datetime.datetime.now()  # noqa: DTZ005  as a user reads it
        if save_file is None:
            base = Path(str(self.request_file)).name.removesuffix(".req")
            save_file = time.strftime(f"{base}_%Y%b%d_%H%M%S.sav")
        lines = [f"# File saved by pyepics AutoSaver.save() on {now.isoformat(sep=' ')}", "# Edit with extreme care."]
        for pv in self.pvs:
            pv.connect()
            if not pv.connected:
                if verbose:
                    ca.write(f"PV {pv.pvname} not connected")
                continue
            text = _saved(pv)
            lines.append(f"{pv.pvname} {text}")
            if verbose:
                ca.write(f"PV {pv.pvname} = {text}")
        lines.append("<END>")
        Path(save_file).write_text("\n".join(lines) + "\n", encoding=IOENCODING)
        ca.write(f"wrote {save_file}")


def _saved(pv: PV) -> str:
    if pv.nelm == 1:
        return str(pv.get())
    if "char" in pv.type:
        return str(pv.get(as_string=True))
    value = pv.get()
    return f"{_ARRAY} {json.dumps(value.tolist() if isinstance(value, np.ndarray) else list(value))}"


def requested(path: Path, macros: dict[str, str]) -> list[str]:
    """The names in a request file, with its macros replaced, and those of the files that it includes."""
    names: list[str] = []
    for line in path.read_text(encoding=IOENCODING).splitlines():
        text = _replaced(line.split("#", 1)[0], macros).strip()
        if not text:
            continue
        include = _INCLUDE.match(text)
        if include is None:
            names.append(text.split()[0])
            continue
        given = dict(_MACRO.findall(include["macros"].replace('"', "")))
        names.extend(requested(path.parent / (include["quoted"] or include["plain"]), {**macros, **given}))
    return names


def _replaced(text: str, macros: dict[str, str]) -> str:
    for name, value in macros.items():
        text = text.replace(f"$({name})", value)
    return text
