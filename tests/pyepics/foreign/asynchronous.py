"""pyepics-asyncio: connect, get, put, monitor."""

import asyncio

from pyepics_asyncio import Pv


async def main():
    pv = await Pv.connect("t:longout")
    assert await pv.get() == 42, await pv.get()
    await pv.put(43)
    assert await pv.get() == 43
    with pv.monitor() as values:
        got = []
        async for value in values:
            got.append(value)
            if len(got) == 1:
                await pv.put(42)
            if value == 42:
                break
    assert got[0] == 43, got
    print("well")


asyncio.run(asyncio.wait_for(main(), 20))
