"""What is kept of updates: their texts, subscriptions that stay, and what is asked for only if it has to be."""

from __future__ import annotations

from _say import epics, names, say, shown, until

HIDDEN = ("timestamp", "posixseconds", "nanoseconds")


def look(record):
    events = []

    def heard(**words):
        events.append({key: item for key, item in words.items() if key not in HIDDEN})

    pv = epics.PV("X:" + record)
    say(f"{record} connects", pv.wait_for_connection, 5)
    until(lambda: pv._args["value"] is not None)
    say(f"{record} asked for more", lambda: pv.get_ctrlvars() is not None)
    say(f"{record} keeps the text of the update", lambda: pv.get_with_metadata()["char_value"])
    say(f"{record} has a callback", pv.add_callback, heard, with_ctrlvars=False)
    say(f"{record} is run", pv.run_callbacks)
    print(record, "has run", list(map(shown, events)), flush=True)
    del events[:]
    for mask in (True, None, epics.ca.DEFAULT_SUBSCRIPTION_MASK, True, 4, 4, False, False, 1, 1, None):
        before, changes = pv._monref, pv._monref_mask
        say(f"{record} monitored {mask}", setattr, pv, "auto_monitor", mask)
        say(f"{record} stays", lambda before=before: before is pv._monref)
        say(f"{record} mask", lambda: (pv.auto_monitor, pv.auto_monitor_mask))
        if pv._monref is not None and pv._monref_mask != changes:
            until(lambda: events)
        print(record, "events", list(map(shown, events)), flush=True)
        del events[:]
    say(f"{record} get 5", pv.get, count=5)
    say(f"{record} with all metadata", lambda: sorted(pv.get_with_metadata(count=5, form="ctrl")))
    pv.disconnect()
    quiet = epics.PV("X:" + record, auto_monitor=False)
    say(f"{record} connects quietly", quiet.wait_for_connection, 5)
    say(f"{record} count", lambda: (quiet.count, quiet._args["value"]))
    say(f"{record} get -1", quiet.get, count=-1)  # pyepics gets no answer from then on


for record in names():
    look(record)
