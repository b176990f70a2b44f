"""Every name that pyepics has, the drop-in has, with the same parameters; installed or not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MODULES = (
    ".ca .pv .dbr .device .motor .alarm .autosave .autosave.save_restore .multiproc .utils .devices.ad_base "
    ".devices.ad_fileplugin .devices.ad_image .devices.ad_mca .devices.ad_overlay .devices.ad_perkinelmer .devices.ai "
    ".devices.ao .devices.bi .devices.bo .devices.mca .devices.scaler .devices.scan .devices.srs570 .devices.struck "
    ".devices.transform .devices.xspress3"
)
PARAMETERS = """
import importlib, inspect, json, sys
def parameters(thing):
    try:
        return [(p.name, str(p.kind), repr(p.default)) for p in inspect.signature(thing).parameters.values()
                if p.default is p.empty or isinstance(p.default, (str, int, float, type(None), tuple))]
    except (TypeError, ValueError):
        return None
"""
THEIRS = (
    PARAMETERS
    + """
found = {}
for name in ["", *sys.argv[1].split()]:
    module = importlib.import_module("epics" + name)
    for key, thing in vars(module).items():
        if key.startswith("_") or getattr(thing, "__module__", None) != "epics" + name or not callable(thing):
            continue
        found[f"epics{name}", key] = parameters(thing)
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if not member.startswith("_") and inspect.isfunction(value):
                    found[f"epics{name}", f"{key}.{member}"] = parameters(value)
print(json.dumps([[*where, what] for where, what in found.items()]))
"""
)
OURS = (
    PARAMETERS
    + """
import operator
root = sys.argv[1]
if root == "epics":
    import caclient.pyepics
    caclient.pyepics.install()
bad = []
wanted = json.load(sys.stdin)
for where, name, what in wanted:
    try:
        thing = operator.attrgetter(name)(importlib.import_module(root + where[len("epics"):]))
    except (AttributeError, ImportError) as error:
        bad.append(f"{where}.{name}: {error!r}")
        continue
    mine = parameters(thing)
    if what is not None and mine is not None and mine != [tuple(parameter) for parameter in what]:
        bad.append(f"{where}.{name}: {mine} instead of {what}")
print(json.dumps([len(wanted), bad]))
"""
)
NOT_FOR_SCRIPTS = ("epics.dbr", "find_lib", "find_libCom", "clib_search_path", "line", "CAProcess", "Device.PV")


def run(program: str, argument: str, given: str = "") -> str:
    command = [sys.executable, "-c", program, argument]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("root", ["caclient.pyepics", "epics"])
def test_every_name_is_there_with_the_same_parameters(root: str) -> None:
    theirs = [
        entry
        for entry in json.loads(run(THEIRS, MODULES))
        if entry[0] not in NOT_FOR_SCRIPTS and entry[1] not in NOT_FOR_SCRIPTS
    ]
    looked_at, bad = json.loads(run(OURS, root, json.dumps(theirs)))
    assert looked_at > 300
    assert bad == []


def test_constants_are_the_same() -> None:
    program = (
        "import {0} as dbr, json; print(json.dumps({{n: v for n, v in vars(dbr).items()"
        " if n.isupper() and isinstance(v, (int, float)) and n != 'PY64_WINDOWS'}}))"
    )
    theirs = json.loads(run(program.format("epics.dbr"), ""))
    ours = json.loads(run(program.format("caclient.pyepics.dbr"), ""))
    assert {name: ours.get(name) for name in theirs} == theirs


def test_install_makes_import_epics_give_the_drop_in() -> None:
    program = """
import caclient.pyepics, sys
caclient.pyepics.install()
import epics, epics.ca, epics.devices, epics.devices.ai, epics.autosave
from epics import PV, caget
from epics.devices import ai
assert epics is caclient.pyepics and epics.ca is caclient.pyepics.ca and PV is caclient.pyepics.pv.PV
assert epics.devices.ai.__name__ == "ai" and ai is sys.modules["epics.devices.ai"].ai
assert epics.__version__ == "3.5.10"
caclient.pyepics.install()
caclient.pyepics.uninstall()
import epics
assert epics is not caclient.pyepics and epics.__file__ != caclient.pyepics.__file__
print("well")
"""
    assert run(program, "").strip() == "well"


def test_install_refuses_when_the_real_one_is_imported() -> None:
    program = """
import epics, caclient.pyepics
try:
    caclient.pyepics.install()
except RuntimeError as error:
    print(error)
"""
    assert "imported already" in run(program, "")


def test_a_star_import_gives_the_same_names() -> None:
    program = "from {0} import *; print(sorted(n for n in dir() if not n.startswith('_')))"
    theirs = set(eval(run(program.format("epics"), ""))) - {"version"}
    assert set(eval(run(program.format("caclient.pyepics"), ""))) == theirs


def test_what_a_script_sets_in_ca_is_heeded_by_the_calls_of_other_modules() -> None:
    program = (
        "import {0} as epics\n"
        "epics.ca.DEFAULT_CONNECTION_TIMEOUT = 0.0\n"
        "chid = epics.ca.create_channel('caclient:nobody:has:this')\n"
        "try:\n    epics.ca.put(chid, 1)\n"
        "except epics.ca.ChannelAccessException as error:\n    print(error)\n"
    )
    said = run(program.format("caclient.pyepics"), "")
    assert said.strip() == "put() timed out waiting 'caclient:nobody:has:this' to connect (0 seconds)"
