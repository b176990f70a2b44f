"""pyepics on libca reads, writes and watches our demo IOC."""

from __future__ import annotations

import pytest

from tests.interop.libca_peer import LibcaPeer
from tests.interop.softioc import RandomWalkIoc
from tests.resilience.watching import eventually

pytestmark = pytest.mark.interop


@pytest.fixture
def libca_on_ours(random_walk_ioc: RandomWalkIoc) -> LibcaPeer:
    return LibcaPeer(random_walk_ioc.client_environment())


def test_says_what_it_serves(random_walk_ioc: RandomWalkIoc) -> None:
    eventually(lambda: "\n" in random_walk_ioc.log)  # it may be found before it has said so
    assert random_walk_ioc.log.splitlines()[0] == "PVs: ['random_walk:dt', 'random_walk:x']"


def test_libca_reads_value_and_metadata(libca_on_ours: LibcaPeer) -> None:
    seen = libca_on_ours.get_all(["random_walk:x", "random_walk:dt"])
    assert seen["random_walk:dt"]["value"] == 3.0
    assert seen["random_walk:dt"]["units"] == "s"
    assert seen["random_walk:x"]["type"] == "ctrl_double"
    assert seen["random_walk:x"]["upper_disp_limit"] == 10.0
    assert seen["random_walk:x"]["write_access"] is True


def test_libca_writes_with_completion(libca_on_ours: LibcaPeer) -> None:
    snippet = (
        "pv = connected('random_walk:dt'); done = pv.put(0.5, wait=True); result = [done, caget('random_walk:dt')]"
    )
    assert libca_on_ours.run(snippet) == [1, 0.5]


def test_libca_watches_the_walk(libca_on_ours: LibcaPeer) -> None:
    seen = libca_on_ours.run("""
        import threading
        enough, seen = threading.Event(), []

        def changed(value=None, timestamp=None, **_):
            seen.append([value, timestamp])
            if len(seen) > 4:
                enough.set()

        caput("random_walk:dt", 0.02, wait=True)
        pv = connected("random_walk:x", callback=changed)
        assert enough.wait(10)
        result = seen
    """)
    stamps = [stamp for _, stamp in seen]
    assert stamps == sorted(set(stamps))
