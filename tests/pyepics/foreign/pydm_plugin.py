"""PyDM's EPICS plugin on pyepics: widgets show values with units, states by name, and put."""

import os
import time

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["PYDM_EPICS_LIB"] = "PYEPICS"

from pydm import PyDMApplication
from pydm.widgets import PyDMLabel, PyDMLineEdit

app = PyDMApplication(use_main_window=False, command_line_args=[])


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        app.processEvents()
        time.sleep(0.01)
    return condition()


number = PyDMLabel(init_channel="ca://t:longout")
state = PyDMLabel(init_channel="ca://t:mbbi")
edit = PyDMLineEdit(init_channel="ca://t:stringout")
for widget in (number, state, edit):
    for channel in widget.channels() or ():
        channel.connect()
assert until(lambda: number.text() == "42"), number.text()
assert until(lambda: state.text() == "Done"), state.text()
assert until(lambda: edit.text() == "hello out"), edit.text()
edit.setText("from PyDM")
edit.send_value()
again = PyDMLabel(init_channel="ca://t:stringout")
for channel in again.channels() or ():
    channel.connect()
assert until(lambda: again.text() == "from PyDM"), again.text()
print("well", flush=True)
os._exit(0)
